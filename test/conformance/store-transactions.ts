// The Store's transactions: all or nothing, alone, durable when acknowledged, and nobody pays for a neighbour that fails.

import assert from "node:assert/strict";

import type { LaneDue, Tx } from "../../src/store/store.ts";
import {
  claim,
  createGate,
  createTables,
  enqueue,
  findIds,
  hasCode,
  insertAll,
  letOthersRun,
  newJob,
  NOTE,
  note,
  ORDER,
  order,
  T0,
  type StoreTest,
} from "./store-fixture.ts";

const boom = new Error("boom");

function testAtomicity(test: StoreTest): void {
  test("a transaction reads what it wrote", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("old", { title: "before" }), note("gone")]);
    await store.write(async (tx) => {
      await tx.insert("Note", note("new", { title: "mine" }));
      await tx.update("Note", "old", { title: "after" });
      await tx.delete("Note", "gone");
      await tx.enqueueJob(newJob("job"));
      await tx.writeMeta("key", "value");
      assert.deepEqual(await tx.get("Note", "new"), note("new", { title: "mine" }));
      assert.deepEqual(await tx.get("Note", "old"), note("old", { title: "after" }));
      assert.equal(await tx.get("Note", "gone"), undefined);
      assert.deepEqual(
        (await tx.find("Note", { limit: 9 })).map((row) => row.id),
        ["new", "old"],
      );
      assert.equal(await tx.count("Note", []), 2);
      assert.equal((await tx.getJob("job"))?.state, "ready");
      assert.equal(await tx.laneDue("mail"), T0);
      assert.equal(await tx.readMeta("key"), "value");
    });
  });

  test("nothing is seen from outside before the commit, and everything after it", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("old", { title: "before" })]);
    const written = createGate();
    const looked = createGate();
    const writing = store.write(
      async (tx) => {
        await tx.insert("Note", note("new"));
        await tx.update("Note", "old", { title: "after" });
        await tx.enqueueJob(newJob("job"));
        await tx.writeMeta("key", "value");
        written.open();
        await looked.opened;
      },
      { exclusive: true },
    );
    await written.opened;
    assert.equal(await store.reader.get("Note", "new"), undefined);
    assert.equal((await store.reader.get("Note", "old"))?.title, "before");
    assert.equal(await store.reader.count("Note", []), 1);
    assert.equal(await store.reader.getJob("job"), undefined);
    assert.equal(await store.reader.readMeta("key"), undefined);
    looked.open();
    await writing;
    assert.equal((await store.reader.get("Note", "old"))?.title, "after");
    assert.deepEqual(await findIds(store, "Note"), ["new", "old"]);
    assert.equal((await store.reader.getJob("job"))?.id, "job");
    assert.equal(await store.reader.readMeta("key"), "value");
  });

  for (const exclusive of [false, true]) {
    test(`a throw undoes rows, jobs and meta and notifies nobody (exclusive: ${exclusive})`, async ({ store }) => {
      await createTables(store);
      await insertAll(store, "Note", [note("kept", { title: "as it was" }), note("kept too")]);
      await enqueue(store, newJob("kept"));
      const [leased] = await claim(store);
      const heard: (readonly LaneDue[])[] = [];
      store.onDue((due) => heard.push(due));
      const failing = store.write(
        async (tx) => {
          await tx.insert("Note", note("new"));
          await tx.update("Note", "kept", { title: "changed" });
          await tx.delete("Note", "kept too");
          await tx.enqueueJob(newJob("job"));
          await tx.releaseJobs("a", [leased!.seq]);
          await tx.writeMeta("key", "value");
          throw boom;
        },
        { exclusive },
      );
      await assert.rejects(failing, (error) => error === boom);
      assert.deepEqual(await store.reader.get("Note", "kept"), note("kept", { title: "as it was" }));
      assert.deepEqual(await findIds(store, "Note"), ["kept", "kept too"]);
      assert.equal(await store.reader.getJob("job"), undefined);
      assert.equal((await store.reader.getJob("kept"))?.state, "leased");
      assert.equal(await store.reader.readMeta("key"), undefined);
      await store.write(async (tx) => tx.writeMeta("later", "commit"));
      assert.deepEqual(heard, []);
    });
  }

  test("of 100 concurrent writes the third that throw leave no trace, the others all of theirs", async ({ store }) => {
    await createTables(store);
    const heard = new Set<string>();
    store.onDue((due) => {
      for (const { lane } of due) heard.add(lane);
    });
    const names = Array.from({ length: 100 }, (_, place) => String(place).padStart(3, "0"));
    const kept = names.filter((_, place) => place % 3 !== 0);
    const outcomes = await Promise.allSettled(
      names.map((name, place) =>
        store.write(async (tx) => {
          await tx.insert("Note", note(name, { size: place }));
          await tx.enqueueJob(newJob(name, { lane: `lane ${name}` }));
          await tx.writeMeta(name, "set");
          if (place % 3 === 0) throw boom;
          return place;
        }),
      ),
    );
    for (const [place, outcome] of outcomes.entries()) {
      if (place % 3 === 0) assert.deepEqual(outcome, { status: "rejected", reason: boom });
      else assert.deepEqual(outcome, { status: "fulfilled", value: place });
    }
    assert.deepEqual(await findIds(store, "Note"), kept);
    assert.deepEqual(
      (await store.reader.listJobs({ kind: "mail", states: ["ready"], limit: 200 })).map((job) => job.id).sort(),
      kept,
    );
    for (const [place, name] of names.entries()) {
      assert.equal(await store.reader.readMeta(name), place % 3 === 0 ? undefined : "set");
    }
    assert.deepEqual(
      [...heard].sort(),
      kept.map((name) => `lane ${name}`),
    );
  });

  test("a callback that throws at once is a rejection too", async ({ store }) => {
    await assert.rejects(
      store.write(() => {
        throw boom;
      }),
      (error) => error === boom,
    );
    await store.write((tx) => tx.writeMeta("still", "writes"));
    assert.equal(await store.reader.readMeta("still"), "writes");
  });

  test("concurrent increments of one row are all counted", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Note", [note("counter", { size: 0 })]);
    await Promise.all(
      Array.from({ length: 50 }, () =>
        store.write(async (tx) => {
          const row = await tx.get("Note", "counter");
          await tx.update("Note", "counter", { size: (row?.size as number) + 1 });
        }),
      ),
    );
    assert.equal((await store.reader.get("Note", "counter"))?.size, 50);
  });
}

function testConflicts(test: StoreTest): void {
  test("a unique violation is a value that names the columns, for insert and update alike", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Order", [
      order("1", { number: "A", group: "g", select: 1 }),
      order("2", { number: "B", group: "g", select: 2 }),
    ]);
    const [byKey, bySingle, byPair] = [["id"], ["number"], ["group", "select"]].map((columns) => ({
      kind: "conflict" as const,
      columns,
    }));
    await store.write(async (tx) => {
      assert.deepEqual(await tx.insert("Order", order("1", { number: "C" })), byKey);
      assert.deepEqual(await tx.insert("Order", order("3", { number: "A" })), bySingle);
      assert.deepEqual(await tx.insert("Order", order("3", { number: "C", group: "g", select: 1 })), byPair);
      assert.deepEqual(await tx.update("Order", "2", { number: "A" }), bySingle);
      assert.deepEqual(await tx.update("Order", "2", { select: 1 }), byPair);
    });
  });

  test("a conflict leaves the transaction usable and only what conflicted undone", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Order", [order("1", { number: "A" })]);
    await store.write(async (tx) => {
      await tx.insert("Order", order("2", { number: "B" }));
      assert.equal((await tx.insert("Order", order("3", { number: "A" }))).kind, "conflict");
      assert.equal((await tx.update("Order", "2", { number: "A", total: 7 })).kind, "conflict");
      assert.deepEqual(await tx.get("Order", "2"), order("2", { number: "B" }));
      assert.deepEqual(await tx.insert("Order", order("4", { number: "D" })), { kind: "inserted" });
      await tx.enqueueJob(newJob("job"));
    });
    assert.deepEqual(await findIds(store, "Order"), ["1", "2", "4"]);
    assert.equal((await store.reader.getJob("job"))?.id, "job");
  });

  test("nulls never conflict, and a value is free again once its row is gone", async ({ store }) => {
    await createTables(store);
    await insertAll(store, "Order", [
      order("1", { group: "g" }),
      order("2", { group: "g" }),
      order("3", { number: "A", group: "g", select: 1 }),
    ]);
    await store.write(async (tx) => {
      await tx.delete("Order", "3");
      assert.deepEqual(await tx.insert("Order", order("4", { number: "A", group: "g", select: 1 })), {
        kind: "inserted",
      });
      assert.deepEqual(await tx.update("Order", "4", { number: "A" }), { kind: "updated" });
    });
  });

  test("of concurrent inserts of one unique value exactly one wins", async ({ store }) => {
    await createTables(store);
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, place) =>
        store.write((tx) => tx.insert("Order", order(`order ${place}`, { number: "the one" }))),
      ),
    );
    assert.equal(outcomes.filter(({ kind }) => kind === "inserted").length, 1);
    assert.equal(await store.reader.count("Order", []), 1);
  });
}

function testExclusive(test: StoreTest): void {
  test("an exclusive writer may wait for other things; what it wrote is seen once it has committed", async ({
    store,
  }) => {
    await createTables(store);
    const [begun, go] = [createGate(), createGate()];
    const exclusive = store.write(
      async (tx) => {
        await tx.insert("Note", note("exclusive"));
        begun.open();
        await go.opened;
        return "answer";
      },
      { exclusive: true },
    );
    await begun.opened;
    const other = store.write((tx) => tx.insert("Note", note("other")));
    await letOthersRun();
    assert.equal(await store.reader.get("Note", "exclusive"), undefined);
    go.open();
    assert.equal(await exclusive, "answer");
    assert.deepEqual(await other, { kind: "inserted" });
    assert.deepEqual(await findIds(store, "Note"), ["exclusive", "other"]);
  });

  for (const exclusive of [false, true]) {
    test(`writers that count up the same row lose nothing (exclusive: ${exclusive})`, async (opened) => {
      const { store } = opened;
      const stores = opened.second ? [store, await opened.second()] : [store];
      await createTables(store);
      for (const one of stores) one.describe([NOTE, ORDER]);
      await insertAll(store, "Note", [note("counter", { size: 0 })]);
      const countUp = (place: number): Promise<unknown> =>
        stores[place % stores.length]!.write(
          async (tx) => {
            const size = (await tx.get("Note", "counter"))?.size as number;
            await tx.update("Note", "counter", { size: size + 1 });
          },
          { exclusive },
        );
      await Promise.all(Array.from({ length: 24 }, (_, place) => countUp(place)));
      assert.equal((await store.reader.get("Note", "counter"))?.size, 24);
    });

    test(`of two writers that each rely on what the other changes, one sees it (exclusive: ${exclusive})`, async ({
      store,
    }) => {
      await createTables(store);
      for (let round = 0; round < 10; round += 1) {
        const [left, right] = [`${round} left`, `${round} right`];
        await insertAll(store, "Note", [note(left, { open: true }), note(right, { open: true })]);
        const closeOne = (id: string): Promise<unknown> =>
          store.write(
            async (tx) => {
              const where = [
                { column: "id", op: "in" as const, values: [left, right] },
                { column: "open", op: "eq" as const, value: true },
              ];
              if ((await tx.count("Note", where)) > 1) await tx.update("Note", id, { open: false });
            },
            { exclusive },
          );
        await Promise.all([closeOne(left), closeOne(right)]);
        const both = await Promise.all([left, right].map((id) => store.reader.get("Note", id)));
        assert.equal(both.filter((row) => row?.open === true).length, 1, `round ${round}`);
      }
    });
  }

  test("an abort rolls an exclusive writer back, and its transaction is over", async ({ store }) => {
    await createTables(store);
    const [begun, aborted] = [createGate(), createGate()];
    const controller = new AbortController();
    let late: Promise<unknown> = Promise.resolve();
    const lateCall = createGate();
    const writing = store.write(
      async (tx) => {
        await tx.insert("Note", note("lost"));
        await tx.enqueueJob(newJob("lost"));
        begun.open();
        await aborted.opened;
        late = tx.insert("Note", note("late"));
        late.catch(() => undefined);
        lateCall.open();
      },
      { exclusive: true, signal: controller.signal },
    );
    await begun.opened;
    const reason = new Error("took too long");
    controller.abort(reason);
    await assert.rejects(writing, (error) => error === reason);
    aborted.open();
    await lateCall.opened;
    await assert.rejects(late, hasCode("TX_ENDED"));
    await store.write((tx) => tx.insert("Note", note("next")));
    assert.deepEqual(await findIds(store, "Note"), ["next"]);
    assert.equal(await store.reader.getJob("lost"), undefined);
  });

  for (const exclusive of [false, true]) {
    test(`a signal that aborted beforehand: nothing runs (exclusive: ${exclusive})`, async ({ store }) => {
      await createTables(store);
      const reason = new Error("gave up");
      let ran = false;
      const writing = store.write(
        async (tx) => {
          ran = true;
          await tx.insert("Note", note("lost"));
        },
        { exclusive, signal: AbortSignal.abort(reason) },
      );
      await assert.rejects(writing, (error) => error === reason);
      assert.equal(await store.reader.count("Note", []), 0);
      assert.equal(ran, false);
    });
  }

  test("a signal that aborts after the commit changes nothing", async ({ store }) => {
    await createTables(store);
    const controller = new AbortController();
    await store.write((tx) => tx.insert("Note", note("kept")), { signal: controller.signal });
    controller.abort();
    await store.write((tx) => tx.insert("Note", note("next")));
    assert.deepEqual(await findIds(store, "Note"), ["kept", "next"]);
  });
}

/** One call of each method of a transaction. */
const EVERY_CALL: Readonly<Record<keyof Tx, (tx: Tx) => Promise<unknown>>> = {
  atCommit: async (tx) => tx.atCommit({ run: async () => undefined }, "item"),
  get: (tx) => tx.get("Note", "1"),
  find: (tx) => tx.find("Note", { limit: 1 }),
  count: (tx) => tx.count("Note", []),
  getJob: (tx) => tx.getJob("1"),
  listJobs: (tx) => tx.listJobs({ kind: "mail", states: ["ready"], limit: 1 }),
  listAttempts: (tx) => tx.listAttempts("1"),
  dueLanes: (tx) => tx.dueLanes(T0, 1),
  laneDue: (tx) => tx.laneDue("mail"),
  countJobs: (tx) => tx.countJobs(),
  readMeta: (tx) => tx.readMeta("key"),
  insert: (tx) => tx.insert("Note", note("late")),
  insertMany: (tx) => tx.insertMany("Note", [note("late")]),
  update: (tx) => tx.update("Note", "kept", { size: 1 }),
  delete: (tx) => tx.delete("Note", "kept"),
  deleteWhere: (tx) => tx.deleteWhere("Note", [], 9),
  enqueueJob: (tx) => tx.enqueueJob(newJob("late")),
  claimJobs: (tx) => tx.claimJobs({ lane: "mail", limit: 1, owner: "a", now: T0, leaseUntil: T0 + 1 }),
  settleJob: (tx) =>
    tx.settleJob({
      seq: 1,
      key: null,
      lane: "mail",
      owner: "a",
      attempt: { attempt: 1, startedAt: T0, durationMs: 1, ok: true, status: null, error: null },
      next: { state: "done" },
    }),
  extendLeases: (tx) => tx.extendLeases("a", [1], T0),
  releaseJobs: (tx) => tx.releaseJobs("a", [1]),
  expireLeases: (tx) => tx.expireLeases(T0, 1),
  cancelJob: (tx) => tx.cancelJob("kept", T0),
  requeueJob: (tx) => tx.requeueJob("kept", T0),
  purgeJobs: (tx) => tx.purgeJobs(T0, 9),
  writeMeta: (tx) => tx.writeMeta("late", "value"),
};

function testEnd(test: StoreTest): void {
  for (const ending of ["committed", "rolled back"]) {
    test(`every call of a transaction that was ${ending} answers TX_ENDED and does nothing`, async ({ store }) => {
      await createTables(store);
      await insertAll(store, "Note", [note("kept")]);
      await enqueue(store, newJob("kept"));
      let escaped: Tx | undefined;
      const writing = store.write(async (tx) => {
        escaped = tx;
        if (ending === "rolled back") throw boom;
      });
      await (ending === "committed" ? writing : assert.rejects(writing));
      assert.ok(escaped);
      for (const call of Object.values(EVERY_CALL)) await assert.rejects(call(escaped), hasCode("TX_ENDED"));
      assert.deepEqual(await findIds(store, "Note"), ["kept"]);
      assert.equal((await store.reader.getJob("kept"))?.state, "ready");
      assert.equal(await store.reader.readMeta("late"), undefined);
    });
  }

  test("a call that escaped does not land in a later transaction", async ({ store }) => {
    await createTables(store);
    let escaped: Tx | undefined;
    await store.write(async (tx) => {
      escaped = tx;
      await tx.insert("Note", note("first"));
    });
    await store.write(async (tx) => {
      await tx.insert("Note", note("second"));
      await assert.rejects(async () => escaped?.insert("Note", note("late")), hasCode("TX_ENDED"));
      await tx.insert("Note", note("third"));
    });
    assert.deepEqual(await findIds(store, "Note"), ["first", "second", "third"]);
  });

  test("a refused call is a coded rejection, and its error can end the transaction", async ({ store }) => {
    await createTables(store);
    const failing = store.write(async (tx) => {
      await tx.insert("Note", note("lost"));
      await tx.insert("Nowhere", note("1"));
    });
    await assert.rejects(failing, hasCode("STORE_FAILED"));
    await assert.rejects(store.reader.find("Nowhere", { limit: 1 }), hasCode("STORE_FAILED"));
    const where = [{ column: "nothing", op: "eq" as const, value: 1 }];
    await assert.rejects(store.reader.count("Note", where), hasCode("STORE_FAILED"));
    await assert.rejects(
      store.reader.find("Note", { limit: 1, order: { column: "nothing", descending: false } }),
      hasCode("STORE_FAILED"),
    );
    assert.deepEqual(await findIds(store, "Note"), []);
  });
}

export function testTransactions(test: StoreTest): void {
  testAtomicity(test);
  testConflicts(test);
  testExclusive(test);
  testEnd(test);
}
