// Jobs of one key: one after the other in commit order, whatever happens to the first of them.

import assert from "node:assert/strict";

import type { LaneDue, NewJob } from "../../src/store/store.ts";
import { claim, enqueue, newJob, settle, statesOf, T0, type StoreTest } from "./store-fixture.ts";

const keyed = (id: string, values: Partial<NewJob> = {}): NewJob => newJob(id, { key: "k", ...values });

export function testKeyedJobs(test: StoreTest): void {
  test("jobs of one key run in the order of their commits, not of their due times", async ({ store }) => {
    await enqueue(store, keyed("1", { dueAt: T0 + 30 }), keyed("2", { dueAt: T0 + 20 }));
    await enqueue(store, keyed("3", { dueAt: T0 }));
    const ran: string[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const jobs = await claim(store, { now: T0 + 99 });
      assert.equal(jobs.length, 1);
      ran.push(jobs[0]!.id);
      assert.deepEqual(await claim(store, { now: T0 + 99 }), []);
      await settle(store, jobs[0]!, { state: turn === 1 ? "dead" : "done" });
    }
    assert.deepEqual(ran, ["1", "2", "3"]);
  });

  test("other keys and jobs without one are not held up", async ({ store }) => {
    await enqueue(
      store,
      keyed("1"),
      keyed("2"),
      newJob("free"),
      newJob("other", { key: "K" }),
      newJob("", { key: "" }),
    );
    await enqueue(store, newJob("second of the empty key", { key: "" }));
    const claimed = await claim(store);
    assert.deepEqual(
      claimed.map(({ id }) => id),
      ["1", "free", "other", ""],
    );
    assert.deepEqual(await statesOf(store, "2", "second of the empty key"), ["blocked", "blocked"]);
  });

  test("a key holds across lanes and kinds", async ({ store }) => {
    await enqueue(store, keyed("1"), keyed("2", { lane: "other", kind: "hook" }));
    assert.deepEqual(await claim(store, { lane: "other" }), []);
    const [first] = await claim(store);
    const heard: (readonly LaneDue[])[] = [];
    store.onDue((due) => heard.push(due));
    await settle(store, first!);
    assert.deepEqual(heard, [[{ lane: "other", dueAt: T0 }]]);
    assert.deepEqual(
      (await claim(store, { lane: "other" })).map(({ id }) => id),
      ["2"],
    );
  });

  test("the first of a key blocks while it waits for a retry, is released or expires", async ({ store }) => {
    await enqueue(store, keyed("1"), keyed("2"));
    const [first] = await claim(store);
    await settle(store, first!, { state: "ready", dueAt: T0 + 500 });
    assert.deepEqual(await claim(store, { now: T0 + 499 }), []);
    const [again] = await claim(store, { now: T0 + 500 });
    assert.equal(again?.id, "1");
    await store.write((tx) => tx.releaseJobs("a", [again.seq]));
    assert.deepEqual(await statesOf(store, "1", "2"), ["ready", "blocked"]);
    await claim(store, { now: T0 + 500, leaseMs: 10 });
    await store.write((tx) => tx.expireLeases(T0 + 510, 10));
    assert.deepEqual(await statesOf(store, "1", "2"), ["ready", "blocked"]);
  });

  for (const ending of ["done", "dead", "canceled"] as const) {
    test(`when the first of a key is ${ending}, exactly one follows, and its lane is told`, async ({ store }) => {
      await enqueue(store, keyed("1"), keyed("2", { dueAt: T0 + 7 }), keyed("3"), keyed("4"));
      const heard: (readonly LaneDue[])[] = [];
      store.onDue((due) => heard.push(due));
      if (ending === "canceled") {
        assert.equal(await store.write((tx) => tx.cancelJob("1", T0)), true);
      } else {
        const [first] = await claim(store);
        await settle(store, first!, { state: ending });
      }
      assert.deepEqual(heard, [[{ lane: "mail", dueAt: T0 + 7 }]]);
      assert.deepEqual(await statesOf(store, "1", "2", "3", "4"), [ending, "ready", "blocked", "blocked"]);
    });
  }

  test("canceling one that is blocked lets nobody pass", async ({ store }) => {
    await enqueue(store, keyed("1"), keyed("2"), keyed("3"));
    assert.equal(await store.write((tx) => tx.cancelJob("2", T0)), true);
    assert.deepEqual(await statesOf(store, "1", "2", "3"), ["ready", "canceled", "blocked"]);
    const [first] = await claim(store);
    await settle(store, first!);
    assert.deepEqual(await statesOf(store, "1", "2", "3"), ["done", "canceled", "ready"]);
  });

  test("a job of a key whose others are all finished is ready at once", async ({ store }) => {
    await enqueue(store, keyed("1"));
    const [first] = await claim(store);
    await settle(store, first!);
    await enqueue(store, keyed("2"), keyed("3"));
    assert.deepEqual(await statesOf(store, "1", "2", "3"), ["done", "ready", "blocked"]);
  });

  test("a requeued job waits for the one of its key that has its turn", async ({ store }) => {
    await enqueue(store, keyed("1"), keyed("2"), keyed("3"));
    const [first] = await claim(store);
    await settle(store, first!, { state: "dead" });
    const heard: (readonly LaneDue[])[] = [];
    store.onDue((due) => heard.push(due));
    assert.equal(await store.write((tx) => tx.requeueJob("1", T0)), true);
    assert.deepEqual(heard, []);
    assert.deepEqual(await statesOf(store, "1", "2", "3"), ["blocked", "ready", "blocked"]);
    // A blocked neighbour that goes must not let the requeued one run beside the one that has its turn.
    await store.write((tx) => tx.cancelJob("3", T0));
    assert.deepEqual(await statesOf(store, "1", "2", "3"), ["blocked", "ready", "canceled"]);
    const running = await claim(store);
    assert.deepEqual(
      running.map(({ id }) => id),
      ["2"],
    );
    await settle(store, running[0]!);
    assert.deepEqual(await statesOf(store, "1"), ["ready"]);
  });

  test("a requeued job whose key is free is ready", async ({ store }) => {
    await enqueue(store, keyed("1"));
    await store.write((tx) => tx.cancelJob("1", T0));
    assert.equal(await store.write((tx) => tx.requeueJob("1", T0)), true);
    await enqueue(store, keyed("2"));
    assert.deepEqual(await statesOf(store, "1", "2"), ["ready", "blocked"]);
  });

  test("concurrent enqueues of one key leave exactly one ready", async (opened) => {
    const { store } = opened;
    const stores = opened.second ? [store, await opened.second()] : [store];
    await Promise.all(
      Array.from({ length: 40 }, (_, place) => enqueue(stores[place % stores.length]!, keyed(`job ${place}`))),
    );
    const counts = await store.reader.countJobs();
    assert.deepEqual([counts.ready, counts.blocked], [1, 39]);
    const [head] = await store.reader.listJobs({ kind: "mail", states: ["ready"], limit: 2 });
    const rest = await store.reader.listJobs({ kind: "mail", states: ["blocked"], limit: 99 });
    assert.ok(rest.every(({ seq }) => seq > head!.seq));
  });
}
