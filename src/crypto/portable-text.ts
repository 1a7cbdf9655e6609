// Bytes as text where the runtime has no `toBase64` and `toHex` of its own (ECMAScript 2026, section 23.3).

/** Arguments of one `fromCharCode` call; far below every engine's limit. */
const CHUNK_BYTES = 8192;
const HEX_DIGITS: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Standard alphabet, padded. */
export function portableBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK_BYTES));
  }
  return btoa(binary);
}

/** URL-safe alphabet, no padding. */
export function portableBase64Url(bytes: Uint8Array): string {
  return portableBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Two lower-case digits for each byte. */
export function portableHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX_DIGITS[byte] as string;
  return text;
}
