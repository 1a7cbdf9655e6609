// What counts as JSON decides what may be stored, sent and signed.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { isJson, isObject } from "../../src/core/json.ts";

function nest(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
  return value;
}

describe("isJson()", () => {
  const good: readonly unknown[] = [
    null,
    true,
    "",
    "\u0000\ud800",
    0,
    -1.5,
    Number.MAX_SAFE_INTEGER,
    [],
    {},
    { a: [1, { b: null }], "": "empty key" },
    Object.assign(Object.create(null), { a: 1 }),
    JSON.parse('{"__proto__": {"a": 1}}'),
  ];
  for (const value of good) it(`takes ${JSON.stringify(value)}`, () => assert.equal(isJson(value), true));

  class Money {
    readonly cents = 1;
  }
  const bad: Readonly<Record<string, unknown>> = {
    undefined: undefined,
    NaN: Number.NaN,
    "an infinity": Number.NEGATIVE_INFINITY,
    "a bigint": 1n,
    "a symbol": Symbol("s"),
    "a function": () => 1,
    "a date": new Date(0),
    bytes: new Uint8Array(1),
    "a map": new Map(),
    "an instance of a class": new Money(),
    "a boxed number": Object(1),
    "undefined in an array": [undefined],
    "undefined in an object": { a: undefined },
    "NaN deep inside": { a: [{ b: [Number.NaN] }] },
  };
  for (const [name, value] of Object.entries(bad)) {
    it(`refuses ${name}`, () => assert.equal(isJson(value), false));
  }

  it("takes 64 levels and refuses 65, unless told otherwise", () => {
    assert.equal(isJson(nest(64)), true);
    assert.equal(isJson(nest(65)), false);
    assert.equal(isJson(nest(2), 2), true);
    assert.equal(isJson(nest(3), 2), false);
    assert.equal(isJson("flat", 0), true);
  });

  it("comes back from a cycle", () => {
    const ring: unknown[] = [];
    ring.push({ ring });
    assert.equal(isJson(ring), false);
  });
});

describe("isObject()", () => {
  it("takes objects that are neither null nor arrays", () => {
    assert.deepEqual([{}, Object.create(null), new Date(0)].map(isObject), [true, true, true]);
    assert.deepEqual([null, [], "text", 1, undefined, () => 1].map(isObject), [
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
