// Leases: whoever holds one may settle, extend and give back; whoever lost it may do nothing any more.

import assert from "node:assert/strict";

import type { LaneDue } from "../../src/store/store.ts";
import { claim, enqueue, jobOf, newJob, settle, statesOf, T0, type StoreTest } from "./store-fixture.ts";

export function testLeases(test: StoreTest): void {
  test("an expired lease makes the job claimable with a higher attempt, and locks its first owner out", async ({
    store,
  }) => {
    await enqueue(store, newJob("job"));
    const [first] = await claim(store, { owner: "a", leaseMs: 100 });
    assert.equal(await store.write((tx) => tx.expireLeases(T0 + 99, 10)), 0);
    const heard: (readonly LaneDue[])[] = [];
    store.onDue((due) => heard.push(due));
    assert.equal(await store.write((tx) => tx.expireLeases(T0 + 100, 10)), 1);
    assert.deepEqual(heard, [[{ lane: "mail", dueAt: T0 }]]);
    const free = await jobOf(store, "job");
    assert.deepEqual([free.state, free.leaseOwner, free.leaseUntil], ["ready", null, null]);
    const [second] = await claim(store, { owner: "b", now: T0 + 100 });
    assert.equal(second?.attempt, 2);
    assert.equal(await settle(store, first!, { owner: "a" }), false);
    assert.deepEqual(await store.write((tx) => tx.extendLeases("a", [first!.seq], T0 + 9_999)), []);
    await store.write((tx) => tx.releaseJobs("a", [first!.seq]));
    assert.deepEqual(await jobOf(store, "job"), second);
    assert.equal(await settle(store, second, { owner: "b" }), true);
    assert.deepEqual(
      (await store.reader.listAttempts("job")).map(({ attempt }) => attempt),
      [2],
    );
  });

  test("an attempt that expired is spent even before anyone claims the job again", async ({ store }) => {
    await enqueue(store, newJob("job"));
    const [first] = await claim(store, { leaseMs: 100 });
    await store.write((tx) => tx.expireLeases(T0 + 100, 10));
    assert.equal(await settle(store, first!), false);
    const [again] = await claim(store, { now: T0 + 100 });
    assert.equal(again?.attempt, 2);
    assert.equal(again.lost, 1, "nobody knows whether the first was ever tried");
    assert.equal(await settle(store, first!), false);
    assert.equal(await settle(store, again), true);
  });

  test("a settlement needs the owner and the attempt of the lease", async ({ store }) => {
    await enqueue(store, newJob("job"));
    const [job] = await claim(store, { owner: "a" });
    assert.equal(await settle(store, job!, { owner: "b" }), false);
    assert.equal(await settle(store, { ...job!, attempt: 2 }, { owner: "a" }), false);
    assert.equal(await settle(store, { ...job!, seq: job!.seq + 1 }, { owner: "a" }), false);
    assert.deepEqual(await jobOf(store, "job"), job);
    assert.deepEqual(await store.reader.listAttempts("job"), []);
    assert.equal(await settle(store, job!, { owner: "a" }), true);
  });

  test("extending moves the leases that are still held and names them", async ({ store }) => {
    await enqueue(store, newJob("1"), newJob("2"), newJob("3"), newJob("4"));
    const mine = await claim(store, { owner: "a", limit: 3, leaseMs: 100 });
    await claim(store, { owner: "b", leaseMs: 100 });
    await settle(store, mine[2]!);
    const seqs = [...mine.map(({ seq }) => seq), (await jobOf(store, "4")).seq, 999_999];
    const held = await store.write((tx) => tx.extendLeases("a", seqs, T0 + 500));
    assert.deepEqual(
      held.toSorted((a, b) => a - b),
      [mine[0]!.seq, mine[1]!.seq],
    );
    assert.deepEqual(await store.write((tx) => tx.extendLeases("a", [], T0 + 500)), []);
    assert.equal((await jobOf(store, "1")).leaseUntil, T0 + 500);
    assert.equal((await jobOf(store, "4")).leaseUntil, T0 + 100);
    assert.equal(await store.write((tx) => tx.expireLeases(T0 + 499, 10)), 1);
    assert.deepEqual(await statesOf(store, "1", "2", "3", "4"), ["leased", "leased", "done", "ready"]);
    assert.equal(await settle(store, mine[0]!), true);
  });

  test("a release is as if the claim had not happened, and its lane is told", async ({ store }) => {
    await enqueue(store, newJob("retried"), newJob("kept"));
    const [first] = await claim(store, { limit: 1 });
    await settle(store, first!, { state: "ready", dueAt: T0, status: 503 });
    const before = await jobOf(store, "retried");
    const [again, kept] = await claim(store);
    assert.equal(again?.attempt, 2);
    const heard: (readonly LaneDue[])[] = [];
    store.onDue((due) => heard.push(due));
    await store.write((tx) => tx.releaseJobs("b", [again.seq]));
    assert.equal((await jobOf(store, "retried")).state, "leased");
    assert.deepEqual(heard, []);
    await store.write((tx) => tx.releaseJobs("a", [again.seq, 999_999]));
    assert.deepEqual(await jobOf(store, "retried"), before);
    assert.deepEqual(await jobOf(store, "kept"), kept);
    assert.deepEqual(heard, [[{ lane: "mail", dueAt: T0 }]]);
    assert.equal(await settle(store, again), false);
    assert.equal((await claim(store))[0]?.attempt, 2);
  });

  test("expiring stays within its limit", async ({ store }) => {
    await enqueue(store, ...Array.from({ length: 7 }, (_, place) => newJob(String(place))));
    await claim(store, { leaseMs: 10 });
    const expired: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      expired.push(await store.write((tx) => tx.expireLeases(T0 + 10, 3)));
    }
    assert.deepEqual(expired, [3, 3, 1, 0]);
    assert.equal((await claim(store, { now: T0 + 10 })).length, 7);
  });

  test("a leased job is not canceled, requeued or purged", async ({ store }) => {
    await enqueue(store, newJob("job"));
    const [job] = await claim(store);
    assert.equal(await store.write((tx) => tx.cancelJob("job", T0)), false);
    assert.equal(await store.write((tx) => tx.requeueJob("job", T0)), false);
    assert.equal(await store.write((tx) => tx.purgeJobs(T0 + 1e9, 10)), 0);
    assert.deepEqual(await jobOf(store, "job"), job);
  });

  test("two processes see each other's leases", async ({ store, second }) => {
    if (!second) return;
    const other = await second();
    await enqueue(store, newJob("1"), newJob("2"));
    const [mine] = await claim(store, { owner: "a", limit: 1, leaseMs: 50 });
    const [theirs] = await claim(other, { owner: "b", limit: 1, leaseMs: 500 });
    assert.deepEqual([mine?.id, theirs?.id], ["1", "2"]);
    assert.equal((await other.reader.getJob("1"))?.leaseOwner, "a");
    assert.equal(await other.write((tx) => tx.expireLeases(T0 + 50, 10)), 1);
    const [taken] = await claim(other, { owner: "b", now: T0 + 50 });
    assert.equal(taken?.id, "1");
    assert.equal(await settle(store, mine!, { owner: "a" }), false);
    assert.equal(await settle(other, taken, { owner: "b" }), true);
    assert.deepEqual(await statesOf(store, "1", "2"), ["done", "leased"]);
  });
}
