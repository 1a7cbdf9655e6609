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
/** A UTF-16 unit is at most three bytes of UTF-8. */
const MAX_BYTES_PER_UNIT = 3;
/** For a character or two behind what is written. */
const ROOM = 64;

export function createJsonBytes(): JsonBytes {
  let bytes = new Uint8Array(8_192);
  // Almost everything is written from one of the first places on.
  let tails: Uint8Array[] = [];

  const reserve = (end: number): void => {
    if (end <= bytes.length) return;
    const larger = new Uint8Array(end * 2);
    larger.set(bytes);
    bytes = larger;
    tails = [];
  };
  const tailFrom = (start: number): Uint8Array =>
    start < 2 ? (tails[start] ??= bytes.subarray(start)) : bytes.subarray(start);
  const writeText = (start: number, text: string): number => {
    reserve(start + text.length * MAX_BYTES_PER_UNIT + ROOM);
    return start + encoder.encodeInto(text, tailFrom(start)).written;
  };
  return {
    get bytes() {
      return bytes;
    },
    // The canonical form of texts is defined as what the language makes of them (RFC 8785 section 3.2.2.2).
    writeList: (start, list) => writeText(start, JSON.stringify(list)),
    writeText,
  };
}
