// From one version of an application to the next over the same database: what is done, what it would cost, and that a
// migration which fails changes nothing.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { applyMigration, createSystemTables, planMigration } from "../../src/data/migration.ts";
import { entity, field } from "../../src/manifest/dsl.ts";
import type { EntityDef } from "../../src/manifest/manifest.ts";
import type { Row, Store, TableSpec } from "../../src/store/store.ts";
import { openTempSqlite, type TempSqlite } from "../store/open-temp-sqlite.ts";
import { codeOf, errorOf } from "./data-harness.ts";

const V1 = [entity("Order", { number: field.string(), total: field.int(), note: field.string().optional() })];
type Fields = Parameters<typeof entity>[1];

function order(fields: Fields, options: Parameters<typeof entity>[2] = {}): EntityDef[] {
  return [entity("Order", fields, options)];
}

const FIELDS = { number: field.string(), total: field.int(), note: field.string().optional() };

async function withStore(run: (opened: TempSqlite) => Promise<void>): Promise<void> {
  const opened = await openTempSqlite();
  try {
    await run(opened);
  } finally {
    await opened.cleanup();
  }
}

async function migrate(store: Store, entities: readonly EntityDef[], allowDestructive = false): Promise<void> {
  await applyMigration(store, await planMigration(store, entities), { allowDestructive });
}

async function addOrders(store: Store, ...rows: Record<string, string | number | null>[]): Promise<void> {
  await store.write(async (tx) => {
    for (const [index, row] of rows.entries()) {
      await tx.insert("Order", { id: `o${index}`, number: `A${index}`, total: index, note: null, ...row });
    }
  });
}

function orders(store: Store): Promise<Row[]> {
  return store.reader.find("Order", { limit: 100 });
}

/** What the plan says, in short. */
async function planned(store: Store, entities: readonly EntityDef[]): Promise<readonly string[]> {
  const { steps } = await planMigration(store, entities);
  return steps.map(({ entity, field, destructive, blocked, rows }) => {
    const flags = [destructive ? "destroys" : "", blocked ? "blocked" : ""].filter((flag) => flag !== "");
    return [`${entity}${field === null ? "" : `.${field}`}`, ...flags, ...(flags.length > 0 ? [rows] : [])].join(" ");
  });
}

/** Counts what a store is asked to change. */
function watchWrites(store: Store): { readonly store: Store; count(): number } {
  let writes = 0;
  const counted: Store = {
    ...store,
    write(run, options) {
      writes += 1;
      return store.write(run, options);
    },
    changeSchema(steps, run) {
      writes += 1;
      return store.changeSchema(steps, run);
    },
  };
  return { store: counted, count: () => writes };
}

describe("migrations that destroy nothing", () => {
  it("create what is not there, and do nothing the second time", () =>
    withStore(async ({ store }) => {
      assert.deepEqual(await planned(store, V1), ["Order"]);
      await migrate(store, V1);
      await addOrders(store, {});
      const watched = watchWrites(store);
      assert.deepEqual(await planned(watched.store, V1), []);
      await migrate(watched.store, V1);
      assert.equal(watched.count(), 0);
      assert.equal((await orders(store)).length, 1);
    }));

  it("know after a restart what was applied", () =>
    withStore(async (opened) => {
      await migrate(opened.store, V1);
      await addOrders(opened.store, { note: "kept" });
      const store = await opened.reopen();
      assert.deepEqual(await planned(store, V1), []);
      await migrate(store, V1);
      assert.deepEqual(await orders(store), [{ id: "o0", number: "A0", total: 0, note: "kept" }]);
    }));

  it("plan without changing anything", () =>
    withStore(async ({ store }) => {
      await migrate(store, V1);
      await addOrders(store, {});
      const watched = watchWrites(store);
      await planMigration(watched.store, order({ ...FIELDS, extra: field.int().optional() }));
      assert.equal(watched.count(), 0);
      assert.deepEqual(Object.keys((await orders(store))[0] ?? {}), ["id", "number", "total", "note"]);
    }));

  it("add an optional field to rows that there are", () =>
    withStore(async ({ store }) => {
      await migrate(store, V1);
      await addOrders(store, {});
      const next = order({ ...FIELDS, extra: field.json().optional() });
      assert.deepEqual(await planned(store, next), ["Order.extra"]);
      await migrate(store, next);
      assert.deepEqual(await orders(store), [{ id: "o0", number: "A0", total: 0, note: null, extra: null }]);
    }));

  it("add a required field while there are no rows", () =>
    withStore(async ({ store }) => {
      await migrate(store, V1);
      await migrate(store, order({ ...FIELDS, extra: field.int() }));
      await store.write((tx) => tx.insert("Order", { id: "o", number: "1", total: 1, note: null, extra: 5 }));
      assert.equal((await orders(store))[0]?.extra, 5);
    }));

  it("keep the values of a field that becomes text, or a number with a fraction", () =>
    withStore(async ({ store }) => {
      await migrate(store, order({ ...FIELDS, rank: field.int().optional() }));
      await store.write((tx) => tx.insert("Order", { id: "o", number: "1", total: 7, note: null, rank: 3 }));
      await migrate(store, order({ ...FIELDS, total: field.string(), rank: field.float().optional() }));
      assert.deepEqual(await orders(store), [{ id: "o", number: "1", total: "7", note: null, rank: 3 }]);
    }));

  it("make a unique index over values that differ", () =>
    withStore(async ({ store }) => {
      await migrate(store, V1);
      await addOrders(store, {}, {}, { note: "x" });
      await migrate(
        store,
        order(
          { ...FIELDS, number: field.string().unique(), note: field.string().optional().unique() },
          { indexes: [{ name: "pair", fields: ["total", "note"], unique: true }] },
        ),
      );
      const insert = store.write((tx) => tx.insert("Order", { id: "o9", number: "A0", total: 9, note: null }));
      assert.deepEqual(await insert, { kind: "conflict", columns: ["number"] });
    }));

  it("drop what holds no value", () =>
    withStore(async ({ store }) => {
      await migrate(store, [...V1, entity("Empty", { text: field.string() })]);
      await addOrders(store, {});
      const next = order({ number: field.string(), total: field.int() });
      assert.deepEqual(await planned(store, next), ["Empty destroys 0", "Order.note destroys 0"]);
      await migrate(store, next);
      assert.deepEqual(await orders(store), [{ id: "o0", number: "A0", total: 0 }]);
    }));
});

describe("migrations that destroy", () => {
  it("name every field and entity with the rows that would lose a value, and change nothing unless they may", () =>
    withStore(async ({ store }) => {
      await migrate(store, [...V1, entity("Gone", { text: field.string() })]);
      await addOrders(store, { note: "a" }, { note: "b" }, {});
      await store.write((tx) => tx.insert("Gone", { id: "g", text: "x" }));
      const next = order({ number: field.string(), total: field.int() });
      assert.deepEqual(await planned(store, next), ["Gone destroys 1", "Order.note destroys 2"]);
      const error = await errorOf(migrate(store, next));
      assert.equal(error.code, "MIGRATION_DESTRUCTIVE");
      assert.deepEqual(
        error.details?.map(({ path }) => path),
        ["Gone", "Order.note"],
      );
      assert.match(error.message, /Gone.*\(1 row\).*Order\.note.*\(2 rows\)/);
      assert.deepEqual(
        (await orders(store)).map(({ note }) => note),
        ["a", "b", null],
      );
      await migrate(store, next, true);
      assert.deepEqual(Object.keys((await orders(store))[0] ?? {}), ["id", "number", "total"]);
      assert.deepEqual(await planned(store, next), []);
    }));

  it("include a type that values cannot be converted to", () =>
    withStore(async ({ store }) => {
      await migrate(store, V1);
      await addOrders(store, { note: "a" }, {});
      const next = order({ ...FIELDS, note: field.int().optional() });
      assert.deepEqual(await planned(store, next), ["Order.note destroys 1", "Order.note"]);
      assert.equal(await codeOf(migrate(store, next)), "MIGRATION_DESTRUCTIVE");
      await migrate(store, next, true);
      assert.deepEqual(
        (await orders(store)).map(({ note }) => note),
        [null, null],
      );
    }));
});

describe("migrations that do not fit the rows", () => {
  const cases: readonly (readonly [string, Fields, Parameters<typeof entity>[2], string])[] = [
    ["a new required field", { ...FIELDS, extra: field.int() }, {}, "Order.extra blocked 3"],
    ["a field that becomes required", { ...FIELDS, note: field.string() }, {}, "Order.note blocked 1"],
    ["a field that becomes unique", { ...FIELDS, number: field.string().unique() }, {}, "Order blocked 1"],
    [
      "a unique index",
      FIELDS,
      { indexes: [{ name: "pair", fields: ["number", "note"], unique: true }] },
      "Order blocked 1",
    ],
    ["text that becomes a datetime", { ...FIELDS, note: field.datetime().optional() }, {}, "Order.note blocked 2"],
  ];
  for (const [name, fields, options, step] of cases) {
    it(`are blocked by ${name}, even when they may destroy`, () =>
      withStore(async ({ store }) => {
        await migrate(store, V1);
        await addOrders(store, { number: "A", note: "x" }, { number: "B", note: null }, { number: "A", note: "x" });
        const before = await orders(store);
        const next = order(fields, options);
        assert.ok((await planned(store, next)).includes(step));
        const error = await errorOf(migrate(store, next, true));
        assert.equal(error.code, "MIGRATION_BLOCKED");
        assert.equal(error.details?.[0]?.path, step.split(" ")[0]);
        assert.deepEqual(await orders(store), before);
        // The old version goes on as if nothing had happened.
        assert.deepEqual(await planned(store, V1), []);
        await store.write((tx) => tx.insert("Order", { id: "o9", number: "A", total: 9, note: null }));
      }));
  }

  it("check again what was required once and optional since", () =>
    withStore(async ({ store }) => {
      const optional = order({ ...FIELDS, total: field.int().optional() });
      await migrate(store, V1);
      await migrate(store, optional);
      await addOrders(store, { total: null });
      assert.deepEqual(await planned(store, V1), ["Order.total blocked 1"]);
      assert.equal(await codeOf(migrate(store, V1)), "MIGRATION_BLOCKED");
    }));

  it("look at datetimes again after a time as text", () =>
    withStore(async ({ store }) => {
      const dated = order({ ...FIELDS, note: field.datetime().optional() });
      await migrate(store, dated);
      await migrate(store, V1);
      await addOrders(store, { note: "tomorrow" });
      assert.deepEqual(await planned(store, dated), ["Order.note blocked 1"]);
    }));

  it("find repeats among thousands of rows", () =>
    withStore(async ({ store }) => {
      await migrate(store, V1);
      await addOrders(
        store,
        ...Array.from({ length: 2_500 }, (_, index) => ({ id: `o${index}`, number: `A${index % 2_498}` })),
      );
      assert.deepEqual(await planned(store, order({ ...FIELDS, number: field.string().unique() })), [
        "Order blocked 2",
        "Order",
      ]);
    }));
});

describe("an entity whose rows are stored in an order of their own", () => {
  const LOG: EntityDef = {
    ...entity("Log", { seq: field.int().optional(), note: field.string() }),
    indexes: [{ name: "by_seq", fields: ["seq"], unique: true }],
    clusteredBy: "seq",
  };

  it("is remembered as every version reads it, and needs no change", () =>
    withStore(async ({ store }) => {
      await migrate(store, [LOG]);
      assert.doesNotMatch((await store.reader.readMeta("schema")) ?? "clusteredBy", /clusteredBy/);
      assert.deepEqual(await planned(store, [LOG]), []);
    }));

  it("can become an application's own, of another type", () =>
    withStore(async ({ store }) => {
      await migrate(store, [LOG]);
      await store.write((tx) =>
        tx.insertMany(
          "Log",
          [0, 7].map((seq) => ({ id: `l${seq}`, seq, note: "x" })),
        ),
      );
      await migrate(store, [entity("Log", { seq: field.string().optional(), note: field.string() })]);
      await store.write((tx) => tx.insert("Log", { id: "new", seq: null, note: "y" }));
      const rows = await store.reader.find("Log", { limit: 9 });
      assert.deepEqual(
        rows.map(({ id, seq }) => [id, seq]),
        [
          ["l0", "0"],
          ["l7", "7"],
          ["new", null],
        ],
      );
    }));
});

describe("a migration that fails", () => {
  it("leaves the old schema in the database and in the store", () =>
    withStore(async ({ store }) => {
      await migrate(store, V1);
      await addOrders(store, { note: "x" });
      const failing: Store = {
        ...store,
        changeSchema: (steps) => store.changeSchema(steps, () => Promise.reject(new Error("The disk is on fire"))),
      };
      const next = [...order({ number: field.string(), extra: field.int().optional() }), entity("More", {})];
      await assert.rejects(migrate(failing, next, true), { message: "The disk is on fire" });
      assert.deepEqual(await orders(store), [{ id: "o0", number: "A0", total: 0, note: "x" }]);
      await addOrders(store, { id: "o1", note: "y" });
      assert.deepEqual(await planned(store, V1), []);
      await migrate(store, next, true);
      assert.deepEqual((await orders(store))[0], { id: "o0", number: "A0", extra: null });
    }));
});

describe("createSystemTables()", () => {
  const TABLE: TableSpec = {
    name: "_test",
    columns: [{ name: "a", type: "text" }],
    indexes: [{ name: "_test_a", columns: ["a"], unique: true }],
  };

  it("creates once, and describes every time", () =>
    withStore(async (opened) => {
      await createSystemTables(opened.store, [TABLE]);
      await opened.store.write((tx) => tx.insert("_test", { id: "1", a: "x" }));
      const store = await opened.reopen();
      const watched = watchWrites(store);
      await createSystemTables(watched.store, [TABLE]);
      assert.equal(watched.count(), 0);
      assert.deepEqual(await store.reader.find("_test", { limit: 9 }), [{ id: "1", a: "x" }]);
      const again = await store.write((tx) => tx.insert("_test", { id: "2", a: "x" }));
      assert.deepEqual(again, { kind: "conflict", columns: ["a"] });
    }));

  it("brings a table of an earlier version up to date", () =>
    withStore(async ({ store }) => {
      await createSystemTables(store, [TABLE]);
      await store.write((tx) => tx.insert("_test", { id: "1", a: "x" }));
      const next: TableSpec = {
        ...TABLE,
        columns: [...TABLE.columns, { name: "b", type: "int" }],
        indexes: [...TABLE.indexes, { name: "_test_b", columns: ["b"], unique: true }],
      };
      await createSystemTables(store, [next, { name: "_more", columns: [], indexes: [] }]);
      await store.write(async (tx) => {
        assert.deepEqual(await tx.insert("_test", { id: "2", a: "y", b: 1 }), { kind: "inserted" });
        assert.deepEqual(await tx.insert("_test", { id: "3", a: "z", b: 1 }), { kind: "conflict", columns: ["b"] });
        await tx.insert("_more", { id: "1" });
      });
      assert.deepEqual(await store.reader.get("_test", "1"), { id: "1", a: "x", b: null });
    }));

  it("leaves entities and their schema alone", () =>
    withStore(async ({ store }) => {
      await createSystemTables(store, [TABLE]);
      await migrate(store, V1);
      await createSystemTables(store, []);
      assert.deepEqual(await planned(store, V1), []);
    }));
});
