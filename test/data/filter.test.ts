// Filters of application code against a real database: every operator, and every problem with its place.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { entity, field } from "../../src/manifest/dsl.ts";
import { parseFilter } from "../../src/data/filter.ts";
import type { DataReader } from "../../src/data/data-reader.ts";
import { asFunction, errorOf, pathsOf, userOf, withData } from "./data-harness.ts";

const ITEM = entity("Item", {
  name: field.string().optional(),
  total: field.int().optional(),
  price: field.float().optional(),
  open: field.bool().optional(),
  at: field.datetime().optional(),
  meta: field.json().optional(),
  owner: field.id("Item").optional(),
});
const FN = asFunction(userOf("ada"));

const ROWS = [
  { name: "apple", total: 1, price: 0.5, open: true, at: "2026-01-01T00:00:00Z", meta: { a: 1 } },
  { name: "Apricot", total: 2, price: 1.5, open: false, at: "2026-01-02T00:00:00Z", meta: ["x"] },
  { name: "50% off_", total: 3, price: 2.5, open: true, at: "2026-01-03T00:00:00Z", meta: "x" },
  { name: "banana", total: 4, price: -1, open: false, at: "2026-01-04T00:00:00Z" },
  {},
];

/** Hands over a reader, and a way to ask it for the places of the rows that a filter finds. */
function withItems(
  run: (find: (filter: Record<string, unknown>) => Promise<number[]>, reader: DataReader) => Promise<void>,
): Promise<void> {
  return withData({ entities: [ITEM] }, async ({ data }) => {
    const ids: string[] = [];
    for (const row of ROWS) ids.push((await data.insert(FN, "Item", row)).id);
    const reader = data.read(FN);
    await run(async (filter) => (await reader.query("Item", filter)).map(({ id }) => ids.indexOf(id)), reader);
  });
}

describe("filters", () => {
  const cases: readonly (readonly [Record<string, unknown>, readonly number[]])[] = [
    [{}, [0, 1, 2, 3, 4]],
    [{ name: "apple" }, [0]],
    [{ name: "APPLE" }, []],
    [{ name: null }, [4]],
    [{ total: 2, open: false }, [1]],
    [{ open: true }, [0, 2]],
    [{ price: -1 }, [3]],
    [{ name: { $not: "apple" } }, [1, 2, 3, 4]],
    [{ name: { $not: null } }, [0, 1, 2, 3]],
    [{ total: { $gt: 2 } }, [2, 3]],
    [{ total: { $gte: 2 } }, [1, 2, 3]],
    [{ total: { $lt: 2 } }, [0]],
    [{ total: { $lte: 2 } }, [0, 1]],
    [{ total: { $gt: 1, $lt: 4 } }, [1, 2]],
    [{ price: { $gt: 0.5 } }, [1, 2]],
    [{ price: { $gte: -1, $lte: 0.5 } }, [0, 3]],
    [{ name: { $like: "ap" } }, [0, 1]],
    [{ name: { $like: "%" } }, [2]],
    [{ name: { $like: "_" } }, [2]],
    [{ name: { $like: "a_p" } }, []],
    [{ name: { $like: "" } }, [0, 1, 2, 3]],
    [{ at: { $like: "2026-01-03" } }, [2]],
    [{ total: { $in: [1, 4, 9] } }, [0, 3]],
    [{ total: { $in: [1, null] } }, [0, 4]],
    [{ total: { $in: [] } }, []],
    [{ total: { $in: [null] } }, [4]],
    [{ total: { $in: [1, 2], $not: 1 } }, [1]],
    // The same moment, however it is written.
    [{ at: "2026-01-02T01:00:00+01:00" }, [1]],
    [{ at: { $gt: "2026-01-02T01:00:00+01:00" } }, [2, 3]],
    [{ at: { $in: ["2026-01-01T00:00Z"] } }, [0]],
    [{ meta: "x" }, [2]],
    [{ meta: ["x"] }, [1]],
    [{ meta: null }, [3, 4]],
    [{ meta: { $in: [{ a: 1 }] } }, [0]],
    [{ meta: { $not: { a: 1 } } }, [1, 2, 3, 4]],
    [{ $order: { total: "desc" } }, [3, 2, 1, 0, 4]],
    [{ $order: { total: "asc" } }, [4, 0, 1, 2, 3]],
    [{ $order: { id: "desc" } }, [4, 3, 2, 1, 0]],
    [{ $order: { open: "asc" }, total: { $not: null } }, [1, 3, 0, 2]],
    [{ $limit: 2 }, [0, 1]],
    [{ $limit: 2, $offset: 3 }, [3, 4]],
    [{ $limit: 0 }, []],
    [{ $offset: 4 }, [4]],
    [{ $order: undefined, $limit: undefined, $offset: undefined }, [0, 1, 2, 3, 4]],
  ];
  for (const [filter, expected] of cases) {
    it(`find ${JSON.stringify(filter)}`, () =>
      withItems(async (find) => assert.deepEqual(await find(filter), expected)));
  }

  it("compare ids", () =>
    withItems(async (find, reader) => {
      const [first] = await reader.list("Item");
      assert.deepEqual(await find({ id: first?.id }), [0]);
      assert.deepEqual(await find({ id: { $gt: first?.id } }), [1, 2, 3, 4]);
      assert.deepEqual(await find({ id: { $in: [first?.id, "none"] } }), [0]);
    }));

  const refused: readonly (readonly [unknown, readonly string[]])[] = [
    [{ colour: 1 }, ["colour"]],
    [{ colour: 1, shape: { $gt: 1 } }, ["colour", "shape"]],
    [{ constructor: 1 }, ["constructor"]],
    [{ $or: [] }, ["$or"]],
    [{ total: { $near: 1 } }, ["total.$near"]],
    [{ total: { gt: 1 } }, ["total.gt"]],
    [{ total: { $toString: 1 } }, ["total.$toString"]],
    [{ total: {} }, ["total"]],
    [{ meta: {} }, ["meta"]],
    [{ total: "1" }, ["total"]],
    [{ total: 1.5 }, ["total"]],
    [{ total: { $gt: "1", $lt: true } }, ["total.$gt", "total.$lt"]],
    [{ open: 1 }, ["open"]],
    [{ name: undefined }, ["name"]],
    [{ name: "a\0b" }, ["name"]],
    [{ at: "yesterday" }, ["at"]],
    [{ at: { $gt: "2026-13-01T00:00:00Z" } }, ["at.$gt"]],
    [{ total: { $in: 1 } }, ["total.$in"]],
    [{ total: { $in: [1, "2", 3, true] } }, ["total.$in.1", "total.$in.3"]],
    [{ total: { $in: Array.from({ length: 1_001 }, () => 1) } }, ["total.$in"]],
    [{ name: { $like: 1 } }, ["name.$like"]],
    [{ name: { $like: null } }, ["name.$like"]],
    [{ name: { $like: "a\0b" } }, ["name.$like"]],
    [{ total: { $like: "1" } }, ["total.$like"]],
    [{ meta: { $like: "x" } }, ["meta.$like"]],
    [{ meta: { $gt: 1, $lte: 2 } }, ["meta.$gt", "meta.$lte"]],
    [{ $order: "total" }, ["$order"]],
    [{ $order: { total: "up" } }, ["$order"]],
    [{ $order: { total: "asc", name: "asc" } }, ["$order"]],
    [{ $order: {} }, ["$order"]],
    [{ $order: { colour: "asc" } }, ["$order"]],
    [{ $order: { meta: "asc" } }, ["$order"]],
    [{ $order: null }, ["$order"]],
    [{ $limit: -1 }, ["$limit"]],
    [{ $limit: "5" }, ["$limit"]],
    [{ $limit: 10_001, $offset: -1 }, ["$limit", "$offset"]],
    [{ $limit: null }, ["$limit"]],
    [{ $offset: 1.5 }, ["$offset"]],
    [null, [""]],
    ["total = 1", [""]],
    [[{ total: 1 }], [""]],
  ];
  for (const [filter, paths] of refused) {
    const shown = JSON.stringify(filter, (_, value: unknown) => (value === undefined ? "(undefined)" : value));
    it(`refuse ${shown.slice(0, 60)}`, () =>
      withItems(async (_, reader) => {
        const error = await errorOf(reader.query("Item", filter as Record<string, unknown>));
        assert.equal(error.code, "INVALID_QUERY");
        assert.deepEqual(error.details?.map(({ path }) => path).toSorted(), paths.toSorted());
      }));
  }

  it("list problems of every kind at once", () =>
    withItems(async (_, reader) => {
      const filter = { colour: 1, total: { $near: 1, $gt: "x" }, $order: { x: "asc" }, $limit: -1 };
      assert.deepEqual(await pathsOf(reader.query("Item", filter)), [
        "colour",
        "total.$near",
        "total.$gt",
        "$order",
        "$limit",
      ]);
    }));

  it("leave the filter as it was", () =>
    withData({ entities: [ITEM] }, async ({ data }) => {
      const filter = Object.freeze({ total: Object.freeze({ $in: Object.freeze([1]) }), $limit: 1 });
      assert.deepEqual(parseFilter(data.model.entity("Item"), filter), {
        where: [{ column: "total", op: "in", values: [1] }],
        order: undefined,
        limit: 1,
        offset: 0,
      });
    }));
});
