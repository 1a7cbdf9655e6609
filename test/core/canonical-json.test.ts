// RFC 8785 against its own examples and an independent implementation.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import canonicalize from "canonicalize";
import fc from "fast-check";

import { canonicalJson } from "../../src/core/canonical-json.ts";
import type { Json } from "../../src/core/json.ts";

describe("canonical JSON", () => {
  it("writes the example of RFC 8785 section 3.2.3", () => {
    const value = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    const order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
    const written = canonicalJson(value);
    const places = order.map((word) => written.indexOf(word));
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
    assert.ok(places.every((place) => place > 0));
  });

  it("writes numbers as section 3.2.2.3 does", () => {
    assert.equal(
      canonicalJson([333333333.3333333, 1e30, 4.5, 0.002, 1e-27, -0]),
      "[333333333.3333333,1e+30,4.5,0.002,1e-27,0]",
    );
  });

  it("says the same as the canonicalize package", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
        if (!JSON.stringify(value).isWellFormed() || /\\ud[89a-f]/.test(JSON.stringify(value))) return;
        assert.equal(canonicalJson(value as Json), canonicalize(value));
      }),
      { numRuns: 500 },
    );
  });

  it("is the platform's own text for a list of texts and nulls, which is what a log signs", () => {
    const item = fc.option(fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()));
    fc.assert(
      fc.property(fc.array(item), (list) => {
        assert.equal(JSON.stringify(list), canonicalJson(list));
      }),
    );
  });

  it("refuses what has no canonical form", () => {
    for (const value of ["\ud800", { "\udc00": 1 }, [Number.NaN], Number.POSITIVE_INFINITY]) {
      assert.throws(() => canonicalJson(value), RangeError);
    }
    assert.throws(() => canonicalJson(undefined as unknown as Json), TypeError);
  });
});
