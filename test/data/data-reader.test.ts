// Pages, cursors and queries of readers who may not see everything, at the edges.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { encodeCursor } from "../../src/data/cursor.ts";
import type { DataReader, Page } from "../../src/data/data-reader.ts";
import { entity, field, policy } from "../../src/manifest/dsl.ts";
import type { Order, Row, Store } from "../../src/store/store.ts";
import { AS_ADMIN, AS_NOBODY, asCaller, asFunction, codeOf, pathsOf, userOf, withData } from "./data-harness.ts";

const ITEM = entity("Item", {
  open: field.bool(),
  rank: field.int(),
  label: field.string().optional(),
  tags: field.json().optional(),
});
/** Cannot be narrowed in the database, so every row is looked at. */
const OPEN_ONLY = policy({ name: "open", entity: "Item", allowRead: "data.open" });
const OPTIONS = { entities: [ITEM], policies: [OPEN_ONLY] };
const ADA = asCaller(userOf("ada"));

function item(index: number, open: boolean, label: string | null = null): Row {
  return { id: `i${String(index).padStart(6, "0")}`, open, rank: index, label, tags: null };
}

async function fill(store: Store, rows: Iterable<Row>): Promise<void> {
  await store.write(async (tx) => {
    for (const row of rows) await tx.insert("Item", row);
  });
}

interface From {
  readonly cursor?: string | null;
  readonly order?: Order | undefined;
}

function page(reader: DataReader, limit: number, { cursor = null, order }: From = {}): Promise<Page> {
  return reader.page("Item", { where: [], order, cursor, limit });
}

function* pattern(text: string): Generator<Row> {
  for (const [index, letter] of text.split("").entries()) yield item(index, letter === "o");
}

describe("page()", () => {
  const cases: readonly (readonly [string, number, readonly number[]])[] = [
    ["", 3, [0]],
    ["ooo", 3, [3]],
    ["oooo", 3, [3, 1]],
    ["oooooo", 3, [3, 3]],
    ["xxxxxx", 3, [0]],
    ["oooxxxx", 3, [3]],
    ["xxxoooxxxo", 3, [3, 1]],
    ["oxoxoxoxox", 2, [2, 2, 1]],
    ["xxxxxxxxxo", 1, [1]],
    ["oxxxxxxxxo", 1, [1, 1]],
  ];
  for (const [rows, limit, sizes] of cases) {
    it(`reads "${rows}" by ${limit} as pages of ${sizes.join(", ")}`, () =>
      withData(OPTIONS, async ({ data, store }) => {
        await fill(store, pattern(rows));
        const found: number[] = [];
        for (let cursor: string | null = null; ;) {
          const next: Page = await page(data.read(ADA), limit, { cursor });
          found.push(next.rows.length);
          assert.ok(next.rows.every((row) => row.open === true));
          if (next.nextCursor === null) break;
          cursor = next.nextCursor;
        }
        assert.deepEqual(found, sizes);
      }));
  }

  it("goes on behind a row that is gone, and behind one that has become invisible", () =>
    withData(OPTIONS, async ({ data, store }) => {
      await fill(store, pattern("oooooo"));
      const first = await page(data.read(ADA), 2);
      await data.delete(AS_ADMIN, "Item", first.rows[1]?.id ?? "");
      const second = await page(data.read(ADA), 2, { cursor: first.nextCursor });
      assert.deepEqual(
        second.rows.map(({ rank }) => rank),
        [2, 3],
      );
      await data.update(AS_ADMIN, "Item", second.rows[1]?.id ?? "", { open: false });
      assert.deepEqual(
        (await page(data.read(ADA), 2, { cursor: second.nextCursor })).rows.map(({ rank }) => rank),
        [4, 5],
      );
    }));

  it("refuses limits that it could not honour", () =>
    withData(OPTIONS, async ({ data }) => {
      for (const limit of [0, -1, 1.5, Number.NaN, 1_001]) {
        assert.deepEqual(await pathsOf(page(data.read(ADA), limit)), ["limit"]);
      }
      assert.deepEqual((await page(data.read(ADA), 1_000)).rows, []);
    }));
});

describe("a page that looks at too many hidden rows", () => {
  it("ends early with a cursor that leads on and gives nothing of them away", () =>
    withData(OPTIONS, async ({ data, store }) => {
      const hidden = 20_500;
      await fill(store, [item(0, true)]);
      await fill(
        store,
        Array.from({ length: hidden }, (_, index) => item(index + 1, false, `secret ${index}`)),
      );
      await fill(store, [item(hidden + 1, true)]);
      for (const order of [undefined, { column: "rank", descending: false }, { column: "label", descending: true }]) {
        const seen: unknown[] = [];
        const cursors: string[] = [];
        for (let cursor: string | null = null; ;) {
          const next: Page = await page(data.read(ADA), 5, { cursor, order });
          seen.push(...next.rows.map(({ rank }) => rank));
          if (next.nextCursor === null) break;
          cursors.push(next.nextCursor);
          cursor = next.nextCursor;
        }
        assert.deepEqual(seen, [0, hidden + 1]);
        assert.equal(cursors.length, 1);
        const plain = atob((cursors[0] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
        assert.ok(!/secret|i0\d{5}|label|\["/.test(plain));
        // Sealed for this order, and unchanged.
        const [cursor = ""] = cursors;
        const other = { column: "open", descending: false };
        assert.equal(await codeOf(page(data.read(ADA), 5, { cursor, order: other })), "INVALID_CURSOR");
        const broken = `${cursor.slice(0, -2)}${cursor.endsWith("AA") ? "BA" : "AA"}`;
        assert.equal(await codeOf(page(data.read(ADA), 5, { cursor: broken, order })), "INVALID_CURSOR");
      }
      assert.equal(await codeOf(data.read(ADA).list("Item")), "RESULT_TOO_LARGE");
      assert.equal((await data.read(ADA).lookup("Item", "rank", hidden + 1))?.rank, hidden + 1);
    }));
});

describe("cursors", () => {
  const NOISE = [
    "",
    "x",
    "!!!",
    "bnVsbA",
    "W10",
    "AQ",
    "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRob",
    "é",
    "A".repeat(100_000),
  ];

  it("are refused when nobody made them", () =>
    withData(OPTIONS, async ({ data }) => {
      for (const cursor of NOISE) assert.equal(await codeOf(page(data.read(ADA), 1, { cursor })), "INVALID_CURSOR");
    }));

  it("are refused by another order", () =>
    withData(OPTIONS, async ({ data, store }) => {
      await fill(store, pattern("ooo"));
      const orders: (Order | undefined)[] = [
        undefined,
        { column: "rank", descending: false },
        { column: "rank", descending: true },
        { column: "label", descending: false },
      ];
      for (const made of orders) {
        const { nextCursor } = await page(data.read(ADA), 1, { order: made });
        for (const used of orders) {
          const work = page(data.read(ADA), 1, { cursor: nextCursor, order: used });
          if (used === made) assert.equal((await work).rows.length, 1);
          else assert.equal(await codeOf(work), "INVALID_CURSOR");
        }
      }
    }));

  it("take no value that the column does not hold", () =>
    withData(OPTIONS, async ({ data }) => {
      const order = { column: "rank", descending: false };
      const forge = (rank: string | number | boolean | null, id = "x"): Promise<Page> =>
        page(data.read(ADA), 1, { cursor: encodeCursor(order, { id, rank }), order });
      for (const rank of ["1", true, 1.5, 2 ** 60]) assert.equal(await codeOf(forge(rank)), "INVALID_CURSOR");
      for (const id of ["", "a\0b", "x".repeat(200)]) assert.equal(await codeOf(forge(1, id)), "INVALID_CURSOR");
      assert.deepEqual((await forge(null)).rows, []);
    }));

  it("hold values of some thousand characters, and say which order has longer ones", () =>
    withData(OPTIONS, async ({ data, store }) => {
      await fill(store, [item(1, true, "é".repeat(4_000)), item(2, true, "z".repeat(9_000)), item(3, true)]);
      const order = { column: "label", descending: true };
      const first = await page(data.read(ADA), 1, { order });
      assert.equal(first.rows[0]?.rank, 1);
      assert.equal((await page(data.read(ADA), 2, { cursor: first.nextCursor, order })).rows.length, 2);
      await fill(store, [item(4, true, "\u{1F600}".repeat(4_000))]);
      assert.deepEqual(await pathsOf(page(data.read(ADA), 1, { order })), ["order"]);
    }));
});

describe("paginate()", () => {
  it("walks a filter by page", () =>
    withData(OPTIONS, async ({ data, store }) => {
      await fill(store, pattern("oxoxo"));
      const reader = data.read(asFunction(userOf("ada")));
      const filter = { rank: { $gte: 1 }, $order: { rank: "desc" } };
      const first = await reader.paginate("Item", { cursor: null, numItems: 3, filter });
      assert.deepEqual(
        first.page.map(({ rank }) => rank),
        [4, 3, 2],
      );
      assert.equal(first.isDone, false);
      const second = await reader.paginate("Item", { cursor: first.nextCursor, numItems: 3, filter });
      assert.deepEqual([second.page.map(({ rank }) => rank), second.nextCursor, second.isDone], [[1], null, true]);
    }));

  it("refuses what it would have to ignore", () =>
    withData(OPTIONS, async ({ data }) => {
      const reader = data.read(ADA);
      const paths = (filter: Record<string, unknown>, numItems = 1): Promise<readonly string[]> =>
        pathsOf(reader.paginate("Item", { cursor: null, numItems, filter }));
      assert.deepEqual(await paths({ $limit: 1 }), ["$limit"]);
      assert.deepEqual(await paths({ $offset: 1, colour: "red" }), ["$offset", "colour"]);
      assert.deepEqual(await paths({ $order: { tags: "asc" } }), ["$order"]);
      for (const numItems of [0, 1_001, 0.5]) assert.deepEqual(await paths({}, numItems), ["numItems"]);
    }));
});

describe("query(), list() and lookup()", () => {
  it("answer at most 10,000 rows without a limit", () =>
    withData(OPTIONS, async ({ data, store }) => {
      const reader = data.read(asFunction(userOf("ada")));
      await fill(
        store,
        Array.from({ length: 10_000 }, (_, index) => item(index, true)),
      );
      assert.equal((await reader.list("Item")).length, 10_000);
      assert.equal((await data.read(ADA).list("Item")).length, 10_000);
      await fill(store, [item(10_000, true)]);
      for (const each of [reader, data.read(ADA)]) {
        assert.equal(await codeOf(each.list("Item")), "RESULT_TOO_LARGE");
        assert.equal(await codeOf(each.query("Item", { rank: { $gte: 0 } })), "RESULT_TOO_LARGE");
        assert.equal((await each.query("Item", { $limit: 10_000 })).length, 10_000);
        assert.equal((await each.query("Item", { rank: { $gt: 0 } })).length, 10_000);
      }
      assert.deepEqual(await pathsOf(reader.query("Item", { $limit: 10_001 })), ["$limit"]);
    }));

  it("count visible rows alone for $limit and $offset", () =>
    withData(OPTIONS, async ({ data, store }) => {
      await fill(store, pattern("xoxoxo"));
      const ranks = async (filter: Record<string, unknown>): Promise<unknown[]> =>
        (await data.read(ADA).query("Item", filter)).map(({ rank }) => rank);
      assert.deepEqual(await ranks({ $limit: 2 }), [1, 3]);
      assert.deepEqual(await ranks({ $limit: 2, $offset: 1 }), [3, 5]);
      assert.deepEqual(await ranks({ $limit: 2, $order: { rank: "desc" } }), [5, 3]);
      assert.deepEqual(await ranks({ $limit: 0 }), []);
      assert.deepEqual(await ranks({ $offset: 3 }), []);
    }));

  it("look up a value, never an operator", () =>
    withData(OPTIONS, async ({ data, store }) => {
      await fill(store, [item(1, true, "a"), item(2, true, "b"), { ...item(3, true), tags: { $not: null } }]);
      const reader = data.read(asFunction(userOf("ada")));
      assert.equal((await reader.lookup("Item", "label", "b"))?.rank, 2);
      assert.equal((await reader.lookup("Item", "label", null))?.rank, 3);
      assert.equal((await reader.lookup("Item", "id", "i000002"))?.rank, 2);
      assert.equal((await reader.lookup("Item", "tags", { $not: null }))?.rank, 3);
      assert.equal(await reader.lookup("Item", "label", "c"), null);
      assert.deepEqual(await pathsOf(reader.lookup("Item", "label", { $not: null })), ["label"]);
      for (const name of ["$limit", "$order", "colour"]) {
        assert.deepEqual(await pathsOf(reader.lookup("Item", name, 1)), [name]);
      }
    }));

  it("are refused to whoever no policy speaks of", () =>
    withData({ entities: [ITEM] }, async ({ data }) => {
      assert.equal(await codeOf(data.read(AS_NOBODY).lookup("Item", "rank", 1)), "AUTH_REQUIRED");
      assert.equal(await codeOf(data.read(ADA).query("Item", {})), "POLICY_DENIED");
      assert.equal(await codeOf(data.read(ADA).paginate("Item", { cursor: null, numItems: 1 })), "POLICY_DENIED");
    }));
});
