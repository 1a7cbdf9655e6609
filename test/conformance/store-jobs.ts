// Jobs: enqueued once, claimed in order and by one owner, settled with their attempts kept, listed and purged.

import assert from "node:assert/strict";

import type { Job, LaneDue, Store } from "../../src/store/store.ts";
import {
  claim,
  createTables,
  enqueue,
  findIds,
  jobOf,
  newJob,
  note,
  settle,
  settleIn,
  statesOf,
  T0,
  type StoreTest,
} from "./store-fixture.ts";

const ids = (jobs: readonly Job[]): string[] => jobs.map((job) => job.id);

function testEnqueue(test: StoreTest): void {
  test("a job is stored as it was given", async ({ store }) => {
    const job = newJob("job", { kind: "hook", lane: "example.com", key: "k", payload: "𝒳\n{}", dueAt: T0 + 5 });
    assert.deepEqual(await enqueue(store, job), [true]);
    const stored = await jobOf(store, "job");
    assert.ok(Number.isSafeInteger(stored.seq));
    assert.deepEqual(stored, {
      ...job,
      seq: stored.seq,
      state: "ready",
      attempt: 0,
      lost: 0,
      leaseOwner: null,
      leaseUntil: null,
      lastStatus: null,
      lastError: null,
      finishedAt: null,
    });
    assert.deepEqual(await store.reader.listAttempts("job"), []);
    assert.equal(await store.reader.getJob("nowhere"), undefined);
  });

  test("attempts that were made before there was a job are counted, until it is requeued", async ({ store }) => {
    await enqueue(store, newJob("job", { attempt: 3 }));
    assert.equal((await jobOf(store, "job")).attempt, 3);
    const [claimed] = await claim(store);
    assert.equal(claimed?.attempt, 4);
    await settle(store, claimed);
    await store.write((tx) => tx.requeueJob("job", T0));
    assert.equal((await jobOf(store, "job")).attempt, 0);
  });

  test("an id that exists is not added again, whatever became of the job", async ({ store }) => {
    assert.deepEqual(await enqueue(store, newJob("1"), newJob("1", { payload: "other" }), newJob("2")), [
      true,
      false,
      true,
    ]);
    assert.equal((await jobOf(store, "1")).payload, "payload of 1");
    const [first] = await claim(store);
    await settle(store, first!);
    assert.deepEqual(await enqueue(store, newJob("1", { dueAt: T0 - 1 })), [false]);
    assert.equal((await jobOf(store, "1")).state, "done");
  });

  test("`seq` grows in the order of the commits, and a purged one is not used again", async ({ store }) => {
    await enqueue(store, newJob("1"), newJob("2"));
    await enqueue(store, newJob("0"));
    const seqs: number[] = [];
    for (const id of ["1", "2", "0"]) seqs.push((await jobOf(store, id)).seq);
    assert.deepEqual(
      seqs,
      seqs.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(seqs).size, 3);
    for (const job of await claim(store)) await settle(store, job);
    assert.equal(await store.write((tx) => tx.purgeJobs(T0 + 1_000, 10)), 3);
    await enqueue(store, newJob("later"));
    assert.ok((await jobOf(store, "later")).seq > Math.max(...seqs));
  });

  test("a job commits with the row that caused it", async ({ store }) => {
    await createTables(store);
    await store.write(async (tx) => {
      await tx.insert("Note", note("row"));
      await tx.enqueueJob(newJob("job"));
    });
    assert.deepEqual(await findIds(store, "Note"), ["row"]);
    assert.equal((await jobOf(store, "job")).state, "ready");
  });
}

function testClaims(test: StoreTest): void {
  test("claims come by due time, then by seq, and none before it is due", async ({ store }) => {
    await enqueue(
      store,
      newJob("late", { dueAt: T0 + 10 }),
      newJob("tie 1", { dueAt: T0 + 5 }),
      newJob("tie 2", { dueAt: T0 + 5 }),
      newJob("early", { dueAt: T0 - 10 }),
      newJob("not yet", { dueAt: T0 + 11 }),
      newJob("other lane", { lane: "other", dueAt: T0 - 99 }),
    );
    assert.deepEqual(ids(await claim(store, { now: T0 - 11 })), []);
    assert.deepEqual(ids(await claim(store, { now: T0 + 10 })), ["early", "tie 1", "tie 2", "late"]);
    assert.deepEqual(ids(await claim(store, { now: T0 + 10 })), []);
    assert.deepEqual(ids(await claim(store, { now: T0 + 11 })), ["not yet"]);
  });

  test("a claim takes at most its limit and says under which lease", async ({ store }) => {
    await enqueue(store, newJob("1"), newJob("2"), newJob("3"));
    assert.deepEqual(ids(await claim(store, { limit: 0 })), []);
    const [first, ...rest] = await claim(store, { limit: 1, owner: "me", now: T0 + 7, leaseMs: 100 });
    assert.deepEqual(rest, []);
    const expected = { id: "1", state: "leased", attempt: 1, leaseOwner: "me", leaseUntil: T0 + 107 };
    assert.deepEqual({ ...first, ...expected }, first);
    assert.deepEqual(await jobOf(store, "1"), first);
    assert.deepEqual(ids(await claim(store, { limit: 5 })), ["2", "3"]);
  });

  const race = async (stores: readonly Store[]): Promise<void> => {
    const [first] = stores;
    const wanted = Array.from({ length: 1_000 }, (_, place) => newJob(`job ${place}`, { dueAt: T0 + (place % 7) }));
    await enqueue(first!, ...wanted);
    const claimed: string[] = [];
    const claimAll = async (store: Store, owner: string): Promise<void> => {
      for (;;) {
        const jobs = await claim(store, { owner, limit: 13, now: T0 + 7 });
        if (jobs.length === 0) return;
        claimed.push(...ids(jobs));
        for (const job of jobs) assert.equal(job.leaseOwner, owner);
        assert.deepEqual(
          await store.write(async (tx) => {
            const ended: boolean[] = [];
            for (const job of jobs) ended.push(await settleIn(tx, job, { owner }));
            return ended;
          }),
          jobs.map(() => true),
        );
      }
    };
    await Promise.all(["a", "b", "c", "d"].map((owner, place) => claimAll(stores[place % stores.length]!, owner)));
    assert.equal(claimed.length, 1_000);
    assert.equal(new Set(claimed).size, 1_000);
    assert.equal((await first!.reader.listJobs({ kind: "mail", states: ["done"], limit: 2_000 })).length, 1_000);
  };

  test("1,000 jobs and four claimants: each job goes to one of them", ({ store }) => race([store]));

  test("1,000 jobs and four claimants in two processes: each job goes to one of them", async (opened) => {
    if (opened.second) await race([opened.store, await opened.second()]);
  });
}

function testSettling(test: StoreTest): void {
  for (const state of ["done", "dead"] as const) {
    test(`a job that is ${state} is final and keeps its attempt`, async ({ store }) => {
      await enqueue(store, newJob("job"));
      const [job] = await claim(store);
      const wish = { state, status: 418, error: "teapot 𝒳", startedAt: T0 + 3, durationMs: 25 };
      assert.equal(await settle(store, job!, wish), true);
      assert.deepEqual(await jobOf(store, "job"), {
        ...job!,
        state,
        leaseOwner: null,
        leaseUntil: null,
        lastStatus: 418,
        lastError: "teapot 𝒳",
        finishedAt: T0 + 28,
      });
      assert.deepEqual(await store.reader.listAttempts("job"), [
        { attempt: 1, startedAt: T0 + 3, durationMs: 25, ok: state === "done", status: 418, error: "teapot 𝒳" },
      ]);
      assert.equal(await settle(store, job!), false);
      assert.deepEqual(await claim(store, { now: T0 + 1e9 }), []);
      assert.equal((await store.reader.listAttempts("job")).length, 1);
    });
  }

  test("a retry waits for its time, counts on, and its log is oldest first", async ({ store }) => {
    await enqueue(store, newJob("job"));
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      const now = T0 + attempt * 100;
      const [job] = await claim(store, { now });
      assert.equal(job?.attempt, attempt);
      const wish = { state: "ready", dueAt: now + 100, startedAt: now, status: 500 + attempt, error: `no ${attempt}` };
      assert.equal(await settle(store, job, wish as Parameters<typeof settle>[2]), true);
      assert.deepEqual(await claim(store, { now: now + 99 }), []);
      const waiting = await jobOf(store, "job");
      assert.deepEqual([waiting.state, waiting.attempt, waiting.dueAt], ["ready", attempt, now + 100]);
      assert.deepEqual([waiting.lastStatus, waiting.lastError], [500 + attempt, `no ${attempt}`]);
      assert.equal(waiting.finishedAt, null);
    }
    assert.deepEqual(
      (await store.reader.listAttempts("job")).map(({ attempt }) => attempt),
      Array.from({ length: 12 }, (_, place) => place + 1),
    );
  });

  test("fractions of a millisecond in a duration are kept, and finish at whole ones", async ({ store }) => {
    await enqueue(store, newJob("job"));
    const [job] = await claim(store);
    await settle(store, job!, { durationMs: 1.75 });
    assert.equal((await store.reader.listAttempts("job"))[0]?.durationMs, 1.75);
    assert.equal((await jobOf(store, "job")).finishedAt, T0 + 2);
  });
}

function testByHand(test: StoreTest): void {
  test("cancel ends what is ready or blocked, not what runs or is finished", async ({ store }) => {
    await enqueue(
      store,
      newJob("leased"),
      newJob("done"),
      newJob("head", { key: "k" }),
      newJob("blocked", { key: "k" }),
    );
    const jobs = await claim(store, { limit: 2 });
    await settle(store, jobs[1]!);
    await enqueue(store, newJob("ready"));
    const canceled: boolean[] = [];
    for (const id of ["leased", "done", "blocked", "ready", "ready", "nowhere"]) {
      canceled.push(await store.write((tx) => tx.cancelJob(id, T0 + 9)));
    }
    assert.deepEqual(canceled, [false, false, true, true, false, false]);
    assert.deepEqual(await statesOf(store, "leased", "done", "head", "blocked", "ready"), [
      "leased",
      "done",
      "ready",
      "canceled",
      "canceled",
    ]);
    assert.equal((await jobOf(store, "ready")).finishedAt, T0 + 9);
    assert.equal(await settle(store, jobs[0]!), true);
  });

  test("requeue makes what is finished ready again, attempts from 0, log kept", async ({ store }) => {
    await enqueue(store, newJob("dead"), newJob("canceled"), newJob("ready"), newJob("leased"));
    await store.write((tx) => tx.cancelJob("canceled", T0));
    const [dead] = await claim(store, { limit: 1 });
    await settle(store, dead!, { state: "dead", status: 500, error: "no" });
    await store.write((tx) => tx.cancelJob("ready", T0));
    await claim(store, { limit: 1 });
    const requeued: boolean[] = [];
    for (const id of ["dead", "canceled", "leased", "nowhere"]) {
      requeued.push(await store.write((tx) => tx.requeueJob(id, T0 + 50)));
    }
    assert.deepEqual(requeued, [true, true, false, false]);
    const again = await jobOf(store, "dead");
    assert.deepEqual([again.state, again.attempt, again.dueAt, again.finishedAt], ["ready", 0, T0 + 50, null]);
    assert.equal(await store.write((tx) => tx.requeueJob("dead", T0 + 50)), false);
    assert.deepEqual(ids(await claim(store, { now: T0 + 49 })), []);
    const [second, third] = await claim(store, { now: T0 + 50 });
    assert.deepEqual([second?.id, third?.id, second?.attempt], ["dead", "canceled", 1]);
    await settle(store, second!, { startedAt: T0 + 50 });
    assert.deepEqual(
      (await store.reader.listAttempts("dead")).map(({ attempt, ok }) => [attempt, ok]),
      [
        [1, false],
        [1, true],
      ],
    );
  });

  test("purge removes finished jobs with their attempts, oldest first, up to its limit", async ({ store }) => {
    await enqueue(store, ...["c", "a", "b", "d", "leased", "ready"].map((id) => newJob(id)));
    const jobs = await claim(store, { limit: 5 });
    const endings = { c: T0 + 30, a: T0 + 10, b: T0 + 20, d: T0 + 40 };
    for (const [id, startedAt] of Object.entries(endings)) {
      const job = jobs.find((one) => one.id === id);
      await settle(store, job!, { startedAt, durationMs: 0, state: id === "a" ? "dead" : "done" });
    }
    const left = async (): Promise<string[]> =>
      ids(
        await store.reader.listJobs({
          kind: "mail",
          states: ["ready", "leased", "done", "dead", "canceled"],
          limit: 9,
        }),
      ).sort();
    assert.equal(await store.write((tx) => tx.purgeJobs(T0 + 10, 10)), 0);
    assert.equal(await store.write((tx) => tx.purgeJobs(T0 + 40, 2)), 2);
    assert.deepEqual(await left(), ["c", "d", "leased", "ready"]);
    assert.deepEqual(await store.reader.listAttempts("a"), []);
    assert.equal((await store.reader.listAttempts("c")).length, 1);
    assert.equal(await store.write((tx) => tx.purgeJobs(T0 + 40, 10)), 1);
    assert.equal(await store.write((tx) => tx.purgeJobs(T0 + 41, 10)), 1);
    assert.deepEqual(await left(), ["leased", "ready"]);
    assert.deepEqual(await enqueue(store, newJob("a")), [true]);
    assert.deepEqual(await store.reader.listAttempts("a"), []);
  });
}

function testLanes(test: StoreTest): void {
  test("lanes tell when they are due, leased and blocked jobs aside", async ({ store }) => {
    assert.equal(await store.reader.laneDue("mail"), undefined);
    await enqueue(store, newJob("2", { dueAt: T0 + 20 }), newJob("1", { dueAt: T0 + 10 }));
    await enqueue(store, newJob("k1", { lane: "keyed", key: "k", dueAt: T0 + 30 }));
    await enqueue(store, newJob("k2", { lane: "keyed", key: "k", dueAt: T0 }));
    assert.equal(await store.reader.laneDue("mail"), T0 + 10);
    assert.equal(await store.reader.laneDue("keyed"), T0 + 30);
    await claim(store, { now: T0 + 10 });
    assert.equal(await store.reader.laneDue("mail"), T0 + 20);
    await claim(store, { now: T0 + 20 });
    assert.equal(await store.reader.laneDue("mail"), undefined);
    assert.equal(await store.reader.laneDue("nowhere"), undefined);
  });

  test("due lanes are paged by name, those with nothing free left out", async ({ store }) => {
    const lanes = ["a", "b", "c", "d", "e", "ä", "🎉"];
    await enqueue(store, ...lanes.map((lane, place) => newJob(lane, { lane, dueAt: T0 + place })));
    await enqueue(store, newJob("c later", { lane: "c", dueAt: T0 + 100 }));
    await claim(store, { lane: "b", now: T0 + 1 });
    await claim(store, { lane: "c", now: T0 + 2 });
    await store.write((tx) => tx.cancelJob("d", T0));
    const name = ({ lane, dueAt }: LaneDue): string => `${lane} ${dueAt - T0}`;
    assert.deepEqual((await store.reader.dueLanes(T0 + 50, 10)).map(name), ["a 0", "e 4", "ä 5", "🎉 6"]);
    assert.deepEqual((await store.reader.dueLanes(T0 + 5, 10)).map(name), ["a 0", "e 4", "ä 5"]);
    assert.deepEqual((await store.reader.dueLanes(T0 + 100, 2)).map(name), ["a 0", "c 100"]);
    assert.deepEqual((await store.reader.dueLanes(T0 + 100, 2, "c")).map(name), ["e 4", "ä 5"]);
    assert.deepEqual((await store.reader.dueLanes(T0 + 100, 2, "ä")).map(name), ["🎉 6"]);
    assert.deepEqual(await store.reader.dueLanes(T0 + 100, 2, "🎉"), []);
    assert.deepEqual(await store.reader.dueLanes(T0 - 1, 10), []);
  });

  test("onDue tells each lane once with its earliest time, after the commit, until unsubscribed", async ({ store }) => {
    const heard: (readonly LaneDue[])[] = [];
    const also: (readonly LaneDue[])[] = [];
    const off = store.onDue((due) => heard.push(due));
    store.onDue((due) => also.push(due));
    const jobs = [newJob("1", { dueAt: T0 + 9 }), newJob("2", { dueAt: T0 + 3 }), newJob("3", { dueAt: T0 + 5 })];
    await store.write(async (tx) => {
      for (const job of jobs) await tx.enqueueJob(job);
      await tx.enqueueJob(newJob("4", { lane: "other", dueAt: T0 + 4 }));
      assert.deepEqual(heard, []);
    });
    assert.deepEqual(
      heard.flat().toSorted((a, b) => a.dueAt - b.dueAt),
      [
        { lane: "mail", dueAt: T0 + 3 },
        { lane: "other", dueAt: T0 + 4 },
      ],
    );
    assert.deepEqual(also, heard);
    await store.write((tx) => tx.writeMeta("no", "jobs"));
    await enqueue(store, newJob("1"));
    await claim(store, { now: T0 + 99 });
    assert.equal(heard.length, 1);
    off();
    off();
    await enqueue(store, newJob("5"));
    assert.equal(heard.length, 1);
    assert.equal(also.length, 2);
  });

  test("a listener that throws harms neither the writer nor the other listeners", async ({ store }) => {
    const heard: string[] = [];
    store.onDue(() => {
      throw new Error("a listener's own trouble");
    });
    store.onDue((due) => heard.push(...due.map(({ lane }) => lane)));
    assert.deepEqual(await enqueue(store, newJob("1")), [true]);
    assert.deepEqual(await enqueue(store, newJob("2", { lane: "other" })), [true]);
    assert.deepEqual(heard, ["mail", "other"]);
  });
}

function testListing(test: StoreTest): void {
  test("jobs are listed by kind, state and whether they were tried, newest first", async ({ store }) => {
    await enqueue(
      store,
      ...["done", "dead", "retried", "leased", "ready"].map((id) => newJob(id)),
      newJob("head", { key: "k", dueAt: T0 + 1 }),
      newJob("blocked", { key: "k" }),
      newJob("canceled", { dueAt: T0 + 2 }),
      newJob("hook", { kind: "hook" }),
    );
    await store.write((tx) => tx.cancelJob("canceled", T0));
    for (const job of await claim(store, { limit: 3 })) {
      const state = job.id === "retried" ? "ready" : (job.id as "done" | "dead");
      await settle(store, job, { state, dueAt: T0 + 50 });
    }
    await claim(store, { limit: 1 });
    const list = async (states: readonly Job["state"][], tried?: boolean, kind = "mail"): Promise<string> =>
      ids(await store.reader.listJobs({ kind, states, limit: 99, ...(tried === undefined ? {} : { tried }) })).join();
    assert.equal(await list(["ready"]), "head,ready,retried");
    assert.equal(await list(["ready"], false), "head,ready");
    assert.equal(await list(["ready"], true), "retried");
    assert.equal(await list(["leased"]), "leased");
    assert.equal(await list(["leased"], true), "leased");
    assert.equal(await list(["leased"], false), "");
    assert.equal(await list(["blocked"]), "blocked");
    assert.equal(await list(["leased", "blocked"]), "blocked,leased");
    assert.equal(await list(["leased", "done", "dead"]), "leased,dead,done");
    assert.equal(await list(["ready", "dead"]), "head,ready,retried,dead");
    assert.equal(await list(["ready", "leased", "blocked"], false), "blocked,head,ready");
    assert.equal(await list(["done"]), "done");
    assert.equal(await list(["dead"]), "dead");
    assert.equal(await list(["canceled"]), "canceled");
    assert.equal(await list(["done", "dead", "canceled"], true), "dead,done");
    assert.equal(await list([]), "");
    assert.equal(await list(["ready"], undefined, "hook"), "hook");
    const counts = await store.reader.countJobs();
    assert.deepEqual([counts.ready, counts.leased, counts.blocked, counts.dead], [4, 1, 1, 1]);
  });

  test("listing pages downwards by seq", async ({ store }) => {
    await enqueue(store, ...Array.from({ length: 10 }, (_, place) => newJob(`job ${place}`)));
    const seen: string[] = [];
    let beforeSeq: number | undefined;
    for (;;) {
      const query = { kind: "mail", states: ["ready"] as const, limit: 3 };
      const page = await store.reader.listJobs(beforeSeq === undefined ? query : { ...query, beforeSeq });
      seen.push(...ids(page));
      if (page.length < 3) break;
      beforeSeq = page.at(-1)?.seq;
      await enqueue(store, newJob(`new ${seen.length}`));
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 10 }, (_, place) => `job ${9 - place}`),
    );
  });

  test("counting an empty store", async ({ store }) => {
    for (const count of Object.values(await store.reader.countJobs())) assert.equal(count, 0);
  });
}

export function testJobs(test: StoreTest): void {
  testEnqueue(test);
  testClaims(test);
  testSettling(test);
  testByHand(test);
  testLanes(test);
  testListing(test);
}
