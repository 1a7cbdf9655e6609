// What happens when leases, stores and processes fail.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { storeError } from "../../src/store/store-errors.ts";
import type { Store } from "../../src/store/store.ts";
import { createMemoryStore } from "../support/memory-store.ts";
import { createGate, createHarness, createWorld, done, hang, START, type Behaviour, type Call } from "./job-harness.ts";

const MINUTE = 60_000;
const ids = (calls: readonly { readonly id: string }[]): string[] => calls.map((call) => call.id);

const names = (calls: readonly Call[]): string[] => calls.map(({ id, attempt }) => `${id}#${attempt}`);

/** A store whose writes fail while `failing` holds an error. */
function failingStore(store: Store): Store & { failing: Error | undefined; lateFailure: Error | undefined } {
  const broken = {
    ...store,
    failing: undefined as Error | undefined,
    /** Thrown once, behind a commit: its answer was lost. */
    lateFailure: undefined as Error | undefined,
    async write(run: Parameters<Store["write"]>[0]): Promise<unknown> {
      if (broken.failing) throw broken.failing;
      const result = await store.write(run);
      const late = broken.lateFailure;
      broken.lateFailure = undefined;
      if (late) throw late;
      return result;
    },
  };
  return broken as Store & typeof broken;
}

/** Takes a job's lease away, as an engine elsewhere does after it ended. */
async function stealLease(store: Store, lane: string, now: number): Promise<void> {
  await store.write(async (tx) => {
    await tx.expireLeases(Number.MAX_SAFE_INTEGER, 10);
    const claimed = await tx.claimJobs({ lane, limit: 1, owner: "thief", now, leaseUntil: now + 120 * MINUTE });
    assert.equal(claimed.length, 1);
  });
}

describe("leases", () => {
  it("keeps the lease of a job that runs for long", async () => {
    const gate = createGate();
    const h = createHarness({ behaviours: { work: () => gate.opened.then(done) } });
    const other = createHarness({ store: h.store, world: h.world, owner: "engine-2" });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    other.engine.start();
    for (let i = 0; i < 50; i++) {
      await h.advance(10_000);
      const job = await h.job("a");
      assert.equal(job.leaseOwner, "engine-1");
      assert.ok((job.leaseUntil ?? 0) > h.clock.now() + 20_000);
    }
    gate.open();
    await h.rest();
    assert.equal((await h.job("a")).state, "done");
    assert.deepEqual(other.calls, []);
  });

  it("keeps its leases when the wall clock jumps an hour, either way", async () => {
    for (const jump of [60 * MINUTE, -60 * MINUTE]) {
      const gate = createGate();
      const h = createHarness({ behaviours: { work: () => gate.opened.then(done) } });
      h.engine.start();
      await h.enqueue({ id: "a" });
      await h.rest();
      h.clock.jump(jump);
      await h.advance(30_000);
      const leaseUntil = (await h.job("a")).leaseUntil ?? 0;
      assert.ok(leaseUntil > h.clock.now() + 20_000 && leaseUntil <= h.clock.now() + MINUTE, `${leaseUntil}`);
      gate.open();
      await h.advance(1000);
      assert.equal((await h.job("a")).state, "done");
      assert.equal(h.calls.length, 1);
    }
  });

  it("aborts a run whose lease was lost, and drops its outcome with its effects", async () => {
    const gate = createGate();
    const h = createHarness({
      behaviours: {
        work: async (_, context) => {
          const { signal } = context;
          await gate.opened;
          return { kind: "done", settle: (tx) => tx.writeMeta("effect", `aborted ${signal.aborted}`) };
        },
      },
    });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    await stealLease(h.store, "work", h.clock.now());
    await h.advance(25_000);
    assert.equal(h.calls[0]?.context.signal.aborted, true);
    gate.open();
    await h.advance(1000);
    const job = await h.job("a");
    assert.equal(job.leaseOwner, "thief");
    assert.equal(await h.store.reader.readMeta("effect"), undefined);
    assert.equal(h.engine.stats().lost, 1);
    assert.equal(h.engine.stats().running, 0);
  });

  it("drops an outcome whose lease was lost unnoticed", async () => {
    const gate = createGate();
    const h = createHarness({
      behaviours: {
        work: async () => {
          await gate.opened;
          return { kind: "done", settle: (tx) => tx.writeMeta("effect", "yes") };
        },
      },
    });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    await stealLease(h.store, "work", h.clock.now());
    gate.open();
    await h.advance(10);
    assert.equal((await h.job("a")).leaseOwner, "thief");
    assert.equal(await h.store.reader.readMeta("effect"), undefined);
    assert.equal(h.engine.stats().lost, 1);
  });

  it("runs a job again after its engine has vanished and the lease has ended", async () => {
    const world = createWorld();
    const store = createMemoryStore();
    const vanished = createHarness({ world, store, behaviours: { work: hang }, clock: { ...world.clock } });
    vanished.engine.start();
    await vanished.enqueue({ id: "a" });
    await vanished.rest();
    // From here on only a process without this engine: its timers never fire.
    const fresh = createWorld();
    const h = createHarness({ world: fresh, store, owner: "engine-2" });
    h.engine.start();
    await h.advance(59_999);
    assert.equal(h.calls.length, 0);
    await h.advance(10_001);
    assert.deepEqual(names(h.calls), ["a#2"]);
    assert.equal((await h.job("a")).state, "done");
  });

  it("takes the slot back from a handler that lost its lease and ignores its signal", async () => {
    const h = createHarness({ behaviours: { work: hang }, laneConcurrency: 1 });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    await stealLease(h.store, "work", h.clock.now());
    await h.advance(MINUTE);
    assert.equal(h.engine.stats().running, 1);
    await h.enqueue({ id: "b" });
    await h.advance(15 * MINUTE);
    assert.deepEqual(ids(h.calls).slice(0, 2), ["a", "b"]);
  });

  it("frees left-over leases at once when the store says that nobody else has it open", async () => {
    const store = createMemoryStore({ openedAlone: true });
    const vanished = { owner: "gone", lane: "work", limit: 5000, now: START, leaseUntil: START + MINUTE };
    const h = createHarness({ store, owner: "engine-2" });
    await h.enqueue(...Array.from({ length: 2500 }, (_, i) => ({ id: `j${i}` })));
    await store.write((tx) => tx.claimJobs(vanished));
    h.engine.start();
    await h.advance(100);
    assert.equal(h.calls.length, 2500);
    // A second engine on the same store must not take what the first one runs.
    const second = createHarness({ store, world: h.world, owner: "engine-3", behaviours: { work: hang } });
    await second.engine.stop({ drainMs: 0 });
    await h.engine.stop({ drainMs: 0 });
    second.engine.start();
    await second.enqueue({ id: "held" });
    await second.rest();
    h.engine.start();
    await h.advance(1000);
    assert.equal((await h.job("held")).leaseOwner, "engine-3");
  });

  it("ends an attempt that takes longer than is allowed", async () => {
    const h = createHarness({ behaviours: { work: (job) => (job.attempt === 1 ? hang() : done()) } });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.advance(15 * MINUTE - 1);
    assert.equal(h.calls[0]?.context.signal.aborted, false);
    await h.advance(12_000);
    assert.equal(h.calls[0]?.context.signal.aborted, true);
    assert.equal((await h.job("a")).state, "done");
    assert.equal(h.calls.length, 2);
  });
});

describe("a store that is away", () => {
  it("keeps outcomes, backs off and goes on: nothing is lost, nothing runs twice", async () => {
    const gate = createGate();
    const store = failingStore(createMemoryStore());
    const h = createHarness({ store, behaviours: { work: () => gate.opened.then(done) } });
    h.engine.start();
    await h.enqueue({ id: "a" }, { id: "b" });
    await h.rest();
    store.failing = storeError("STORE_BUSY");
    gate.open();
    await h.advance(30_000);
    assert.equal(h.engine.stats().unsettled, 2);
    // 100 ms, doubled to 5 s: about ten tries, not thousands.
    assert.ok(h.engine.stats().storeFailures < 14, String(h.engine.stats().storeFailures));
    store.failing = undefined;
    await h.advance(6000);
    assert.deepEqual(await h.store.reader.countJobs(), { done: 2 });
    assert.equal(h.calls.length, 2);
    await h.enqueue({ id: "c" });
    await h.rest();
    assert.deepEqual(ids(h.calls), ["a", "b", "c"]);
  });

  it("does not blame a callback while the store is away", async () => {
    const store = failingStore(createMemoryStore());
    const gate = createGate();
    const behaviours = {
      work: async () => {
        await gate.opened;
        return { kind: "done" as const, settle: async () => undefined };
      },
    };
    const h = createHarness({ store, behaviours });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    store.failing = storeError("STORE_FAILED");
    gate.open();
    await h.advance(20_000);
    store.failing = undefined;
    await h.advance(6000);
    assert.equal((await h.job("a")).state, "done");
    assert.equal(h.calls.length, 1);
  });

  it("claims again when a claim could not be written", async () => {
    const store = failingStore(createMemoryStore());
    const h = createHarness({ store });
    h.engine.start();
    await h.rest();
    await h.enqueue({ id: "a" });
    store.failing = storeError("STORE_BUSY");
    await h.advance(1000);
    assert.deepEqual(h.calls, []);
    store.failing = undefined;
    await h.advance(2000);
    assert.deepEqual(ids(h.calls), ["a"]);
  });

  it("does not apply an outcome twice when the answer of its commit was lost", async () => {
    const store = failingStore(createMemoryStore());
    const gate = createGate();
    const behaviours = {
      work: async () => {
        await gate.opened;
        return {
          kind: "done" as const,
          settle: async (tx: Parameters<Parameters<Store["write"]>[0]>[0]) => {
            await tx.writeMeta("count", String(Number((await tx.readMeta("count")) ?? 0) + 1));
          },
        };
      },
    };
    const h = createHarness({ store, behaviours });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    store.lateFailure = storeError("STORE_FAILED");
    gate.open();
    await h.advance(5000);
    assert.equal((await h.job("a")).state, "done");
    assert.equal(await h.store.reader.readMeta("count"), "1");
    assert.equal(h.engine.stats().unsettled, 0);
  });

  it("runs what it claimed without knowing after that lease has ended", async () => {
    const store = failingStore(createMemoryStore());
    const h = createHarness({ store });
    h.engine.start();
    await h.advance(5000);
    await h.enqueue({ id: "a" });
    store.lateFailure = storeError("STORE_FAILED");
    await h.advance(2 * MINUTE);
    assert.deepEqual(names(h.calls), ["a#2"]);
  });
});

describe("stop", () => {
  it("waits for what runs, settles it, and claims nothing new", async () => {
    const gate = createGate();
    const h = createHarness({ behaviours: { work: () => gate.opened.then(done) } });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    let stopped = false;
    const stopping = h.engine.stop({ drainMs: 10_000 }).then(() => {
      stopped = true;
    });
    await h.enqueue({ id: "b" });
    await h.advance(5000);
    assert.equal(stopped, false);
    gate.open();
    await h.rest();
    await stopping;
    assert.deepEqual(ids(h.calls), ["a"]);
    assert.equal((await h.job("a")).state, "done");
    assert.equal((await h.job("b")).state, "ready");
    assert.equal(h.clock.pending, 0, "a stopped engine has timers");
  });

  it("aborts and releases what does not end in time, without counting the attempt", async () => {
    const h = createHarness({ behaviours: { work: hang } });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    const stopping = h.engine.stop({ drainMs: 3000 });
    await h.advance(2999);
    assert.equal(h.calls[0]?.context.signal.aborted, false);
    await h.advance(1);
    await stopping;
    assert.equal(h.calls[0]?.context.signal.aborted, true);
    const job = await h.job("a");
    assert.equal(job.state, "ready");
    assert.equal(job.attempt, 0);
    assert.equal(h.clock.pending, 0);
  });

  it("drops what a handler answers after it was let go of", async () => {
    const gate = createGate();
    const h = createHarness({ behaviours: { work: (): ReturnType<Behaviour> => gate.opened.then(done) } });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    const stopping = h.engine.stop({ drainMs: 10 });
    await h.advance(10);
    await stopping;
    gate.open();
    await h.advance(1000);
    assert.equal((await h.job("a")).state, "ready");
    h.engine.start();
    await h.rest();
    assert.equal((await h.job("a")).state, "done");
    assert.equal(h.calls.length, 2);
    assert.equal(h.engine.stats().running, 0);
  });

  it("releases what a claim brings that was under way", async () => {
    const memory = createMemoryStore();
    const gate = createGate();
    let isSlow = false;
    const store: Store = {
      ...memory,
      async write(run) {
        const result = await memory.write(run);
        if (isSlow) await gate.opened;
        return result;
      },
    };
    const h = createHarness({ store });
    h.engine.start();
    await h.advance(100);
    isSlow = true;
    await memory.write((tx) =>
      tx
        .enqueueJob({ id: "a", kind: "work", lane: "work", payload: "", dueAt: START, createdAt: START })
        .then(() => {}),
    );
    await h.rest();
    assert.equal((await h.job("a")).state, "leased");
    const stopping = h.engine.stop({ drainMs: 1000 });
    isSlow = false;
    gate.open();
    await h.rest();
    await stopping;
    assert.equal((await h.job("a")).state, "ready");
    assert.deepEqual(h.calls, []);
  });

  it("ends although the store is away, and says what it left", async () => {
    const store = failingStore(createMemoryStore());
    const h = createHarness({ store, behaviours: { work: hang } });
    h.engine.start();
    await h.enqueue({ id: "a" });
    await h.rest();
    store.failing = storeError("STORE_BUSY");
    const stopping = h.engine.stop({ drainMs: 100 });
    await h.advance(1000);
    await stopping;
    assert.ok(h.logged.includes("error: Stopped with leases that could not be settled"));
    assert.equal(h.clock.pending, 0);
  });

  it("listens to the store no more", async () => {
    const memory = createMemoryStore();
    let listeners = 0;
    const store: Store = {
      ...memory,
      onDue(listener) {
        listeners++;
        const unsubscribe = memory.onDue(listener);
        return () => {
          listeners--;
          unsubscribe();
        };
      },
    };
    const h = createHarness({ store });
    h.engine.start();
    await h.rest();
    assert.equal(listeners, 1);
    await h.engine.stop({ drainMs: 0 });
    assert.equal(listeners, 0);
  });

  it("is safe to repeat, and to call without a start", async () => {
    const h = createHarness();
    await h.engine.stop({ drainMs: 1000 });
    h.engine.start();
    h.engine.start();
    await h.rest();
    await h.enqueue({ id: "a" });
    await h.rest();
    await Promise.all([h.engine.stop({ drainMs: 1000 }), h.engine.stop({ drainMs: 1 })]);
    await h.engine.stop({ drainMs: 1 });
    assert.deepEqual(ids(h.calls), ["a"]);
    assert.equal(h.clock.pending, 0);
  });
});

describe("retention", () => {
  it("removes finished jobs after their time, in portions", async () => {
    const h = createHarness({ limits: { retentionMs: 10 * MINUTE } });
    h.engine.start();
    await h.enqueue(...Array.from({ length: 2500 }, (_, i) => ({ id: `j${i}` })));
    await h.enqueue({ id: "sleeping", dueAt: START + 3 * 3_600_000 });
    await h.advance(30 * MINUTE);
    assert.deepEqual(await h.store.reader.countJobs(), { done: 2500, ready: 1 });
    await h.advance(40 * MINUTE);
    assert.deepEqual(await h.store.reader.countJobs(), { ready: 1 });
    assert.deepEqual(await h.store.reader.listAttempts("j0"), []);
  });
});
