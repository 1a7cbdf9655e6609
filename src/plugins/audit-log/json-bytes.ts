// Writes lists of texts and nulls as their canonical JSON (RFC 8785), and as the UTF-8 of it into one buffer that grows and is
// used again: what is signed of an entry is hashed with something before it and something behind it.

/** The canonical form of texts is defined as what the language makes of them (RFC 8785 section 3.2.2.2). */
export function jsonOfList(list: readonly (string | null)[]): string {
  return JSON.stringify(list);
}

export interface JsonBytes {
  readonly bytes: Uint8Array;
  /** Writes `list` behind the room; answers where it ends. */
  writeList(list: readonly (string | null)[]): number;
  /** Writes the UTF-8 of a text as it is from `start` on; answers where it ends. */
  writeText(start: number, text: string): number;
}

const encoder = new TextEncoder();
/** A UTF-16 unit is at most three bytes of UTF-8. */
const MAX_BYTES_PER_UNIT = 3;

/** `room`: how many bytes stay free at the beginning. */
export function createJsonBytes(room: number): JsonBytes {
  let bytes = new Uint8Array(room + 8_192);
  let behindRoom = bytes.subarray(room);

  const reserve = (end: number): void => {
    if (end <= bytes.length) return;
    const larger = new Uint8Array(end * 2);
    larger.set(bytes);
    bytes = larger;
    behindRoom = bytes.subarray(room);
  };
  return {
    get bytes() {
      return bytes;
    },
    writeList(list) {
      const json = jsonOfList(list);
      reserve(room + json.length * MAX_BYTES_PER_UNIT);
      return room + encoder.encodeInto(json, behindRoom).written;
    },
    writeText(start, text) {
      reserve(start + text.length * MAX_BYTES_PER_UNIT);
      return start + encoder.encodeInto(text, bytes.subarray(start)).written;
    },
  };
}
