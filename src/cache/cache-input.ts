// Checks what application code hands to a cache, before anything is touched.

import type { Json } from "../core/json.ts";
import { toJson } from "../core/to-json.ts";
import { cacheError } from "./cache-errors.ts";

export const MAX_KEY_CHARS = 65_536;
/** Ten years. */
export const MAX_TTL_SECS = 315_360_000;

/** @throws CACHE_KEY_INVALID */
export function assertKey(key: unknown): asserts key is string {
  if (typeof key === "string" && key.length <= MAX_KEY_CHARS) return;
  const what = typeof key === "string" ? `a string of ${key.length} characters` : typeof key;
  throw cacheError("CACHE_KEY_INVALID", { message: `Cannot use this as a key: ${what}` });
}

/** Milliseconds; 0 for what is over already. @throws CACHE_OPTION_INVALID */
export function toMs(secs: unknown, name: string): number {
  if (typeof secs === "number" && secs <= MAX_TTL_SECS) return Math.max(0, secs * 1_000);
  throw cacheError("CACHE_OPTION_INVALID", {
    message: `Cannot use ${name}: expected a number of at most ${MAX_TTL_SECS}`,
  });
}

/** A copy that shares nothing with `value`. @throws CACHE_VALUE_INVALID; never shows the value. */
export function copyIn(value: unknown): Json {
  if (typeof value === "string") return value;
  const copied = value === undefined ? ({ ok: false, path: "", message: "undefined" } as const) : toJson(value);
  if (copied.ok) return copied.value;
  const at = copied.path === "" ? "" : ` at ${copied.path}`;
  throw cacheError("CACHE_VALUE_INVALID", { message: `Cannot cache this value: ${copied.message}${at}` });
}

function copyObject(value: { readonly [key: string]: Json }): Json {
  const copied: Record<string, Json> = {};
  for (const key of Object.keys(value)) {
    const item = copyOut(value[key] as Json);
    // An assignment would set the prototype instead of a property.
    if (key === "__proto__")
      Object.defineProperty(copied, key, { value: item, enumerable: true, configurable: true, writable: true });
    else copied[key] = item;
  }
  return copied;
}

/** A copy of a value that is known to be JSON. */
export function copyOut(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOut);
  return copyObject(value as { readonly [key: string]: Json });
}

/** Bytes of `text` as UTF-8, a lone surrogate counting as the replacement character. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else {
      bytes += 2;
      // A pair is four bytes for its two units.
      const isPair = (unit & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
      if (isPair) i++;
    }
  }
  return bytes;
}

/** What an entry counts towards `max_bytes`: its key and its value as JSON, in UTF-8. */
export function entryBytes(key: string, value: Json): number {
  return utf8Length(key) + utf8Length(JSON.stringify(value));
}
