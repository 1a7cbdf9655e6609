// Bytes as lower-case hexadecimal digits and back. Reading is strict: an odd digit or a foreign character gives undefined.
import { portableHex } from "./portable-text.ts";
import type { Bytes } from "./utf8.ts";

const HEX = /^[0-9a-fA-F]*$/;

/** What a runtime of ECMAScript 2026 has, and several times as fast. */
interface NativeHex {
  toHex?(): string;
}

/** Two lower-case digits for each byte. */
export function encodeHex(bytes: Uint8Array): string {
  return (bytes as NativeHex).toHex?.() ?? portableHex(bytes);
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
