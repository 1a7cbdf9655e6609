// Base64 of RFC 4648, standard with padding (section 4) and URL-safe without (section 5). Reading is strict, so that one
// value has one spelling: white space, missing padding and stray bits give undefined, unlike the platform's `atob`.
import { portableBase64, portableBase64Url } from "./portable-text.ts";
import type { Bytes } from "./utf8.ts";

const STANDARD = /^[A-Za-z0-9+/]*={0,2}$/;
const URL_SAFE = /^[A-Za-z0-9_-]*$/;

/** What a runtime of ECMAScript 2026 has, and several times as fast: signatures are made for every delivery. */
interface NativeBase64 {
  toBase64?(options?: { readonly alphabet: "base64url"; readonly omitPadding: true }): string;
}

const URL_SAFE_UNPADDED = { alphabet: "base64url", omitPadding: true } as const;

/** Standard alphabet, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  return (bytes as NativeBase64).toBase64?.() ?? portableBase64(bytes);
}

/** URL-safe alphabet, no padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return (bytes as NativeBase64).toBase64?.(URL_SAFE_UNPADDED) ?? portableBase64Url(bytes);
}

/** The bytes of a standard, padded text, or undefined when it is not exactly what {@link encodeBase64} writes. */
export function decodeBase64(text: string): Bytes | undefined {
  if (text.length % 4 !== 0 || !STANDARD.test(text)) return undefined;
  const binary = atob(text);
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  // Stray bits in the last digit decode to the same bytes: two spellings of one signature or token.
  return text.endsWith("=") && !text.endsWith(encodeBase64(bytes).slice(-4)) ? undefined : bytes;
}

/** The bytes of an URL-safe text without padding, or undefined when it is not exactly what {@link encodeBase64Url} writes. */
export function decodeBase64Url(text: string): Bytes | undefined {
  if (!URL_SAFE.test(text)) return undefined;
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return decodeBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}
