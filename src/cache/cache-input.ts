// Checks what application code hands to a cache, before anything is touched.

import type { Json } from "../core/json.ts";
import { describeValue, joinPath, MAX_JSON_DEPTH } from "../core/to-json.ts";
import { cacheError } from "./cache-errors.ts";

export const MAX_KEY_CHARS = 65_536;
const MAX_SHOWN_CHARS = 64;
/** Ten years. */
export const MAX_TTL_SECS = 315_360_000;

/** @throws CACHE_KEY_INVALID */
export function assertKey(key: unknown): asserts key is string {
  if (typeof key === "string" && key.length <= MAX_KEY_CHARS) return;
  const what = typeof key === "string" ? `a string of ${key.length} characters` : describeValue(key);
  throw cacheError("CACHE_KEY_INVALID", { message: `Cannot use this as a key: ${what}` });
}

/** @throws CACHE_LOADER_INVALID */
export function assertLoader(loader: unknown): asserts loader is () => unknown {
  if (typeof loader === "function") return;
  throw cacheError("CACHE_LOADER_INVALID", { message: `Cannot load with this: ${describeValue(loader)}` });
}

/** Refuses what would be ignored. @throws CACHE_OPTION_INVALID */
export function assertOptions(options: unknown): void {
  if (options === undefined || options === null) return;
  if (typeof options !== "object") {
    throw cacheError("CACHE_OPTION_INVALID", {
      message: `Cannot use these options: ${describeValue(options)}`,
      hint: "Options are an object: { ttl_secs: 60 }",
    });
  }
  for (const name in options) {
    if (name === "ttl_secs" || name === "stale_secs") continue;
    const meant = name.toLowerCase().startsWith("stale") ? "stale_secs" : "ttl_secs";
    throw cacheError("CACHE_OPTION_INVALID", {
      message: `There is no option "${name.slice(0, MAX_SHOWN_CHARS)}": use ${meant}`,
    });
  }
}

/** Milliseconds; 0 for what is over already. @throws CACHE_OPTION_INVALID */
export function toMs(secs: unknown, name: string): number {
  if (typeof secs === "number" && secs <= MAX_TTL_SECS) return Math.max(0, secs * 1_000);
  throw cacheError("CACHE_OPTION_INVALID", {
    message: `Cannot use ${name}: expected a number of at most ${MAX_TTL_SECS}`,
  });
}

/** Where in a value the copying is. */
type Trail = (string | number)[];

function refusal(what: string, trail: Trail): Error {
  const path = trail.reduce<string>((begun, step) => joinPath(begun, step), "");
  const at = path === "" ? "" : ` at ${path}`;
  return cacheError("CACHE_VALUE_INVALID", { message: `Cannot cache this value: ${what}${at}` });
}

function putItem(object: Record<string, Json>, key: string, value: Json): void {
  // An assignment would set the prototype instead of a property.
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

function copyArrayIn(value: readonly unknown[], trail: Trail): Json {
  const copied: Json[] = [];
  // By index, which finds holes as well.
  for (let index = 0; index < value.length; index++) {
    trail.push(index);
    copied.push(copyItemIn(value[index], trail));
    trail.pop();
  }
  return copied;
}

function copyPlainIn(value: Readonly<Record<string, unknown>>, trail: Trail): Json {
  const copied: Record<string, Json> = {};
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (item === undefined) continue;
    trail.push(key);
    putItem(copied, key, copyItemIn(item, trail));
    trail.pop();
  }
  return copied;
}

function nameOfClass(value: { readonly constructor?: { readonly name?: unknown } }): string {
  const name = value.constructor?.name;
  return typeof name === "string" && name !== "" ? name : "a class";
}

function copyObjectIn(value: object, trail: Trail): Json {
  if (trail.length >= MAX_JSON_DEPTH) throw refusal(`more than ${MAX_JSON_DEPTH} levels, or a cycle`, trail);
  if (Array.isArray(value)) return copyArrayIn(value, trail);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    if (Object.getOwnPropertySymbols(value).length > 0) throw refusal("a symbol as a key", trail);
    return copyPlainIn(value as Readonly<Record<string, unknown>>, trail);
  }
  if (!(value instanceof Date)) throw refusal(`an instance of ${nameOfClass(value)}`, trail);
  if (Number.isNaN(value.getTime())) throw refusal("an invalid Date", trail);
  return value.toISOString();
}

function copyItemIn(value: unknown, trail: Trail): Json {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "object") return copyObjectIn(value, trail);
  throw refusal(describeValue(value), trail);
}

/**
 * A copy that shares nothing with `value`. What would come back as something else is refused, but for a Date (its ISO form)
 * and properties that are undefined.
 *
 * @throws CACHE_VALUE_INVALID; never shows the value.
 */
export function copyIn(value: unknown): Json {
  return typeof value === "string" ? value : copyItemIn(value, []);
}

function copyObject(value: { readonly [key: string]: Json }): Json {
  const copied: Record<string, Json> = {};
  for (const key of Object.keys(value)) putItem(copied, key, copyOut(value[key] as Json));
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
