// Writes lists of texts and nulls as the UTF-8 of their canonical JSON (RFC 8785) into one buffer that grows and is used
// again: a verifier writes two of them for every entry of a log.

export interface JsonBytes {
  readonly bytes: Uint8Array;
  /** Writes `list` from `start` on; answers where it ends. */
  writeList(start: number, list: readonly (string | null)[]): number;
  /** The UTF-8 of a text as it is. */
  writeText(start: number, text: string): number;
}

const encoder = new TextEncoder();
const [QUOTE, COMMA, OPEN, CLOSE, BACKSLASH] = [0x22, 0x2c, 0x5b, 0x5d, 0x5c];
const NULL = encoder.encode("null");
/** A UTF-16 unit is at most six characters of JSON (`\\u0000`) or three bytes of UTF-8. */
const MAX_BYTES_PER_UNIT = 6;
const ROOM = 64;

export function createJsonBytes(): JsonBytes {
  let bytes = new Uint8Array(8_192);

  const reserve = (end: number): void => {
    if (end <= bytes.length) return;
    const larger = new Uint8Array(end * 2);
    larger.set(bytes);
    bytes = larger;
  };
  const encode = (start: number, text: string): number =>
    start + encoder.encodeInto(text, bytes.subarray(start)).written;
  /** A quoted text. What is beyond plain ASCII is left to the language. */
  const writeString = (start: number, text: string): number => {
    let at = start;
    bytes[at++] = QUOTE;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code < 0x20 || code > 0x7e) return encode(start, JSON.stringify(text));
      if (code === QUOTE || code === BACKSLASH) bytes[at++] = BACKSLASH;
      bytes[at++] = code;
    }
    bytes[at++] = QUOTE;
    return at;
  };
  return {
    get bytes() {
      return bytes;
    },
    writeList(start, list) {
      let at = start;
      for (let index = 0; index < list.length; index++) {
        const text = list[index] ?? null;
        reserve(at + (text?.length ?? 0) * MAX_BYTES_PER_UNIT + ROOM);
        bytes[at++] = index === 0 ? OPEN : COMMA;
        if (text === null) {
          bytes.set(NULL, at);
          at += NULL.length;
        } else at = writeString(at, text);
      }
      bytes[at++] = CLOSE;
      return at;
    },
    writeText(start, text) {
      reserve(start + text.length * 3 + ROOM);
      return encode(start, text);
    },
  };
}
