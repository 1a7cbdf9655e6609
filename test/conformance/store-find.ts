// Queries: every operator with its null semantics, total orders, and cursors that neither skip nor repeat a row.

import assert from "node:assert/strict";
import { inspect } from "node:util";

import type { Comparison, Condition, Order, Query, Row, Store, Value } from "../../src/store/store.ts";
import { createTables, findIds, insertAll, note, type StoreTest } from "./store-fixture.ts";

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

/** `n` has nulls; the others go up in every column, by code point in text: "Z" before "a", U+FFFD before U+1F389. */
const ROWS: readonly Row[] = [
  note("a", { title: "", size: -(2n ** 63n), ratio: -1.5, open: false, tags: [1], body: bytes() }),
  note("b", { title: "Z", size: -1, ratio: 0, open: false, tags: [2], body: bytes(0) }),
  note("c", { title: "a", size: 5, ratio: 0.25, open: true, tags: [3], body: bytes(0, 1) }),
  note("d", { title: "ab", size: 2 ** 53 - 1, ratio: 1, open: true, tags: [4], body: bytes(1) }),
  note("e", { title: "\uFFFD", size: 2n ** 53n, ratio: 1e10, open: true, tags: [5], body: bytes(127) }),
  note("f", { title: "🎉", size: 2n ** 63n - 1n, ratio: 1e300, open: true, tags: [6], body: bytes(255, 0) }),
  note("n"),
];

async function openRows(store: Store): Promise<void> {
  await createTables(store);
  await insertAll(store, "Note", ROWS);
}

const compare = (column: string, op: Comparison, value: Value): Condition => ({ column, op, value });

/** What each comparison finds among the rows, ids joined. */
const COMPARISONS: readonly (readonly [Condition, string])[] = [
  [compare("title", "eq", "a"), "c"],
  [compare("title", "eq", ""), "a"],
  [compare("title", "eq", "A"), ""],
  [compare("title", "ne", "a"), "abdefn"],
  [compare("title", "gt", "a"), "def"],
  [compare("title", "gte", "a"), "cdef"],
  [compare("title", "lt", "a"), "ab"],
  [compare("title", "lte", "a"), "abc"],
  [compare("title", "gt", "\uFFFD"), "f"],
  [compare("title", "lt", "🎉"), "abcde"],
  [compare("title", "eq", null), "n"],
  [compare("title", "ne", null), "abcdef"],
  [compare("title", "gt", null), ""],
  [compare("title", "gte", null), ""],
  [compare("title", "lt", null), ""],
  [compare("title", "lte", null), ""],
  [compare("size", "eq", 5), "c"],
  [compare("size", "eq", 5n), "c"],
  [compare("size", "ne", 5), "abdefn"],
  [compare("size", "gt", 2 ** 53 - 1), "ef"],
  [compare("size", "gte", 2n ** 53n), "ef"],
  [compare("size", "lt", -1n), "a"],
  [compare("size", "lte", -1), "ab"],
  [compare("size", "eq", 2n ** 63n - 1n), "f"],
  [compare("size", "lt", 2n ** 63n - 1n), "abcde"],
  [compare("size", "eq", -(2n ** 63n)), "a"],
  [compare("size", "eq", null), "n"],
  [compare("ratio", "eq", 0.25), "c"],
  [compare("ratio", "gt", 0), "cdef"],
  [compare("ratio", "gte", 0), "bcdef"],
  [compare("ratio", "lt", 1), "abc"],
  [compare("ratio", "lte", 1), "abcd"],
  [compare("ratio", "ne", 1), "abcefn"],
  [compare("open", "eq", true), "cdef"],
  [compare("open", "eq", false), "ab"],
  [compare("open", "ne", true), "abn"],
  [compare("open", "eq", null), "n"],
  [compare("body", "eq", bytes(0, 1)), "c"],
  [compare("body", "eq", bytes()), "a"],
  [compare("body", "gt", bytes(0, 1)), "def"],
  [compare("body", "ne", bytes(1)), "abcefn"],
  [compare("id", "eq", "c"), "c"],
  [compare("id", "gt", "e"), "fn"],
  [compare("id", "ne", "c"), "abdefn"],
];

const INS: readonly (readonly [string, readonly Value[], string])[] = [
  ["title", [], ""],
  ["title", ["a"], "c"],
  ["title", ["a", "🎉", "a", "nowhere"], "cf"],
  ["title", ["a", null], "cn"],
  ["title", [null], "n"],
  ["size", [5, 2n ** 63n - 1n], "cf"],
  ["ratio", [0.25, -1.5], "ac"],
  ["open", [false], "ab"],
  ["open", [false, true], "abcdef"],
  ["id", ["a", "n", "z"], "an"],
  ["id", Array.from({ length: 500 }, (_, place) => `x${place}`).concat("b"), "b"],
];

const SEARCHED = ["100%", "1000", "a_b", "axb", "back\\slash", "Hello WORLD", "grüße ÄÖ", "𝒳🎉", ""] as const;
const SEARCHES: readonly (readonly [string, readonly string[]])[] = [
  ["%", ["100%"]],
  ["0%", ["100%"]],
  ["_", ["a_b"]],
  ["a_b", ["a_b"]],
  ["\\", ["back\\slash"]],
  ["K\\S", ["back\\slash"]],
  ["lo wor", ["Hello WORLD"]],
  ["HELLO", ["Hello WORLD"]],
  ["RÜ", []],
  ["rü", ["grüße ÄÖ"]],
  ["äö", []],
  ["🎉", ["𝒳🎉"]],
  ["*", []],
  ["", SEARCHED],
];

function testConditions(test: StoreTest): void {
  test("every comparison on every type, nulls included", async ({ store }) => {
    await openRows(store);
    for (const [condition, expected] of COMPARISONS) {
      const label = inspect(condition);
      assert.equal((await findIds(store, "Note", { where: [condition] })).join(""), expected, label);
      assert.equal(await store.reader.count("Note", [condition]), expected.length, label);
    }
  });

  test("`in` is one of them: nothing for an empty list, null when null is listed", async ({ store }) => {
    await openRows(store);
    for (const [column, values, expected] of INS) {
      const where: Condition[] = [{ column, op: "in", values }];
      assert.equal((await findIds(store, "Note", { where })).join(""), expected, `${column} in ${inspect(values)}`);
      assert.equal(await store.reader.count("Note", where), expected.length);
    }
  });

  test("`contains` takes its text literally and ignores ASCII case alone", async ({ store }) => {
    await createTables(store);
    const rows = SEARCHED.map((title, place) => note(String(place), { title }));
    await insertAll(store, "Note", [...rows, note("null")]);
    for (const [text, expected] of SEARCHES) {
      const found = await store.reader.find("Note", { where: [compare("title", "contains", text)], limit: 99 });
      assert.deepEqual(
        found.map((row) => row.title),
        expected,
        `contains ${text}`,
      );
    }
  });

  test("all conditions must hold", async ({ store }) => {
    await openRows(store);
    const where = [compare("open", "eq", true), compare("size", "gt", 5), compare("title", "ne", "🎉")];
    assert.deepEqual(await findIds(store, "Note", { where }), ["d", "e"]);
    assert.deepEqual(await findIds(store, "Note", { where: [...where, { column: "id", op: "in", values: [] }] }), []);
  });

  test("limit and offset", async ({ store }) => {
    await openRows(store);
    assert.deepEqual(await findIds(store, "Note", { limit: 0 }), []);
    assert.deepEqual(await findIds(store, "Note", { limit: 2 }), ["a", "b"]);
    assert.deepEqual(await findIds(store, "Note", { limit: 2, offset: 5 }), ["f", "n"]);
    assert.deepEqual(await findIds(store, "Note", { limit: 2, offset: 6 }), ["n"]);
    assert.deepEqual(await findIds(store, "Note", { limit: 2, offset: 7 }), []);
    const order = { column: "size", descending: true };
    assert.deepEqual(await findIds(store, "Note", { limit: 2, offset: 1, order }), ["e", "d"]);
  });
}

function testOrders(test: StoreTest): void {
  test("every column orders up and down, nulls first when going up", async ({ store }) => {
    await openRows(store);
    const up: Readonly<Record<string, string>> = {
      id: "abcdefn",
      title: "nabcdef",
      size: "nabcdef",
      ratio: "nabcdef",
      body: "nabcdef",
      // Ties go by id, whatever the direction.
      open: "nabcdef",
    };
    const down: Readonly<Record<string, string>> = { ...up, open: "cdefabn" };
    for (const [column, ids] of Object.entries(up)) {
      assert.equal((await findIds(store, "Note", { order: { column, descending: false } })).join(""), ids, column);
    }
    for (const [column, ids] of Object.entries(down)) {
      const expected = column === "open" ? ids : ids.split("").reverse().join("");
      const order = { column, descending: true };
      assert.equal((await findIds(store, "Note", { order })).join(""), expected, `${column} descending`);
    }
  });

  test("ids order by code point, not by UTF-16 unit or language", async ({ store }) => {
    await createTables(store);
    const ids = ["", "B", "a", "ab", "ä", "\uFFFD", "🎉"];
    await insertAll(
      store,
      "Note",
      ids.toReversed().map((id) => note(id)),
    );
    assert.deepEqual(await findIds(store, "Note"), ids);
    assert.deepEqual(await findIds(store, "Note", { order: { column: "id", descending: true } }), ids.toReversed());
  });
}

type Between = (store: Store, page: number) => Promise<void>;

/** Pages through everything by cursor, calling `between` after each page; the ids in the order they came. */
async function pageThrough(store: Store, query: Partial<Query>, limit: number, between?: Between): Promise<string[]> {
  const ids: string[] = [];
  let after: Query["after"];
  for (let page = 0; ; page += 1) {
    assert.ok(page < 100, "paging does not end");
    const rows = await store.reader.find("Note", { ...query, limit, ...(after ? { after } : {}) });
    ids.push(...rows.map((row) => row.id));
    const last = rows.at(-1);
    if (!last || rows.length < limit) return ids;
    after = { value: query.order ? (last[query.order.column] ?? null) : null, id: last.id };
    await between?.(store, page);
  }
}

const DIRECTIONS = [false, true] as const;

function testCursors(test: StoreTest): void {
  test("paging by any column in either direction gives every row once, in order", async ({ store }) => {
    await openRows(store);
    for (const column of ["id", "title", "size", "ratio", "open", "body"]) {
      for (const descending of DIRECTIONS) {
        const order: Order = { column, descending };
        const all = await findIds(store, "Note", { order });
        for (const limit of [1, 2, 3]) {
          assert.deepEqual(await pageThrough(store, { order }, limit), all, `${column} ${descending} by ${limit}`);
        }
      }
    }
    assert.deepEqual(await pageThrough(store, {}, 2), await findIds(store, "Note"));
  });

  test("paging keeps to its conditions", async ({ store }) => {
    await openRows(store);
    const where = [compare("title", "ne", "ab")];
    for (const descending of DIRECTIONS) {
      const order = { column: "open", descending };
      const all = await findIds(store, "Note", { where, order });
      assert.equal(all.length, 6);
      assert.deepEqual(await pageThrough(store, { where, order }, 2), all);
    }
  });

  test("ties and nulls are paged by id", async ({ store }) => {
    await createTables(store);
    const rows = Array.from({ length: 12 }, (_, place) =>
      note(`id ${String(place * 7).padStart(3, "0")}`, { size: [null, 1, null, 2][place % 4] ?? null }),
    );
    await insertAll(store, "Note", rows);
    for (const descending of DIRECTIONS) {
      const order = { column: "size", descending };
      const all = await findIds(store, "Note", { order });
      assert.equal(all.length, 12);
      for (const limit of [1, 2, 5]) assert.deepEqual(await pageThrough(store, { order }, limit), all);
    }
  });

  test("rows that come and go while paging move no other row across a page", async ({ store }) => {
    for (const descending of DIRECTIONS) {
      if (!descending) await createTables(store);
      else await store.write((tx) => tx.deleteWhere("Note", [], 1_000));
      const rows = Array.from({ length: 30 }, (_, place) =>
        note(`row ${String(place).padStart(2, "0")}`, { size: place % 5 === 0 ? null : place % 3 }),
      );
      await insertAll(store, "Note", rows);
      const order = { column: "size", descending };
      const all = await findIds(store, "Note", { order });
      const seen = await pageThrough(store, { order }, 4, async (during, page) => {
        await during.write(async (tx) => {
          // In front of the cursor, at the far end, and in the middle of everything; and the cursor's own row goes.
          await tx.insert("Note", note(`!new ${page}`, { size: descending ? 9 : null }));
          await tx.insert("Note", note(`zzz ${page}`, { size: descending ? null : 9 }));
          await tx.delete("Note", all[page * 4 + 3] ?? "");
        });
      });
      const old = seen.filter((id) => id.startsWith("row "));
      assert.deepEqual(old, all);
      assert.equal(new Set(seen).size, seen.length);
    }
  });

  test("a cursor works on a row that is gone, and past the end finds nothing", async ({ store }) => {
    await openRows(store);
    const order = { column: "size", descending: false };
    assert.deepEqual(await findIds(store, "Note", { order, after: { value: 4, id: "zzz" } }), ["c", "d", "e", "f"]);
    assert.deepEqual(await findIds(store, "Note", { order, after: { value: 2n ** 63n - 1n, id: "f" } }), []);
    const down = { column: "size", descending: true };
    assert.deepEqual(await findIds(store, "Note", { order: down, after: { value: null, id: "n" } }), []);
    assert.deepEqual(await findIds(store, "Note", { order: down, after: { value: null, id: "" } }), ["n"]);
    assert.deepEqual(await findIds(store, "Note", { after: { value: null, id: "e" } }), ["f", "n"]);
  });
}

export function testFind(test: StoreTest): void {
  testConditions(test);
  testOrders(test);
  testCursors(test);
}
