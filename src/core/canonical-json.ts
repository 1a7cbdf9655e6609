// JSON in its one canonical form (RFC 8785), so that equal values have equal bytes under a hash or a signature.

import { isObject, type Json } from "./json.ts";

function canonicalText(text: string): string {
  // RFC 8785 section 3.2.2.2: what has no UTF-8 has no canonical form.
  if (!text.isWellFormed()) throw new RangeError("A lone surrogate has no canonical JSON");
  return JSON.stringify(text);
}

function canonicalNumber(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`${value} has no canonical JSON`);
  return JSON.stringify(value);
}

/** Members sorted by the UTF-16 code units of their names (section 3.2.3), which is what the language's own order is. */
function canonicalObject(value: Readonly<Record<string, unknown>>): string {
  const members = Object.keys(value)
    .sort()
    .map((name) => `${canonicalText(name)}:${canonicalJson(value[name] as Json)}`);
  return `{${members.join(",")}}`;
}

/**
 * The canonical form of a JSON value.
 *
 * @throws RangeError for lone surrogates, NaN and infinities; TypeError for what is no JSON.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === "string") return canonicalText(value);
  if (typeof value === "number") return canonicalNumber(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item as Json)).join(",")}]`;
  if (isObject(value)) return canonicalObject(value);
  throw new TypeError(`A ${typeof value} is no JSON`);
}
