// Rows: what goes in comes out, patches touch what they name, and deletions stay within their bound.

import assert from "node:assert/strict";

import type { Json } from "../../src/core/json.ts";
import type { Store, Value } from "../../src/store/store.ts";
import { createTables, findIds, insertAll, note, order, type StoreTest } from "./store-fixture.ts";

async function roundTrip(store: Store, column: string, value: Value): Promise<Value | undefined> {
  const id = `${column} ${crypto.randomUUID()}`;
  const seen = await store.write(async (tx) => {
    await tx.insert("Note", note(id, { [column]: value }));
    const inserted = (await tx.get("Note", id))?.[column];
    await tx.update("Note", id, { [column]: null });
    assert.equal((await tx.get("Note", id))?.[column], null);
    await tx.update("Note", id, { [column]: value });
    return inserted;
  });
  const row = await store.reader.get("Note", id);
  assert.deepEqual(row?.[column], seen, "an updated value differs from an inserted one");
  return row?.[column];
}

const TEXTS: readonly string[] = [
  "",
  " ",
  "plain",
  "'; DROP TABLE Note; --",
  `"double" \\ back % under _`,
  "Grüße, κόσμε, こんにちは",
  "a\u0301 is not á",
  "𝒳 🎉 👩‍👩‍👧‍👦 \u{10FFFF}",
  "line\nfeed\r\ttab \u0001 \u2028 \uFEFF",
  "x".repeat(100_000),
  "🎉".repeat(50_000),
];

const NUMBERS_EXACT: readonly number[] = [0, 1, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, -(2 ** 53 - 1)];
const BIGINTS_BEYOND: readonly bigint[] = [
  2n ** 53n,
  -(2n ** 53n),
  2n ** 53n + 1n,
  2n ** 62n + 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];
const REALS: readonly number[] = [0, 1, -1, 0.1, -1.5, 1 / 3, 5e-324, 1.7976931348623157e308, 2 ** 53 + 2, 1e21, 1e-7];
const DOCUMENTS: readonly Json[] = [
  {},
  [],
  "",
  "text",
  0,
  -1.5,
  true,
  false,
  [null, [[]], { a: { "": [1, "two", { three: null }] } }],
  { "key with \"quotes\" 'and' $.dots": "𝒳\n\\", nested: { deep: [1e21, 5e-324, 2 ** 53 - 1] } },
];

function testValues(test: StoreTest): void {
  test("text comes back as it was: empty, long, astral, quotes and control characters", async ({ store }) => {
    await createTables(store);
    for (const text of TEXTS) assert.equal(await roundTrip(store, "title", text), text);
  });

  test("an id may be any text", async ({ store }) => {
    await createTables(store);
    const ids = TEXTS.filter((text) => text.length < 1_000);
    await insertAll(
      store,
      "Note",
      ids.map((id) => note(id)),
    );
    for (const id of ids) assert.equal((await store.reader.get("Note", id))?.id, id);
  });

  test("integers of 64 bits are exact, as numbers where a number can hold them", async ({ store }) => {
    await createTables(store);
    for (const value of NUMBERS_EXACT) assert.equal(await roundTrip(store, "size", value), value);
    for (const value of NUMBERS_EXACT) assert.equal(await roundTrip(store, "size", BigInt(value)), value);
    for (const value of BIGINTS_BEYOND) assert.equal(await roundTrip(store, "size", value), value);
  });

  test("a row with a large integer keeps its other columns, alone and among others", async ({ store }) => {
    await createTables(store);
    const large = note("2", {
      title: "t",
      size: 2n ** 63n - 1n,
      ratio: 2.5,
      open: true,
      tags: { a: [1, 2 ** 53 - 1] },
      body: new Uint8Array([1, 2]),
    });
    const rows = [note("1", { size: 1, ratio: 3, open: false }), large, note("3", { size: -5, ratio: 1e300 })];
    await insertAll(store, "Note", rows);
    assert.deepEqual(await store.reader.get("Note", "2"), large);
    assert.deepEqual(await store.reader.find("Note", { limit: 9 }), rows);
    assert.deepEqual(await store.reader.get("Note", "1"), rows[0]);
  });

  test("reals are exact to the last bit", async ({ store }) => {
    await createTables(store);
    for (const value of REALS) assert.equal(await roundTrip(store, "ratio", value), value);
    // Whether a zero keeps its sign is the database's affair.
    assert.equal(Math.abs((await roundTrip(store, "ratio", -0)) as number), 0);
  });

  test("booleans are booleans", async ({ store }) => {
    await createTables(store);
    for (const value of [true, false]) assert.equal(await roundTrip(store, "open", value), value);
  });

  test("JSON comes back as the same document", async ({ store }) => {
    await createTables(store);
    for (const value of DOCUMENTS) assert.deepEqual(await roundTrip(store, "tags", value), value);
  });

  test("null in a JSON column is null, and found as null", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [
      note("1", { tags: null }),
      note("2", { tags: [null] }),
      note("3", { tags: "null" }),
    ]);
    assert.equal((await store.reader.get("Note", "1"))?.tags, null);
    assert.deepEqual(await findIds(store, "Note", { where: [{ column: "tags", op: "eq", value: null }] }), ["1"]);
  });

  test("bytes come back as the same bytes, zeros and none included", async ({ store }) => {
    await createTables(store);
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const view = new Uint8Array(all.buffer, 10, 5);
    for (const bytes of [all, view, new Uint8Array([0]), new Uint8Array([0, 0, 1, 0]), new Uint8Array(0)]) {
      const seen = await roundTrip(store, "body", bytes);
      assert.ok(seen instanceof Uint8Array);
      assert.deepEqual([...seen], [...bytes]);
    }
  });

  test("every column may be null", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("1")]);
    assert.deepEqual(await store.reader.get("Note", "1"), note("1"));
  });

  test("a row has its id and the columns of its table, no more", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("1", { title: "t" })]);
    const row = await store.reader.get("Note", "1");
    assert.deepEqual(Object.keys(row ?? {}).sort(), ["body", "id", "open", "ratio", "size", "tags", "title"]);
  });
}

function testChanges(test: StoreTest): void {
  test("an update sets what it names and leaves the rest", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("1", { title: "t", size: 1, open: true, tags: [1] }), note("2", { size: 2 })]);
    await store.write(async (tx) => {
      assert.deepEqual(await tx.update("Note", "1", { size: 5 }), { kind: "updated" });
      assert.deepEqual(await tx.update("Note", "1", { title: null, open: false }), { kind: "updated" });
      assert.deepEqual(await tx.update("Note", "1", { size: 5 }), { kind: "updated" });
    });
    assert.deepEqual(await store.reader.get("Note", "1"), note("1", { size: 5, open: false, tags: [1] }));
    assert.deepEqual(await store.reader.get("Note", "2"), note("2", { size: 2 }));
  });

  test("an update of nothing says whether the row is there", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("1", { size: 1 })]);
    await store.write(async (tx) => {
      assert.deepEqual(await tx.update("Note", "1", {}), { kind: "updated" });
      assert.deepEqual(await tx.update("Note", "2", {}), { kind: "missing" });
      assert.deepEqual(await tx.update("Note", "2", { size: 1 }), { kind: "missing" });
    });
    assert.deepEqual(await store.reader.find("Note", { limit: 9 }), [note("1", { size: 1 })]);
  });

  test("a delete says whether the row was there", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("1"), note("2")]);
    await store.write(async (tx) => {
      assert.equal(await tx.delete("Note", "1"), true);
      assert.equal(await tx.delete("Note", "1"), false);
      assert.equal(await tx.delete("Note", "3"), false);
    });
    assert.equal(await store.reader.get("Note", "1"), undefined);
    assert.deepEqual(await findIds(store, "Note"), ["2"]);
  });

  test("deleteWhere removes matching rows up to its limit and counts them", async ({ store }) => {
    await createTables(store);
    const rows = Array.from({ length: 20 }, (_, place) => note(`n${place}`, { size: place % 2 }));
    await insertAll(store, "Note", rows);
    const where = [{ column: "size", op: "eq" as const, value: 1 }];
    const removed = await store.write(async (tx) => [
      await tx.deleteWhere("Note", where, 0),
      await tx.deleteWhere("Note", where, 4),
      await tx.deleteWhere("Note", where, 100),
      await tx.deleteWhere("Note", where, 100),
    ]);
    assert.deepEqual(removed, [0, 4, 6, 0]);
    assert.equal(await store.reader.count("Note", []), 10);
    assert.equal(await store.reader.count("Note", where), 0);
    assert.equal(await store.write((tx) => tx.deleteWhere("Note", [], 7)), 7);
    assert.equal(await store.reader.count("Note", []), 3);
  });

  test("meta is written over and read back", async ({ store }) => {
    await store.write(async (tx) => {
      await tx.writeMeta("key", "first");
      await tx.writeMeta("other", "");
    });
    await store.write((tx) => tx.writeMeta("key", "second 𝒳"));
    assert.equal(await store.reader.readMeta("key"), "second 𝒳");
    assert.equal(await store.reader.readMeta("other"), "");
    assert.equal(await store.reader.readMeta("missing"), undefined);
  });
}

function testManyRows(test: StoreTest): void {
  test("many rows at once, whatever their number, with values of every type", async ({ store }) => {
    await createTables(store);
    for (const count of [0, 1, 7, 8, 9, 17, 40]) {
      const values = {
        title: "t\u00e9",
        ratio: 0.5,
        open: true,
        tags: ["a", { b: null }],
        body: new Uint8Array([0, 255]),
      };
      const rows = Array.from({ length: count }, (_, index) => note(`${count}-${index}`, { ...values, size: count }));
      assert.deepEqual(await store.write((tx) => tx.insertMany("Note", rows)), { kind: "inserted" });
      const where = [{ column: "size", op: "eq", value: count } as const];
      const found = await store.reader.find("Note", { where, limit: 100 });
      assert.deepEqual(new Map(found.map((row) => [row.id, row])), new Map(rows.map((row) => [row.id, row])));
    }
  });

  for (const place of [0, 1, 12, 19]) {
    test(`many rows, the one at ${place} in conflict: a rollback leaves none of them`, async ({ store }) => {
      await createTables(store);
      await insertAll(store, "Order", [order("old", { number: "taken" })]);
      const rows = Array.from({ length: 20 }, (_, index) =>
        order(String(index), { number: index === place ? "taken" : `n${index}` }),
      );
      const writing = store.write(async (tx) => {
        const outcome = await tx.insertMany("Order", rows);
        assert.deepEqual(outcome, { kind: "conflict", columns: ["number"] });
        throw new Error("not all of them");
      });
      await assert.rejects(writing, /not all of them/);
      assert.deepEqual(await findIds(store, "Order"), ["old"]);
      assert.deepEqual(await store.write((tx) => tx.insertMany("Order", [order("new")])), { kind: "inserted" });
    });
  }
}

export function testRows(test: StoreTest): void {
  testValues(test);
  testManyRows(test);
  testChanges(test);
}
