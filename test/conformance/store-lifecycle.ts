// Opening and closing: what was acknowledged is there after reopening, and a closed store says so.

import assert from "node:assert/strict";

import {
  claim,
  createGate,
  createTables,
  enqueue,
  findIds,
  hasCode,
  insertAll,
  newJob,
  note,
  NOTE,
  ORDER,
  T0,
  type StoreTest,
} from "./store-fixture.ts";

function testClosing(test: StoreTest): void {
  test("closing twice is closing once", async ({ store }) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });

  test("a closed store answers STORE_CLOSED to writes, schema changes, reads and pings", async ({ store }) => {
    await createTables(store);
    await store.ping();
    await store.close();
    let ran = false;
    const run = async (): Promise<void> => {
      ran = true;
    };
    await assert.rejects(store.write(run), hasCode("STORE_CLOSED"));
    await assert.rejects(store.changeSchema([], run), hasCode("STORE_CLOSED"));
    await assert.rejects(store.reader.get("Note", "1"), hasCode("STORE_CLOSED"));
    await assert.rejects(store.reader.countJobs(), hasCode("STORE_CLOSED"));
    await assert.rejects(store.ping(), hasCode("STORE_CLOSED"));
    assert.equal(ran, false);
  });

  test("close waits for the writes that were asked for before it, and takes none after", async ({ store }) => {
    await createTables(store);
    const [begun, go] = [createGate(), createGate()];
    const log: string[] = [];
    const slow = store.write(
      async (tx) => {
        begun.open();
        await go.opened;
        await tx.insert("Note", note("slow"));
      },
      { exclusive: true },
    );
    const queued = store.write((tx) => tx.insert("Note", note("queued")));
    await begun.opened;
    const closing = store.close().then(() => log.push("closed"));
    const refused = assert.rejects(
      store.write(async () => undefined),
      hasCode("STORE_CLOSED"),
    );
    await refused;
    assert.deepEqual(log, []);
    go.open();
    await slow;
    assert.deepEqual(await queued, { kind: "inserted" });
    await closing;
  });
}

function testReopening(test: StoreTest): void {
  test("rows, jobs, attempts, leases and meta survive reopening", async ({ store, reopen }) => {
    if (!reopen) return;
    await createTables(store);
    const row = note("1", { title: "𝒳", size: 2n ** 62n, open: true, tags: { a: [] }, body: new Uint8Array([0, 255]) });
    await insertAll(store, "Note", [row]);
    await enqueue(store, newJob("1", { key: "k" }), newJob("2", { key: "k" }), newJob("3"));
    const [leased] = await claim(store, { limit: 1 });
    await store.write((tx) => tx.writeMeta("key", "value"));
    const again = await reopen();
    again.describe([NOTE, ORDER]);
    assert.deepEqual(await again.reader.get("Note", "1"), row);
    assert.deepEqual(await again.reader.getJob("1"), leased);
    assert.equal((await again.reader.getJob("2"))?.state, "blocked");
    assert.equal(await again.reader.laneDue("mail"), T0);
    assert.equal(await again.reader.readMeta("key"), "value");
    await insertAll(again, "Note", [note("2")]);
    assert.deepEqual(await findIds(again, "Note"), ["1", "2"]);
    assert.deepEqual(await enqueue(again, newJob("1"), newJob("4")), [false, true]);
  });

  test("a table must be described before it is used, also when it exists", async ({ store, reopen }) => {
    if (!reopen) return;
    await createTables(store);
    const again = await reopen();
    await assert.rejects(again.reader.get("Note", "1"), hasCode("STORE_FAILED"));
  });

  test("only a store that nobody else has open is opened alone", async ({ store, second, reopen }) => {
    assert.equal(store.openedAlone, true);
    if (!second) return;
    const [third, fourth] = [await second(), await second()];
    assert.deepEqual([third.openedAlone, fourth.openedAlone], [false, false]);
    // The one that was alone goes: those that stay are still there.
    await store.close();
    assert.equal((await second()).openedAlone, false);
    if (reopen) assert.equal((await reopen()).openedAlone, true);
  });

  test("what one process commits another reads", async ({ store, second }) => {
    if (!second) return;
    await createTables(store);
    const other = await second();
    other.describe([NOTE, ORDER]);
    await insertAll(store, "Note", [note("mine")]);
    assert.deepEqual(await findIds(other, "Note"), ["mine"]);
    await insertAll(other, "Note", [note("theirs")]);
    assert.deepEqual(await findIds(store, "Note"), ["mine", "theirs"]);
    const column = { name: "extra", type: "int" as const };
    await other.changeSchema([{ kind: "add-column", table: "Note", column }], async () => undefined);
    assert.deepEqual(await findIds(store, "Note"), ["mine", "theirs"]);
    await insertAll(store, "Note", [note("after")]);
    assert.equal(await other.reader.count("Note", []), 3);
  });

  test("its name says what it is", async ({ store }) => {
    assert.match(store.name, /\S/);
  });
}

export function testLifecycle(test: StoreTest): void {
  testClosing(test);
  testReopening(test);
}
