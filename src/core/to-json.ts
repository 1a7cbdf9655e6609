// Turns what application code hands over into a JSON value of its own: the copy shares nothing with the original, so
// neither side can change the other's later.

import type { Json } from "./json.ts";

export const MAX_JSON_DEPTH = 64;

/** A value, or the first place that JSON cannot hold. `path` is dotted and empty for the value itself. */
export type JsonCopy =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly path: string; readonly message: string };

/** Names what a value is, for messages: never the value itself, which may be a secret. */
export function describeValue(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return typeof value;
}

const MAX_KEY_CHARS = 64;

/** One step further into a value; keys are cut, because an input may choose them. */
export function joinPath(path: string, key: string | number): string {
  const step = String(key).slice(0, MAX_KEY_CHARS);
  return path === "" ? step : `${path}.${step}`;
}

interface Failure {
  path: string;
  message: string;
  /** What lay too deep. */
  readonly tooDeep?: object;
  /** Where it stood before, on the way down. */
  before?: string;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function hasToJson(value: object): value is { toJSON(): unknown } {
  return "toJSON" in value && typeof value.toJSON === "function";
}

/** On the way up: what lay too deep and stands here as well is a cycle, told by the place where that comes again. */
function noteCycle(failure: Failure | undefined, value: object, path: string): void {
  if (failure?.tooDeep !== value) return;
  failure.path = failure.before ?? failure.path;
  failure.before = path;
  failure.message = "a cycle";
}

function copyObject(value: object, path: string, depth: number, failures: Failure[]): Json {
  if (depth === 0) {
    failures.push({ path, message: `more than ${MAX_JSON_DEPTH} levels`, tooDeep: value });
    return null;
  }
  const copied = copyItems(value, path, depth, failures);
  noteCycle(failures[0], value, path);
  return copied;
}

function copyItems(value: object, path: string, depth: number, failures: Failure[]): Json {
  if (hasToJson(value)) return copy(value.toJSON(), path, depth - 1, failures);
  if (Array.isArray(value)) return value.map((item, i) => copy(item ?? null, joinPath(path, i), depth - 1, failures));
  if (!isPlain(value)) return refuse(failures, path, `an instance of ${value.constructor.name || "a class"}`);
  // `fromEntries` defines properties: a key named "__proto__" stays a key.
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, copy(item, joinPath(path, key), depth - 1, failures)]),
  );
}

function refuse(failures: Failure[], path: string, message: string): null {
  failures.push({ path, message });
  return null;
}

function copy(value: unknown, path: string, depth: number, failures: Failure[]): Json {
  // One failure ends the walk: a cycle through a wide object would otherwise take for ever.
  if (failures.length > 0) return null;
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : refuse(failures, path, describeValue(value));
    case "bigint":
      return value.toString();
    case "object":
      return value === null ? null : copyObject(value, path, depth, failures);
    default:
      return refuse(failures, path, describeValue(value));
  }
}

/**
 * Copies `value` as JSON: like `JSON.stringify` it drops properties that are undefined and asks `toJSON` (a Date becomes
 * its ISO form), and unlike it, it refuses what would be lost: NaN, functions, maps, class instances, cycles. `undefined`
 * itself becomes null, and a bigint its decimal text, as rows answer integers beyond 2^53.
 */
export function toJson(value: unknown): JsonCopy {
  const failures: Failure[] = [];
  const copied = value === undefined ? null : copy(value, "", MAX_JSON_DEPTH, failures);
  const [failure] = failures;
  return failure ? { ok: false, path: failure.path, message: failure.message } : { ok: true, value: copied };
}
