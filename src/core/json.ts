// JSON values as a type, and reading them without trust.

export type JsonPrimitive = string | number | boolean | null;
export type Json = JsonPrimitive | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Whether `value` is a plain object: not null, not an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Every index is looked at: `every` would pass over the holes of a sparse array, which JSON turns into nulls. */
function isJsonArray(items: readonly unknown[], maxDepth: number): boolean {
  for (let index = 0; index < items.length; index++) if (!isJson(items[index], maxDepth)) return false;
  return true;
}

/** Whether `value` survives a JSON round trip (-0 as 0). Refuses NaN, infinities, undefined, functions and depth past `maxDepth`. */
export function isJson(value: unknown, maxDepth = 64): value is Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value);
    case "object":
      if (value === null) return true;
      if (maxDepth === 0) return false;
      if (Array.isArray(value)) return isJsonArray(value, maxDepth - 1);
      if (Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null) return false;
      return Object.values(value).every((item) => isJson(item, maxDepth - 1));
    default:
      return false;
  }
}
