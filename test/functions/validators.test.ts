// What the validators let through, what they refuse, and the types and schemas that follow from them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { argsJsonSchema, type ArgsSpec, type InferArgs, parseArgs, v } from "../../src/functions/validators.ts";

type Equals<A, B> = [A, B] extends [B, A] ? (keyof A extends keyof B ? true : false) : false;

function pathsOf(spec: ArgsSpec, input: unknown): string[] {
  const parsed = parseArgs(spec, input);
  return parsed.ok ? [] : parsed.problems.map(({ path }) => path);
}

function valueOf(spec: ArgsSpec | null, input: unknown): unknown {
  const parsed = parseArgs(spec, input);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

const SCALARS = [
  { name: "string", validator: v.string(), fits: ["", "a", "ünï"], not: [1, null, true, [], {}] },
  { name: "richtext", validator: v.richtext(), fits: ["<p>a</p>"], not: [1, null] },
  { name: "number", validator: v.number(), fits: [0, -1.5, 1e300], not: ["1", NaN, Infinity, null, 1n] },
  { name: "float", validator: v.float(), fits: [0.1], not: ["0.1"] },
  { name: "int", validator: v.int(), fits: [0, -7, 2 ** 53 - 1], not: [1.5, 2 ** 53, "1", NaN, null] },
  { name: "boolean", validator: v.boolean(), fits: [true, false], not: [0, 1, "true", null] },
  { name: "bool", validator: v.bool(), fits: [true, false], not: [0] },
  {
    name: "datetime",
    validator: v.datetime(),
    fits: ["2026-04-28T10:32:00Z", "2024-02-29T23:59:59.123+05:30"],
    not: ["2026-02-30T00:00:00Z", "2026-04-28", "yesterday", 0, null],
  },
  { name: "id", validator: v.id("Order"), fits: ["ord_1", "x".repeat(128)], not: ["", "x".repeat(129), 5, null] },
  { name: "literal", validator: v.literal("a"), fits: ["a"], not: ["b", null, ["a"]] },
  { name: "null", validator: v.null(), fits: [null], not: [0, "", false] },
  { name: "any", validator: v.any(), fits: [null, 0, "a", [1, { b: null }]], not: [() => 1, NaN, [Symbol("s")]] },
  { name: "array", validator: v.array(v.int()), fits: [[], [1, 2]], not: [{}, "ab", null] },
];

describe("the validators", () => {
  for (const { name, validator, fits, not } of SCALARS) {
    it(`v.${name} lets through what it names and nothing else`, () => {
      for (const value of fits) assert.deepEqual(valueOf({ a: validator }, { a: value }), { a: value });
      for (const value of not)
        assert.equal(pathsOf({ a: validator }, { a: value }).length, 1, `${name} ${typeof value}`);
    });
  }

  it("v.union takes the first alternative that fits", () => {
    const spec = { a: v.union(v.literal("x"), v.int(), v.object({ k: v.string() })) };
    for (const a of ["x", 5, { k: "" }]) assert.deepEqual(valueOf(spec, { a }), { a });
    for (const a of ["y", 5.5, { k: 1 }, { k: "", l: 1 }, null]) assert.deepEqual(pathsOf(spec, { a }), ["a"]);
    assert.throws(() => v.union(), TypeError);
  });

  it("an optional key may be missing, undefined or null, written either way", () => {
    const spec = { a: v.optional(v.string()), b: v.string().optional() };
    for (const input of [{}, undefined, null, { a: undefined }, { a: null, b: null }]) {
      assert.deepEqual(valueOf(spec, input), {});
    }
    assert.deepEqual(pathsOf(spec, { a: 1, b: 2 }), ["a", "b"]);
    assert.deepEqual(valueOf({ a: v.optional(v.union(v.null(), v.int())) }, { a: null }), { a: null });
  });

  it("lists every problem at once, with its place", () => {
    const spec = { a: v.string(), b: v.array(v.object({ n: v.int() })), c: v.bool(), d: v.any() };
    const input = { a: 1, b: [{ n: 1 }, { n: "x", extra: 1 }, 5], d: { deep: [1, undefined, () => 1] }, z: 1 };
    assert.deepEqual(pathsOf(spec, input), ["z", "a", "b.1.extra", "b.1.n", "b.2", "c", "d.deep.2"]);
  });

  it("refuses what is no object, and what has only inherited the keys", () => {
    for (const input of [5, "a", true, [], [{}]]) assert.deepEqual(pathsOf({}, input), [""]);
    assert.deepEqual(pathsOf({ a: v.string() }, Object.create({ a: "x" })), ["a"]);
    assert.deepEqual(pathsOf({}, JSON.parse('{"__proto__":{"a":1}}')), ["__proto__"]);
  });

  it("copies what it lets through, a key named __proto__ included", () => {
    const input = JSON.parse('{"a":{"__proto__":{"isAdmin":true},"list":[1]}}') as { a: { list: number[] } };
    const read = valueOf({ a: v.any() }, input) as { a: { list: number[]; isAdmin?: boolean } };
    assert.deepEqual(Object.keys(read.a), ["__proto__", "list"]);
    assert.equal(read.a.isAdmin, undefined);
    input.a.list.push(2);
    assert.deepEqual(read.a.list, [1]);
  });

  it("answers in bounds for unbounded input", () => {
    const keys = Array.from({ length: 1000 }, (_, i) => [`${"k".repeat(10_000)}${i}`, 1] as const);
    const parsed = parseArgs({ a: v.string() }, Object.fromEntries(keys));
    assert.ok(!parsed.ok && parsed.problems.length === 100);
    assert.ok(JSON.stringify(parsed).length < 20_000);
  });

  it("without a spec takes any JSON object", () => {
    assert.deepEqual(valueOf(null, { a: [1], b: { c: null } }), { a: [1], b: { c: null } });
    assert.equal(parseArgs(null, [1]).ok, false);
    assert.equal(parseArgs(null, { f: () => 1 }).ok, false);
  });

  it("refuses a spec that is none, when it is made", () => {
    assert.throws(() => v.object({ a: "string" } as never), TypeError);
    assert.throws(() => v.object(v.string() as never), TypeError);
  });
});

describe("argsJsonSchema", () => {
  it("describes what parseArgs takes", () => {
    const spec = {
      id: v.id("Order"),
      count: v.optional(v.int()),
      kind: v.union(v.literal("a"), v.null()),
      lines: v.array(v.object({ at: v.datetime() })),
    };
    assert.deepEqual(argsJsonSchema(spec), {
      type: "object",
      properties: {
        id: { type: "string", minLength: 1, maxLength: 128, "x-entity": "Order" },
        count: { type: "integer" },
        kind: { anyOf: [{ const: "a" }, { type: "null" }] },
        lines: {
          type: "array",
          items: {
            type: "object",
            properties: { at: { type: "string", format: "date-time" } },
            required: ["at"],
            additionalProperties: false,
          },
        },
      },
      required: ["id", "kind", "lines"],
      additionalProperties: false,
    });
    assert.deepEqual(argsJsonSchema(null), { type: "object" });
  });
});

describe("InferArgs", () => {
  it("gives the types of the arguments", () => {
    const spec = {
      s: v.string(),
      n: v.int(),
      b: v.bool(),
      id: v.id("Order"),
      o: v.optional(v.string()),
      l: v.array(v.union(v.literal("x"), v.null())),
      d: v.object({ e: v.float(), f: v.boolean().optional() }),
    };
    type Expected = {
      s: string;
      n: number;
      b: boolean;
      id: string;
      l: ("x" | null)[];
      d: { e: number; f?: boolean | undefined };
      o?: string | undefined;
    };
    const same: Equals<InferArgs<typeof spec>, Expected> = true;
    assert.equal(same, true);
  });
});
