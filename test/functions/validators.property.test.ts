// Random validators against the values that they describe: whatever fits is let through unchanged, and whatever is let
// through is JSON that fits again.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isJson } from "../../src/core/json.ts";
import { toJson } from "../../src/core/to-json.ts";
import { type ArgsSpec, parseArgs, type Validator, v } from "../../src/functions/validators.ts";

interface Pair {
  readonly validator: Validator;
  readonly value: unknown;
}

const key = fc.stringMatching(/^[a-z]{1,6}$/);
const epochMs = fc.integer({ min: 0, max: 4e12 });

const { pair } = fc.letrec<{ pair: Pair }>((tie) => ({
  pair: fc.oneof(
    { maxDepth: 3 },
    fc.string().map((value) => ({ validator: v.string(), value })),
    fc.maxSafeInteger().map((value) => ({ validator: v.int(), value })),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({ validator: v.number(), value })),
    fc.boolean().map((value) => ({ validator: v.bool(), value })),
    epochMs.map((ms) => ({ validator: v.datetime(), value: new Date(ms).toISOString() })),
    fc.constant({ validator: v.null(), value: null }),
    fc.string().map((value) => ({ validator: v.literal(value), value })),
    fc.jsonValue({ noUnicodeString: false }).map((value) => ({ validator: v.any(), value })),
    tie("pair").map(({ validator, value }) => ({ validator: v.array(validator), value: [value, value] })),
    fc
      .tuple(tie("pair"), tie("pair"))
      .map(([a, b]) => ({ validator: v.union(a.validator, b.validator), value: b.value })),
    fc.dictionary(key, tie("pair"), { noNullPrototype: true }).map((pairs) => ({
      validator: v.object(Object.fromEntries(Object.entries(pairs).map(([name, each]) => [name, each.validator]))),
      value: Object.fromEntries(Object.entries(pairs).map(([name, each]) => [name, each.value])),
    })),
  ),
}));

describe("any validator", () => {
  it("lets through, unchanged, what it describes", () => {
    fc.assert(
      fc.property(pair, ({ validator, value }) => {
        const parsed = parseArgs({ a: validator }, { a: value });
        assert.ok(parsed.ok, JSON.stringify(parsed));
        // `deepEqual` of JSON text: -0 and 0 are the same there.
        assert.equal(JSON.stringify(parsed.value), JSON.stringify({ a: value }));
      }),
    );
  });

  it("lets nothing through that is not JSON or would not be let through again, and never throws", () => {
    fc.assert(
      fc.property(pair, fc.anything({ withBigInt: true, withDate: true, withMap: true }), ({ validator }, value) => {
        const spec: ArgsSpec = { a: validator };
        const parsed = parseArgs(spec, { a: value });
        if (!parsed.ok) return assert.ok(parsed.problems.length > 0 && parsed.problems.length <= 100);
        assert.ok(isJson(parsed.value));
        assert.deepEqual(parseArgs(spec, parsed.value), parsed);
      }),
    );
  });

  it("lets an optional key through whenever the required one is", () => {
    fc.assert(
      fc.property(pair, ({ validator, value }) => {
        const parsed = parseArgs({ a: v.optional(validator) }, { a: value });
        assert.ok(parsed.ok && parseArgs({ a: v.optional(validator) }, {}).ok);
        if (value !== null) assert.equal(JSON.stringify(parsed.value), JSON.stringify({ a: value }));
      }),
    );
  });
});

describe("toJson", () => {
  it("is a deep copy of any JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copied = toJson(value);
        assert.ok(copied.ok);
        assert.deepEqual(copied.value, value);
        if (typeof value === "object" && value !== null) assert.notEqual(copied.value, value);
      }),
    );
  });

  it("gives JSON or a place, for anything at all", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true }), (value) => {
        const copied = toJson(value);
        if (copied.ok) assert.ok(isJson(copied.value, 65));
        else assert.equal(typeof copied.path, "string");
      }),
    );
  });
});
