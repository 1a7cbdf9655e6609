// Text as the bytes that get hashed and signed. What comes out is backed by a plain ArrayBuffer, as WebCrypto requires.

/** Bytes that WebCrypto accepts. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

function isPlain(bytes: Uint8Array): bytes is Bytes {
  return bytes.buffer instanceof ArrayBuffer;
}

/** The UTF-8 bytes of a text; bytes pass through. Bytes in shared memory are copied, so that no other thread changes them midway. */
export function toBytes(data: string | Uint8Array): Bytes {
  if (typeof data === "string") return encoder.encode(data);
  return isPlain(data) ? data : new Uint8Array(data);
}
