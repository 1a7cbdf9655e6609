// Base64 of RFC 4648, standard with padding (section 4) and URL-safe without (section 5). Reading is strict, so that one
// value has one spelling: white space, missing padding and stray bits give undefined, unlike the platform's `atob`.
import type { Bytes } from "./utf8.ts";

/** Arguments of one `fromCharCode` call; far below every engine's limit. */
const CHUNK_BYTES = 8192;
const STANDARD = /^[A-Za-z0-9+/]*={0,2}$/;
const URL_SAFE = /^[A-Za-z0-9_-]*$/;

/** Standard alphabet, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK_BYTES));
  }
  return btoa(binary);
}

/** The bytes of a standard, padded text, or undefined when it is not exactly what {@link encodeBase64} writes. */
export function decodeBase64(text: string): Bytes | undefined {
  if (text.length % 4 !== 0 || !STANDARD.test(text)) return undefined;
  const binary = atob(text);
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  // Stray bits in the last digit decode to the same bytes: two spellings of one signature or token.
  return text.endsWith("=") && !text.endsWith(encodeBase64(bytes).slice(-4)) ? undefined : bytes;
}

const URL_SAFE_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** Two digits for every 12 bits. */
const URL_SAFE_PAIRS: readonly string[] = Array.from(
  { length: 4_096 },
  (_, bits) => URL_SAFE_DIGITS.charAt(bits >> 6) + URL_SAFE_DIGITS.charAt(bits & 63),
);

/** URL-safe alphabet, no padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  let text = "";
  // Not through `btoa`: signatures are made for every entry of a log.
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = ((bytes[at] as number) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += (URL_SAFE_PAIRS[bits >> 12] as string) + (URL_SAFE_PAIRS[bits & 4_095] as string);
  }
  const rest = bytes.length % 3;
  return rest === 0 ? text : text.slice(0, rest - 3);
}

/** The bytes of an URL-safe text without padding, or undefined when it is not exactly what {@link encodeBase64Url} writes. */
export function decodeBase64Url(text: string): Bytes | undefined {
  if (!URL_SAFE.test(text)) return undefined;
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return decodeBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}
