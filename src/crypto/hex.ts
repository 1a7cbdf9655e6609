// Bytes as lower-case hexadecimal digits and back. Reading is strict: an odd digit or a foreign character gives undefined.
import type { Bytes } from "./utf8.ts";

const DIGITS: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const HEX = /^[0-9a-fA-F]*$/;

/** Two lower-case digits for each byte. */
export function encodeHex(bytes: Uint8Array): string {
  let text = "";
  // By index: an iterator costs several times as much, and every delivery is signed.
  for (let index = 0; index < bytes.length; index++) text += DIGITS[bytes[index] as number];
  return text;
}

/** The bytes that `text` spells in either case, or undefined when it is not hexadecimal. */
export function decodeHex(text: string): Bytes | undefined {
  if (text.length % 2 !== 0 || !HEX.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}
