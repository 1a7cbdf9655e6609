// Schema changes: every kind of step, repeatable, values kept, and all of it or nothing.

import assert from "node:assert/strict";

import type {
  ColumnSpec,
  ColumnType,
  IndexSpec,
  Row,
  SchemaStep,
  Store,
  TableSpec,
  Value,
} from "../../src/store/store.ts";
import { createTables, findIds, hasCode, insertAll, newJob, type StoreTest } from "./store-fixture.ts";

const PART: TableSpec = {
  name: "Part",
  columns: [
    { name: "label", type: "text" },
    { name: "stock", type: "int" },
  ],
  indexes: [],
};

const nothing = async (): Promise<void> => undefined;

/** Applies the steps twice: each must be a no-op when it was done before. */
async function changeTwice(store: Store, ...steps: SchemaStep[]): Promise<void> {
  await store.changeSchema(steps, nothing);
  await store.changeSchema(steps, nothing);
}

/** Tells the store that `table` now has these columns. */
function redescribe(store: Store, columns: readonly ColumnSpec[]): void {
  store.describe([{ name: PART.name, columns, indexes: [] }]);
}

async function openParts(store: Store): Promise<void> {
  await createTables(store, [PART]);
  await insertAll(store, "Part", [
    { id: "1", label: "bolt", stock: 5 },
    { id: "2", label: "nut", stock: null },
    { id: "3", label: null, stock: -(2 ** 40) },
  ]);
}

interface Conversion {
  readonly from: ColumnType;
  readonly to: ColumnType;
  readonly values: readonly (readonly [Value, Value])[];
}

const CONVERSIONS: readonly Conversion[] = [
  {
    from: "int",
    to: "text",
    values: [
      [42, "42"],
      [-7, "-7"],
      [0, "0"],
      [2n ** 63n - 1n, "9223372036854775807"],
      [null, null],
    ],
  },
  {
    from: "bool",
    to: "text",
    values: [
      [true, "true"],
      [false, "false"],
      [null, null],
    ],
  },
  {
    from: "int",
    to: "real",
    values: [
      [42, 42],
      [-(2 ** 40), -(2 ** 40)],
      [null, null],
    ],
  },
  {
    from: "real",
    to: "text",
    values: [
      [1.5, "1.5"],
      [-0.25, "-0.25"],
      [null, null],
    ],
  },
  {
    from: "json",
    to: "text",
    values: [
      [[1, "two"], `[1,"two"]`],
      [null, null],
    ],
  },
];

function testSteps(test: StoreTest): void {
  test("create-table with its indexes, drop-table, and again", async ({ store }) => {
    const table: TableSpec = { ...PART, indexes: [{ name: "Part_label", columns: ["label"], unique: true }] };
    store.describe([table]);
    await changeTwice(store, { kind: "create-table", table });
    await insertAll(store, "Part", [{ id: "1", label: "bolt", stock: 1 }]);
    await changeTwice(store, { kind: "create-table", table });
    assert.deepEqual(await findIds(store, "Part"), ["1"]);
    assert.deepEqual(await store.write((tx) => tx.insert("Part", { id: "2", label: "bolt", stock: 1 })), {
      kind: "conflict",
      columns: ["label"],
    });
    await changeTwice(store, { kind: "drop-table", table: "Part" });
    await assert.rejects(store.reader.find("Part", { limit: 1 }), hasCode("STORE_FAILED"));
    await store.changeSchema([{ kind: "create-table", table }], nothing);
    assert.deepEqual(await findIds(store, "Part"), []);
  });

  test("create-table that is clustered: rows are found, ordered and kept apart by that column, and by their ids", async ({
    store,
  }) => {
    const table: TableSpec = {
      ...PART,
      indexes: [
        { name: "Part_stock", columns: ["stock"], unique: true },
        { name: "Part_label", columns: ["label"], unique: false },
      ],
      clusteredBy: "stock",
    };
    const part = (id: string, stock: number, label = "bolt"): Row => ({ id, stock, label });
    store.describe([table]);
    await changeTwice(store, { kind: "create-table", table });
    await changeTwice(store, { kind: "create-index", table: "Part", index: table.indexes[0] as IndexSpec });
    await insertAll(store, "Part", [part("c", 1), part("a", 2 ** 40), part("b", 0)]);
    const order = { column: "stock", descending: true };
    assert.deepEqual(
      (await store.reader.find("Part", { order, limit: 2 })).map(({ id }) => id),
      ["a", "c"],
    );
    const after = { value: 1, id: "c" };
    assert.deepEqual(await store.reader.find("Part", { order, after, limit: 2 }), [part("b", 0)]);
    assert.deepEqual(await store.reader.get("Part", "a"), part("a", 2 ** 40));
    assert.deepEqual(
      await store.reader.find("Part", { where: [{ column: "stock", op: "eq", value: null }], limit: 2 }),
      [],
    );
    const taken = store.write((tx) => tx.insert("Part", part("d", 1)));
    assert.deepEqual(await taken, { kind: "conflict", columns: ["stock"] });
    const known = store.write((tx) => tx.insertMany("Part", [part("a", 7)]));
    assert.deepEqual(await known, { kind: "conflict", columns: ["id"] });
    assert.deepEqual(await store.write((tx) => tx.update("Part", "b", { stock: 5 })), { kind: "updated" });
    assert.deepEqual(await store.write((tx) => tx.update("Part", "b", { stock: 1 })), {
      kind: "conflict",
      columns: ["stock"],
    });
    assert.equal(await store.write((tx) => tx.delete("Part", "c")), true);
    assert.deepEqual(await findIds(store, "Part"), ["a", "b"]);
    assert.equal((await store.reader.get("Part", "b"))?.stock, 5);

    // Without the index it is a column like others.
    await changeTwice(store, { kind: "drop-index", table: "Part", index: "Part_stock" });
    await insertAll(store, "Part", [part("c", 5), { id: "d", stock: null, label: "nut" }]);
    assert.deepEqual(
      (await store.reader.find("Part", { limit: 9 })).map(({ id, stock }) => [id, stock]),
      [
        ["a", 2 ** 40],
        ["b", 5],
        ["c", 5],
        ["d", null],
      ],
    );
    const again = store.write((tx) => tx.insert("Part", part("a", 7)));
    assert.deepEqual(await again, { kind: "conflict", columns: ["id"] });
    const column: ColumnSpec = { name: "stock", type: "text" };
    await changeTwice(store, { kind: "convert-column", table: "Part", column, from: "int" });
    redescribe(store, [{ name: "label", type: "text" }, column]);
    assert.deepEqual(await store.reader.get("Part", "a"), { id: "a", stock: String(2 ** 40), label: "bolt" });
    await changeTwice(store, { kind: "drop-column", table: "Part", column: "stock" });
    redescribe(store, [{ name: "label", type: "text" }]);
    assert.deepEqual(await findIds(store, "Part"), ["a", "b", "c", "d"]);
  });

  test("add-column gives nulls and keeps the rest", async ({ store }) => {
    await openParts(store);
    const column: ColumnSpec = { name: "order", type: "json" };
    await changeTwice(store, { kind: "add-column", table: "Part", column });
    redescribe(store, [...PART.columns, column]);
    assert.deepEqual(await store.reader.get("Part", "1"), { id: "1", label: "bolt", stock: 5, order: null });
    await store.write((tx) => tx.update("Part", "1", { order: { a: 1 } }));
    await store.changeSchema([{ kind: "add-column", table: "Part", column }], nothing);
    assert.deepEqual((await store.reader.get("Part", "1"))?.order, { a: 1 });
  });

  test("drop-column, one with an index too", async ({ store }) => {
    await openParts(store);
    await store.changeSchema(
      [
        { kind: "create-index", table: "Part", index: { name: "Part_stock", columns: ["stock"], unique: false } },
        {
          kind: "create-index",
          table: "Part",
          index: { name: "Part_both", columns: ["label", "stock"], unique: true },
        },
        { kind: "create-index", table: "Part", index: { name: "Part_label", columns: ["label"], unique: true } },
      ],
      nothing,
    );
    await changeTwice(store, { kind: "drop-column", table: "Part", column: "stock" });
    redescribe(store, [{ name: "label", type: "text" }]);
    assert.deepEqual(await store.reader.find("Part", { limit: 9 }), [
      { id: "1", label: "bolt" },
      { id: "2", label: "nut" },
      { id: "3", label: null },
    ]);
    const outcome = await store.write((tx) => tx.insert("Part", { id: "4", label: "nut" }));
    assert.deepEqual(outcome, { kind: "conflict", columns: ["label"] });
  });

  test("create-index and drop-index", async ({ store }) => {
    await openParts(store);
    const index = { name: "Part_label", columns: ["label"], unique: true };
    const insertBolt = (id: string): Promise<string> =>
      store.write(async (tx) => (await tx.insert("Part", { id, label: "bolt", stock: 0 })).kind);
    await changeTwice(store, { kind: "create-index", table: "Part", index });
    assert.equal(await insertBolt("4"), "conflict");
    await changeTwice(store, { kind: "drop-index", table: "Part", index: "Part_label" });
    assert.equal(await insertBolt("4"), "inserted");
  });

  for (const { from, to, values } of CONVERSIONS) {
    test(`convert-column from ${from} to ${to} keeps the values, also when repeated`, async ({ store }) => {
      const table: TableSpec = { ...PART, columns: [{ name: "stock", type: from }, PART.columns[0]!] };
      await createTables(store, [table]);
      await insertAll(
        store,
        "Part",
        values.map(([stock], place) => ({ id: String(place), label: `part ${place}`, stock })),
      );
      const column: ColumnSpec = { name: "stock", type: to };
      await changeTwice(store, { kind: "convert-column", table: "Part", column, from });
      redescribe(store, [column, PART.columns[0]!]);
      assert.deepEqual(
        await store.reader.find("Part", { limit: 9 }),
        values.map(([, stock], place) => ({ id: String(place), label: `part ${place}`, stock })),
      );
      const after: Value = to === "text" ? "new 𝒳" : 0.125;
      await store.write((tx) => tx.update("Part", "0", { stock: after }));
      assert.equal((await store.reader.get("Part", "0"))?.stock, after);
    });
  }

  test("convert-column keeps the indexes of its column", async ({ store }) => {
    await openParts(store);
    const index = { name: "Part_stock", columns: ["stock", "label"], unique: true };
    await store.changeSchema([{ kind: "create-index", table: "Part", index }], nothing);
    const column: ColumnSpec = { name: "stock", type: "text" };
    await changeTwice(store, { kind: "convert-column", table: "Part", column, from: "int" });
    redescribe(store, [{ name: "label", type: "text" }, column]);
    const outcome = await store.write((tx) => tx.insert("Part", { id: "4", label: "bolt", stock: "5" }));
    assert.deepEqual(outcome, { kind: "conflict", columns: ["stock", "label"] });
  });
}

function testWhole(test: StoreTest): void {
  test("the callback sees the new schema and commits with it", async ({ store }) => {
    store.describe([PART]);
    const answer = await store.changeSchema([{ kind: "create-table", table: PART }], async (tx) => {
      await tx.insert("Part", { id: "1", label: "first", stock: 1 });
      await tx.writeMeta("schema", "1");
      await tx.enqueueJob(newJob("job"));
      return "answer";
    });
    assert.equal(answer, "answer");
    assert.deepEqual(await findIds(store, "Part"), ["1"]);
    assert.equal(await store.reader.readMeta("schema"), "1");
    assert.equal((await store.reader.getJob("job"))?.id, "job");
  });

  test("a failure in the callback undoes every step", async ({ store }) => {
    await openParts(store);
    const other: TableSpec = { ...PART, name: "Other" };
    store.describe([other]);
    const boom = new Error("boom");
    const changing = store.changeSchema(
      [
        { kind: "create-table", table: other },
        { kind: "add-column", table: "Part", column: { name: "extra", type: "text" } },
        { kind: "drop-column", table: "Part", column: "stock" },
        { kind: "convert-column", table: "Part", column: { name: "label", type: "json" }, from: "text" },
      ],
      async (tx) => {
        await tx.writeMeta("schema", "2");
        throw boom;
      },
    );
    await assert.rejects(changing, (error) => error === boom);
    assert.equal(await store.reader.readMeta("schema"), undefined);
    assert.deepEqual(await store.reader.get("Part", "1"), { id: "1", label: "bolt", stock: 5 });
    await assert.rejects(store.reader.find("Other", { limit: 1 }), hasCode("STORE_FAILED"));
    await store.changeSchema(
      [{ kind: "add-column", table: "Part", column: { name: "extra", type: "int" } }],
      async () => undefined,
    );
    redescribe(store, [...PART.columns, { name: "extra", type: "int" }]);
    await store.write((tx) => tx.update("Part", "1", { extra: 9 }));
    assert.equal((await store.reader.get("Part", "1"))?.extra, 9);
  });

  test("a step that the database refuses undoes the ones before it", async ({ store }) => {
    await openParts(store);
    await insertAll(store, "Part", [{ id: "4", label: "bolt", stock: 1 }]);
    let ran = false;
    const changing = store.changeSchema(
      [
        { kind: "drop-column", table: "Part", column: "stock" },
        { kind: "create-index", table: "Part", index: { name: "Part_label", columns: ["label"], unique: true } },
      ],
      async () => {
        ran = true;
      },
    );
    await assert.rejects(changing, hasCode("STORE_FAILED"));
    assert.equal(ran, false);
    assert.equal((await store.reader.get("Part", "1"))?.stock, 5);
    await store.write((tx) => tx.insert("Part", { id: "5", label: "bolt", stock: 2 }));
    assert.equal(await store.reader.count("Part", []), 5);
  });

  test("rows written before a change read the same after it", async ({ store }) => {
    await openParts(store);
    // Statements that were prepared against the old schema.
    await store.reader.get("Part", "1");
    await store.write((tx) => tx.update("Part", "1", { stock: 6 }));
    await store.changeSchema(
      [{ kind: "add-column", table: "Part", column: { name: "extra", type: "text" } }],
      async (tx) => assert.equal((await tx.get("Part", "1"))?.stock, 6),
    );
    assert.equal((await store.reader.get("Part", "1"))?.stock, 6);
    await store.write((tx) => tx.update("Part", "1", { stock: 7 }));
    assert.equal((await store.reader.get("Part", "1"))?.stock, 7);
  });
}

export function testSchema(test: StoreTest): void {
  testSteps(test);
  testWhole(test);
}
