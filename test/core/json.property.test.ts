// JSON stays JSON: what comes out of a parser is taken, what a serializer would change is refused.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import fc from "fast-check";

import { isJson } from "../../src/core/json.ts";

describe("isJson()", () => {
  it("takes whatever a parser gives", () => {
    fc.assert(fc.property(fc.json({ maxDepth: 5 }), (text) => assert.equal(isJson(JSON.parse(text)), true)));
  });

  it("takes nothing that a round trip would change", () => {
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withUnicodeString: true,
      withBoxedValues: true,
    });
    fc.assert(
      fc.property(value, (candidate) => {
        if (isJson(candidate)) assert.deepEqual(JSON.parse(JSON.stringify(candidate)), normalize(candidate));
      }),
    );
  });
});

/** JSON has one zero. */
function normalize(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(normalize);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normalize(item)]));
}
