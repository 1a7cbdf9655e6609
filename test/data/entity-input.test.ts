// What the compiled checks of an entity accept, refuse and normalise.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compileEntity, type ParseResult } from "../../src/data/entity-input.ts";
import { entity, field } from "../../src/manifest/dsl.ts";
import type { Row, Value } from "../../src/store/store.ts";

const codec = compileEntity(
  entity("All", {
    name: field.string(),
    count: field.int().optional(),
    ratio: field.float().optional(),
    open: field.bool().optional(),
    at: field.datetime().optional(),
    body: field.richtext().optional(),
    meta: field.json().optional(),
    owner: field.id("User").optional(),
  }),
);
const EMPTY = { count: null, ratio: null, open: null, at: null, body: null, meta: null, owner: null };

function dataOf(result: ParseResult): Record<string, Value> {
  assert.ok(result.ok, JSON.stringify(result));
  return result.data;
}

function pathsOf(result: ParseResult): string[] {
  assert.ok(!result.ok, "was let through");
  for (const { message } of result.problems) assert.match(message, /^[A-Z][^\n]+[^.]$/);
  return result.problems.map(({ path }) => path);
}

/** Every value of one optional field, put in as an update. */
function check(name: string, fitting: readonly unknown[], misfits: readonly unknown[]): void {
  for (const value of fitting) assert.deepEqual(dataOf(codec.parseUpdate({ [name]: value })), { [name]: value });
  for (const value of misfits) assert.deepEqual(pathsOf(codec.parseUpdate({ [name]: value })), [name]);
}

describe("parseInsert", () => {
  it("gives every field, absent optional ones as null", () => {
    assert.deepEqual(dataOf(codec.parseInsert({ name: "a" })), { name: "a", ...EMPTY });
    assert.deepEqual(dataOf(codec.parseInsert({ name: "a", count: undefined, ratio: null })), { name: "a", ...EMPTY });
  });

  it("lists every problem at once", () => {
    const input = { id: "x", count: "1", ratio: Number.NaN, open: 1, at: "today", meta: 1n, nme: "a", owner: "" };
    assert.deepEqual(pathsOf(codec.parseInsert(input)).toSorted(), [
      "at",
      "count",
      "id",
      "meta",
      "name",
      "nme",
      "open",
      "owner",
      "ratio",
    ]);
    assert.deepEqual(pathsOf(codec.parseInsert({ name: null })), ["name"]);
    assert.deepEqual(pathsOf(codec.parseInsert({ name: "a", extra: undefined })), ["extra"]);
    for (const input of [null, undefined, "a", 5, [], [{}]]) assert.deepEqual(pathsOf(codec.parseInsert(input)), [""]);
  });

  it("takes nothing from a prototype, and no key of one", () => {
    assert.deepEqual(pathsOf(codec.parseInsert(Object.create({ name: "a" }))), ["name"]);
    const attack: unknown = JSON.parse('{"name": "a", "__proto__": {"isAdmin": true}, "constructor": 1}');
    assert.deepEqual(pathsOf(codec.parseInsert(attack)), ["__proto__", "constructor"]);
  });

  it("answers in bounds for unbounded input", () => {
    const keys = Array.from({ length: 1000 }, (_, index) => [`${"k".repeat(10_000)}${index}`, 1] as const);
    const result = codec.parseInsert(Object.fromEntries(keys));
    assert.ok(!result.ok && result.problems.length === 100);
    assert.ok(JSON.stringify(result).length < 20_000);
  });
});

describe("a JSON field that does not fit", () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
  const misfits: readonly (readonly [what: string, value: unknown, message: RegExp])[] = [
    ["a number too large to be read", JSON.parse('{"n":[1,1e400]}'), /^Expected finite numbers, got Infinity at n\.1$/],
    ["the number itself", JSON.parse("-1e400"), /^Expected finite numbers, got -Infinity$/],
    ["NaN", { n: Number.NaN }, /^Expected finite numbers, got NaN at n$/],
    ["too many levels", nested(65), /^Expected a JSON value, got more than 64 levels at a\.a\./],
    ["a function", { f: () => 1 }, /^Expected a JSON value, got function at f$/],
    ["a Map", new Map(), /^Expected a JSON value, got an instance of Map$/],
    ["a Date", { at: new Date(0) }, /^Expected a JSON value$/],
    ["U+0000", { text: "\0" }, /^JSON text cannot hold U\+0000 or a lone surrogate$/],
  ];
  for (const [what, value, message] of misfits) {
    it(`is told why: ${what}`, () => {
      const result = codec.parseUpdate({ meta: value });
      assert.ok(!result.ok, "was let through");
      assert.match(result.problems[0]?.message ?? "", message);
    });
  }
});

describe("parseUpdate", () => {
  it("takes only what is given", () => {
    assert.deepEqual(dataOf(codec.parseUpdate({})), {});
    assert.deepEqual(dataOf(codec.parseUpdate({ count: 5, ratio: undefined })), { count: 5 });
    assert.deepEqual(dataOf(codec.parseUpdate({ count: null })), { count: null });
    assert.deepEqual(pathsOf(codec.parseUpdate({ name: null, id: "x" })), ["name", "id"]);
  });

  it("knows what fits each type", () => {
    check("name", ["", "a", "ä\u{1f600}", "x".repeat(100_000)], [1, true, {}, [], "a\0", "\ud800", "x\udc00"]);
    check("body", ["<p>"], [1, "\0"]);
    check("count", [0, -5, 2 ** 53 - 1, -(2 ** 53 - 1)], [1.5, 2 ** 53, Number.NaN, Infinity, "1", true, 1n, {}]);
    check("ratio", [0, -1.5, 1e308, 5e-324], [Number.NaN, Infinity, -Infinity, "1.5", 1n, false]);
    check("open", [true, false], [0, 1, "true", {}]);
    check("owner", ["u", "01J".repeat(40)], ["", "x".repeat(129), 5, {}, "\0", "\ud800"]);
    check("meta", [0, "", false, [], {}, { a: [1, { b: null }] }], [1n, Number.NaN, new Date(0), () => 1]);
    check("meta", [], ["\0", ["\ud800"], { "a\0": 1 }, { a: { b: "\0" } }, { "\udfff": 1 }]);
  });

  it("normalises datetimes and negative zero", () => {
    const at = (text: unknown): ParseResult => codec.parseUpdate({ at: text });
    assert.deepEqual(dataOf(at("2026-04-28T10:32:00+02:00")), { at: "2026-04-28T08:32:00.000Z" });
    for (const value of ["2026-02-30T00:00:00Z", "2026-04-28", "", 1_767_225_600_000, new Date(0)]) {
      assert.deepEqual(pathsOf(at(value)), ["at"]);
    }
    const { count, ratio } = dataOf(codec.parseUpdate({ count: -0, ratio: -0 }));
    assert.ok(Object.is(count, 0) && Object.is(ratio, 0));
  });

  it("refuses json that is too deep or contains itself", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100; level++) deep = [deep];
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    check("meta", [], [deep, circular]);
  });
});

describe("parseFilterText", () => {
  const value = (name: string, text: string): unknown => {
    const result = codec.parseFilterText(name, text);
    return result.ok ? result.value : result.problem.path;
  };

  it("reads text by the type of the field", () => {
    assert.equal(value("id", "u1"), "u1");
    assert.equal(value("name", ""), "");
    assert.equal(value("name", "5"), "5");
    assert.equal(value("count", "-12"), -12);
    assert.equal(value("ratio", "-1.5e3"), -1500);
    assert.equal(value("open", "true"), true);
    assert.equal(value("open", "false"), false);
    assert.equal(value("at", "2026-04-28T10:32:00+02:00"), "2026-04-28T08:32:00.000Z");
    assert.equal(value("owner", "u1"), "u1");
  });

  it("answers a problem for what means nothing", () => {
    const misfits: [string, string][] = [
      ["count", ""],
      ["count", "1.0"],
      ["count", " 1"],
      ["count", "0x10"],
      ["count", "9007199254740992"],
      ["ratio", ""],
      ["ratio", "Infinity"],
      ["ratio", "1e999"],
      ["ratio", ".5"],
      ["open", "1"],
      ["open", "TRUE"],
      ["at", "yesterday"],
      ["owner", ""],
      ["name", "\0"],
      ["meta", "{}"],
      ["nope", "1"],
      ["__proto__", "1"],
    ];
    for (const [name, text] of misfits) {
      const result = codec.parseFilterText(name, text);
      assert.ok(!result.ok && result.problem.path === name, `${name}=${text}`);
    }
  });
});

describe("parseFilterValue", () => {
  it("reads values like an input, and null for any field", () => {
    assert.deepEqual(codec.parseFilterValue("count", 5), { ok: true, value: 5 });
    assert.deepEqual(codec.parseFilterValue("name", null), { ok: true, value: null });
    assert.deepEqual(codec.parseFilterValue("at", "2026-04-28T10:32:00Z"), {
      ok: true,
      value: "2026-04-28T10:32:00.000Z",
    });
    assert.equal(codec.parseFilterValue("count", "5").ok, false);
    assert.equal(codec.parseFilterValue("count", undefined).ok, false);
    assert.equal(codec.parseFilterValue("toString", 1).ok, false);
  });
});

describe("toJson", () => {
  it("gives id and every field in order, and nothing else", () => {
    const row: Row = { meta: { a: 1 }, hidden: "x", count: 2n ** 60n, name: "a", id: "r1" };
    const json = codec.toJson(row);
    assert.deepEqual(Object.keys(json), ["id", "name", "count", "ratio", "open", "at", "body", "meta", "owner"]);
    assert.deepEqual(json, { id: "r1", name: "a", ...EMPTY, count: "1152921504606846976", meta: { a: 1 } });
  });
});

describe("toText", () => {
  it("is the text of toJson, of whichever row is asked for", () => {
    const rows: Row[] = [
      { id: "r1", name: 'a "b"', count: 2n ** 60n, meta: { a: [1] } },
      { id: "r1", name: "c" },
    ];
    for (const row of [...rows, ...rows, ...rows.toReversed()]) {
      assert.equal(codec.toText(row), JSON.stringify(codec.toJson(row)));
    }
  });
});

describe("a codec, for any input", () => {
  const names = ["id", "name", "count", "ratio", "open", "at", "meta", "owner", "nope", "__proto__"];
  const value = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true }),
    fc.constantFrom(null, "u1", 5, true),
    fc.jsonValue(),
  );
  const input = fc.oneof(fc.anything(), fc.dictionary(fc.constantFrom(...names), value));

  function assertStable(parse: (input: unknown) => ParseResult, input: unknown): void {
    const result = parse(input);
    if (!result.ok) {
      assert.ok(result.problems.length > 0);
      return;
    }
    // What was let through survives JSON, and is let through again unchanged.
    const again: unknown = JSON.parse(JSON.stringify(result.data));
    assert.deepEqual(parse(again), { ok: true, data: again });
  }

  it("answers with data that reads back, or with problems", () => {
    fc.assert(
      fc.property(input, (input) => {
        assertStable((value) => codec.parseInsert(value), input);
        assertStable((value) => codec.parseUpdate(value), input);
      }),
      { numRuns: 1000 },
    );
  });

  it("agrees with itself about text and values", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        (count, ratio, open) => {
          assert.deepEqual(codec.parseFilterText("count", String(count)), { ok: true, value: count + 0 });
          assert.deepEqual(codec.parseFilterText("ratio", String(ratio)), { ok: true, value: ratio + 0 });
          assert.deepEqual(codec.parseFilterText("open", String(open)), { ok: true, value: open });
        },
      ),
    );
  });
});
