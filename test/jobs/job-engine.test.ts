// The engine from the outside: when jobs run, how they are retried, ordered and shared out, and what settling commits.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JobOutcome } from "../../src/jobs/job-handler.ts";
import { createJobEngine } from "../../src/jobs/job-engine.ts";
import { createGate, createHarness, createWorld, done, hang, START } from "./job-harness.ts";

const MINUTE = 60_000;
const ids = (calls: readonly { readonly id: string }[]): string[] => calls.map((call) => call.id);
const times = (calls: readonly { readonly at: number }[]): number[] => calls.map((call) => call.at);

describe("starting jobs", () => {
  it("runs a due job right behind the commit that created it, without time passing", async () => {
    const h = createHarness();
    h.engine.start();
    await h.rest();
    await h.enqueue({ id: "a" });
    await h.rest();
    assert.deepEqual(ids(h.calls), ["a"]);
    const job = await h.job("a");
    assert.equal(job.state, "done");
    assert.equal(job.attempt, 1);
    assert.equal(h.calls[0]?.context.now, START);
  });

  it("finds what was due before it started", async () => {
    const h = createHarness();
    await h.enqueue({ id: "a" }, { id: "b", lane: "work:2" });
    h.engine.start();
    await h.rest();
    assert.deepEqual(ids(h.calls).sort(), ["a", "b"]);
  });

  it("runs nothing before it is started", async () => {
    const h = createHarness();
    await h.enqueue({ id: "a" });
    await h.advance(MINUTE);
    assert.deepEqual(h.calls, []);
  });

  it("runs a delayed job at its due time to the millisecond", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue({ id: "a", dueAt: START + 37 }, { id: "b", dueAt: START + 100_003 });
    await h.advance(36);
    assert.deepEqual(h.calls, []);
    await h.advance(200_000);
    assert.deepEqual(times(h.calls), [37, 100_003]);
  });

  it("moves its timer forward for a job that is due before the others", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue({ id: "late", dueAt: START + 5000 });
    await h.rest();
    await h.enqueue({ id: "early", dueAt: START + 50 });
    await h.advance(10_000);
    assert.deepEqual(times(h.calls), [50, 5000]);
  });

  it("leaves what is due behind the horizon to the refresh, and is still on time", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue({ id: "far", dueAt: START + 3_600_000 });
    await h.rest();
    assert.equal(h.engine.stats().lanes, 0);
    await h.advance(3_600_001);
    assert.deepEqual(times(h.calls), [3_600_000]);
  });

  it("finds a job of another process at the next refresh, or at once when woken", async () => {
    const h = createHarness();
    const deaf = { ...h.store, onDue: () => () => undefined };
    const other = createHarness({ store: deaf, world: h.world });
    other.engine.start();
    await other.rest();
    await h.enqueue({ id: "a" });
    await other.advance(29_999);
    assert.deepEqual(times(other.calls), []);
    await other.advance(1);
    assert.deepEqual(times(other.calls), [30_000]);
    await h.enqueue({ id: "b" });
    other.engine.wake();
    await other.rest();
    assert.deepEqual(ids(other.calls), ["a", "b"]);
  });

  it("refreshes more lanes than one page, and than one round", async () => {
    const limits = { refreshPageSize: 3, refreshMaxPages: 2 };
    const h = createHarness({ limits });
    await h.enqueue(...Array.from({ length: 20 }, (_, i) => ({ id: `j${i}`, lane: `work:${i}` })));
    h.engine.start();
    await h.advance(10_000);
    assert.equal(h.calls.length, 20);
  });

  it("survives a wall clock that jumps an hour ahead: what became due runs within ten seconds", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue({ id: "a", dueAt: START + 4 * MINUTE });
    await h.rest();
    h.clock.jump(60 * MINUTE);
    await h.advance(10_000);
    assert.deepEqual(ids(h.calls), ["a"]);
  });

  it("survives a wall clock that is set back an hour: nothing runs early, new jobs run on time", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue({ id: "later", dueAt: START + MINUTE });
    await h.rest();
    h.clock.jump(-60 * MINUTE);
    await h.enqueue({ id: "new", dueAt: START - 60 * MINUTE + 500 });
    await h.advance(2 * MINUTE);
    assert.deepEqual(ids(h.calls), ["new"]);
    assert.equal(h.calls[0]?.at, 500 - 60 * MINUTE);
    await h.advance(60 * MINUTE);
    assert.deepEqual(ids(h.calls), ["new", "later"]);
    assert.equal(h.calls[1]?.at, MINUTE);
  });
});

describe("retries", () => {
  it("waits what the handler asks for and counts attempts", async () => {
    const delays = [5000, 300_000, 0];
    const h = createHarness({
      behaviours: {
        work: async (job): Promise<JobOutcome> => {
          const delayMs = delays[job.attempt - 1];
          return delayMs === undefined ? { kind: "done" } : { kind: "retry", delayMs, note: { status: 503 } };
        },
      },
    });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.advance(400_000);
    assert.deepEqual(times(h.calls), [0, 5000, 305_000, 305_000]);
    assert.deepEqual(
      h.calls.map((call) => call.attempt),
      [1, 2, 3, 4],
    );
    const attempts = await h.store.reader.listAttempts("a");
    assert.deepEqual(
      attempts.map(({ attempt, ok, status }) => ({ attempt, ok, status })),
      [
        { attempt: 1, ok: false, status: 503 },
        { attempt: 2, ok: false, status: 503 },
        { attempt: 3, ok: false, status: 503 },
        { attempt: 4, ok: true, status: null },
      ],
    );
    assert.equal(h.engine.stats().failed, 3);
  });

  it("backs off by itself when a handler throws, and gives up after 25 attempts", async () => {
    const h = createHarness({ behaviours: { work: () => Promise.reject(new Error("x".repeat(2000))) } });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.advance(7500);
    assert.deepEqual(times(h.calls), [0, 1000, 3000, 7000]);
    const waiting = await h.job("a");
    assert.equal(waiting.lastError, "x".repeat(500));
    assert.deepEqual(
      h.logged,
      Array.from({ length: 4 }, () => "warn: A job failed"),
    );
    await h.advance(24 * 3_600_000);
    assert.equal(h.calls.length, 25);
    assert.equal(h.calls[24]!.at - h.calls[23]!.at, 3_600_000);
    assert.equal((await h.job("a")).state, "dead");
    assert.equal(h.engine.stats().dead, 1);
  });

  it("takes a throw that is not asynchronous, and an answer that is none, for failures", async () => {
    const h = createHarness({
      behaviours: {
        sync: () => {
          throw new TypeError("at once");
        },
        nothing: (() => Promise.resolve()) as unknown as () => Promise<JobOutcome>,
        half: (() => Promise.resolve({ kind: "retry" })) as unknown as () => Promise<JobOutcome>,
        notAPromise: (() => ({ kind: "done" })) as unknown as () => Promise<JobOutcome>,
      },
    });
    h.engine.start();
    const kinds = ["sync", "nothing", "half", "notAPromise"];
    await h.enqueue(...kinds.map((kind) => ({ id: kind, kind, lane: kind })));
    await h.rest();
    for (const kind of kinds) {
      const job = await h.job(kind);
      assert.equal(job.state, "ready", kind);
      assert.equal(job.dueAt, START + 1000, kind);
    }
    assert.equal((await h.job("sync")).lastError, "at once");
  });

  it("keeps a due time finite and whole whatever delay it is given", async () => {
    const delays = [Number.NaN, -5, Infinity, 0.25];
    const h = createHarness({
      behaviours: {
        work: (job) => Promise.resolve({ kind: "retry", delayMs: delays[Number(job.payload)] ?? 0 }),
      },
    });
    h.engine.start();
    await h.enqueue({ id: "nan", payload: "0" }, { id: "infinite", payload: "2" }, { id: "fraction", payload: "3" });
    await h.rest();
    assert.equal((await h.job("nan")).dueAt, START + 3_600_000);
    assert.equal((await h.job("infinite")).dueAt, START + 315_360_000_000);
    assert.equal((await h.job("fraction")).dueAt, START + 1);
  });

  it("records what the store can hold, whatever the note says", async () => {
    const note = { status: 200.5, error: `nul \0 and half ${"x".repeat(484)}\u{1F600}` };
    const h = createHarness({ behaviours: { work: () => Promise.resolve({ kind: "dead", note }) } });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    const job = await h.job("a");
    assert.equal(job.lastStatus, null);
    assert.ok(job.lastError && !job.lastError.includes("\0") && job.lastError.isWellFormed());
    assert.equal(job.lastError.length, 500);
  });
});

describe("keys", () => {
  it("runs the jobs of a key one after the other; a failing head holds up the rest", async () => {
    const h = createHarness({
      behaviours: {
        work: (job) => (job.id === "k1" && job.attempt < 3 ? Promise.resolve({ kind: "retry", delayMs: 700 }) : done()),
      },
    });
    h.engine.start();
    await h.enqueue({ id: "k1", key: "k" }, { id: "k2", key: "k" }, { id: "k3", key: "k" }, { id: "free" });
    await h.advance(5000);
    assert.deepEqual(
      h.calls.map(({ id, attempt }) => `${id}#${attempt}`),
      ["k1#1", "free#1", "k1#2", "k1#3", "k2#1", "k3#1"],
    );
    assert.ok(h.calls[4]!.at >= 1400);
  });

  it("goes on behind a head that is dead or canceled", async () => {
    const h = createHarness({
      behaviours: { work: (job) => (job.id === "k1" ? Promise.resolve({ kind: "dead" }) : done()) },
    });
    h.engine.start();
    const soon = START + 1000;
    await h.enqueue({ id: "k1", key: "k" }, { id: "k2", key: "k", dueAt: soon }, { id: "k3", key: "k" });
    await h.rest();
    assert.equal((await h.job("k1")).state, "dead");
    assert.equal(await h.store.write((tx) => tx.cancelJob("k2", START)), true);
    await h.rest();
    assert.deepEqual(ids(h.calls), ["k1", "k3"]);
    await h.advance(2000);
    assert.deepEqual(ids(h.calls), ["k1", "k3"]);
  });
});

describe("lanes", () => {
  it("runs at most the lane's concurrency, and asks again when it is a function", async () => {
    let limit = 2;
    const h = createHarness({ behaviours: { work: hang }, laneConcurrency: (lane) => (lane === "work:a" ? limit : 1) });
    h.engine.start();
    await h.enqueue(...Array.from({ length: 9 }, (_, i) => ({ id: `a${i}`, lane: "work:a" })));
    await h.enqueue(...Array.from({ length: 9 }, (_, i) => ({ id: `b${i}`, lane: "work:b" })));
    await h.advance(1000);
    assert.deepEqual(ids(h.calls).sort(), ["a0", "a1", "b0"]);
    limit = 5;
    await h.enqueue({ id: "a9", lane: "work:a" });
    await h.advance(30_000);
    assert.equal(h.calls.filter((call) => call.id.startsWith("a")).length, 5);
  });

  it("claims ahead of a lane's slots, and gives back what has not begun when it stops", async () => {
    const h = createHarness({ behaviours: { work: hang }, laneConcurrency: 2 });
    await h.enqueue(...Array.from({ length: 30 }, (_, i) => ({ id: `j${i}` })));
    h.engine.start();
    await h.rest();
    assert.equal(h.calls.length, 2);
    assert.equal((await h.store.reader.countJobs()).leased, 18, "two under way and eight ahead of each slot");
    const stopping = h.engine.stop({ drainMs: 0 });
    await h.advance(1);
    await stopping;
    const job = await h.store.reader.getJob("j5");
    assert.equal(job?.state, "ready");
    assert.equal(job?.attempt, 0, "an attempt that never began does not count");
  });

  it("is not held up by lanes that hang", async () => {
    const h = createHarness({ behaviours: { slow: hang, work: done } });
    h.engine.start();
    const slow = Array.from({ length: 200 }, (_, i) => ({ id: `s${i}`, kind: "slow", lane: `slow:${i % 4}` }));
    await h.enqueue(...slow);
    await h.rest();
    assert.equal(h.engine.stats().running, 40);
    await h.enqueue(...Array.from({ length: 500 }, (_, i) => ({ id: `w${i}` })));
    await h.advance(100);
    assert.equal(h.calls.filter((call) => call.id.startsWith("w")).length, 500);
  });

  it("shares what is free between lanes that are due, one large backlog or not", async () => {
    const h = createHarness({ behaviours: { work: hang }, laneConcurrency: 1000, limits: { capacity: 20 } });
    await h.enqueue(...Array.from({ length: 100 }, (_, i) => ({ id: `big${i}`, lane: "work:big" })));
    await h.enqueue({ id: "x", lane: "work:x" }, { id: "y", lane: "work:y" });
    h.engine.start();
    await h.rest();
    assert.equal(h.calls.length, 20);
    assert.ok(ids(h.calls).includes("x") && ids(h.calls).includes("y"));
  });

  it("runs 10,000 lanes to the end within bounded batches and forgets them", async () => {
    const h = createHarness();
    h.engine.start();
    const jobs = Array.from({ length: 20_000 }, (_, i) => ({ id: `j${i}`, lane: `work:${i % 10_000}` }));
    await h.enqueue(...jobs);
    await h.advance(1000);
    assert.equal(h.calls.length, 20_000);
    const counts = await h.store.reader.countJobs();
    assert.deepEqual(counts, { done: 20_000 });
    assert.equal(h.engine.stats().lanes, 0);
  });

  it("keeps one wheel entry for a lane with many sleeping jobs", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue(...Array.from({ length: 1000 }, (_, i) => ({ id: `j${i}`, dueAt: START + 1000 + i })));
    await h.rest();
    assert.equal(h.engine.stats().lanes, 1);
    await h.advance(3000);
    assert.deepEqual(
      times(h.calls),
      Array.from({ length: 1000 }, (_, i) => 1000 + i),
    );
  });
});

describe("kinds without a handler", () => {
  it("leaves jobs of an unknown kind alone without counting attempts, and says so once", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue({ id: "a", kind: "new", lane: "new:1" }, { id: "b", kind: "new", lane: "new:1" });
    await h.advance(10 * MINUTE);
    const job = await h.job("a");
    assert.equal(job.state, "ready");
    assert.equal(job.attempt, 0);
    assert.equal(job.dueAt, START);
    assert.deepEqual(h.logged, ["error: No handler for a kind of job: its jobs wait"]);
    assert.ok(h.engine.stats().claimed <= 2 * 11, "an unknown kind was claimed more than once a minute");
    await h.engine.stop({ drainMs: 0 });
    const next = createHarness({ store: h.store, world: h.world, owner: "engine-2", behaviours: { new: done } });
    next.engine.start();
    await next.rest();
    assert.deepEqual(
      next.calls.map(({ id, attempt }) => `${id}#${attempt}`),
      ["a#1", "b#1"],
    );
  });

  it("retries a job whose lane belongs to another kind, so that it does not hold up the lane", async () => {
    const h = createHarness();
    h.engine.start();
    await h.enqueue({ id: "stray", kind: "new", lane: "work:1" }, { id: "b", lane: "work:1" });
    await h.rest();
    assert.deepEqual(ids(h.calls), ["b"]);
    assert.equal((await h.job("stray")).dueAt, START + MINUTE);
  });

  it("refuses two handlers of one kind", () => {
    const handler = { kind: "work", laneConcurrency: 1, run: done };
    const { store, clock } = createHarness();
    const options = { store, clock, owner: "x", defer: createWorld().defer, log: () => undefined };
    assert.throws(() => createJobEngine({ ...options, handlers: [handler, handler] }), TypeError);
  });
});

describe("settling", () => {
  it("runs settle in the transaction that records the outcome", async () => {
    const h = createHarness({
      behaviours: {
        work: () =>
          Promise.resolve({
            kind: "done",
            async settle(tx) {
              const job = await tx.getJob("a");
              await tx.writeMeta("seen", `${job?.state} with ${(await tx.listAttempts("a")).length} attempt`);
            },
          }),
      },
    });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    assert.equal(await h.store.reader.readMeta("seen"), "done with 1 attempt");
  });

  it("settles the others when one callback fails, and retries that one", async () => {
    const gate = createGate();
    const h = createHarness({
      behaviours: {
        work: async (job) => {
          await gate.opened;
          if (job.id === "plain") return { kind: "done" };
          return {
            kind: "done",
            async settle(tx) {
              await tx.writeMeta(job.id, "settled");
              if (job.id === "bad" && job.attempt < 3) throw new Error("poison");
            },
          };
        },
      },
    });
    h.engine.start();
    await h.enqueue({ id: "plain" }, { id: "bad" }, { id: "good" });
    await h.rest();
    gate.open();
    await h.rest();
    assert.equal((await h.job("plain")).state, "done");
    assert.equal((await h.job("good")).state, "done");
    assert.equal(await h.store.reader.readMeta("good"), "settled");
    const bad = await h.job("bad");
    assert.equal(bad.state, "ready");
    assert.equal(bad.dueAt, START + 1000);
    assert.equal(await h.store.reader.readMeta("bad"), undefined);
    assert.deepEqual(h.logged, ["error: Could not settle a job"]);
    await h.advance(10_000);
    assert.equal((await h.job("bad")).state, "done");
    assert.equal(await h.store.reader.readMeta("bad"), "settled");
    assert.equal(h.calls.filter((call) => call.id === "good").length, 1);
  });

  it("ends a job whose callback never succeeds, instead of trying for ever", async () => {
    const behaviours = {
      work: () => Promise.resolve({ kind: "done" as const, settle: () => Promise.reject(new Error("poison")) }),
    };
    const h = createHarness({ behaviours });
    h.engine.start();
    await h.enqueue({ id: "bad" });
    await h.advance(48 * 3_600_000);
    assert.equal((await h.job("bad")).state, "dead");
    assert.equal(h.calls.length, 25);
  });
});
