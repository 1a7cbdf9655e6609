// A job that records what it has done part by part, and works in lanes that are not its own.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { storeError } from "../../src/store/store-errors.ts";
import type { Store, Tx } from "../../src/store/store.ts";
import { createMemoryStore } from "../support/memory-store.ts";
import { type Behaviour, createGate, createHarness, hang, type Harness } from "./job-harness.ts";

const write =
  (key: string, value = "yes") =>
  (tx: Tx): Promise<void> =>
    tx.writeMeta(key, value);

/** A harness whose job "whole" does what `behave` does. */
async function startWhole(behave: Behaviour, options: Parameters<typeof createHarness>[0] = {}): Promise<Harness> {
  const h = createHarness({ ...options, behaviours: { work: behave, other: hang, ...options.behaviours } });
  h.engine.start();
  await h.enqueue({ id: "whole" });
  await h.rest();
  return h;
}

describe("parts of a job", () => {
  it("are recorded while it runs", async () => {
    const gate = createGate();
    const answers: boolean[] = [];
    const h = await startWhole(async (_, context) => {
      answers.push(await context.record(write("first")));
      await gate.opened;
      answers.push(...(await Promise.all([context.record(write("second")), context.record(write("third"))])));
      return { kind: "done" };
    });
    assert.deepEqual(answers, [true]);
    assert.equal(await h.store.reader.readMeta("first"), "yes");
    assert.equal((await h.job("whole")).state, "leased");
    gate.open();
    await h.rest();
    assert.deepEqual(answers, [true, true, true]);
    assert.equal(await h.store.reader.readMeta("third"), "yes");
    assert.equal((await h.job("whole")).state, "done");
  });

  it("linger for company while others are under way, and not longer than 50 ms", async () => {
    const h = await startWhole(
      async (_, context) => {
        await context.record(write("part"));
        return { kind: "done" };
      },
      { behaviours: { other: hang } },
    );
    assert.equal(await h.store.reader.readMeta("part"), "yes", "alone it waits for nobody");
    await h.enqueue({ id: "hangs", kind: "other", lane: "other" });
    await h.rest();
    await h.enqueue({ id: "again" });
    await h.rest();
    assert.equal((await h.job("again")).state, "leased");
    await h.advance(49);
    assert.equal((await h.job("again")).state, "leased");
    await h.advance(11);
    assert.equal((await h.job("again")).state, "done");
  });

  it("are refused alone when their callback fails, and the others are recorded", async () => {
    const ends: string[] = [];
    await startWhole(async (_, context) => {
      const parts = [write("a"), () => Promise.reject(new Error("no")), write("b")];
      const done = await Promise.allSettled(parts.map((settle) => context.record(settle)));
      ends.push(...done.map((one) => (one.status === "fulfilled" ? String(one.value) : String(one.reason))));
      return { kind: "done" };
    });
    assert.deepEqual(ends, ["true", "Error: no", "true"]);
  });

  it("are refused alone when they break the commit without throwing themselves", async () => {
    const memory = createMemoryStore();
    const store: Store = {
      ...memory,
      write: (run) =>
        memory.write(async (tx) => {
          const result = await run(tx);
          if ((await tx.readMeta("bad")) !== undefined) throw storeError("STORE_FAILED");
          return result;
        }),
    };
    const ends: string[] = [];
    const h = await startWhole(
      async (_, context) => {
        const done = await Promise.allSettled([context.record(write("good")), context.record(write("bad"))]);
        ends.push(...done.map(({ status }) => status));
        return { kind: "done" };
      },
      { store },
    );
    await h.advance(1_000);
    assert.deepEqual(ends, ["fulfilled", "rejected"]);
    assert.equal(await store.reader.readMeta("good"), "yes");
    assert.equal((await h.job("whole")).state, "done");
  });

  it("wait while the store is away, and are recorded once it is back", async () => {
    const memory = createMemoryStore();
    let isAway = false;
    const store: Store = {
      ...memory,
      write: (run) => (isAway ? Promise.reject(storeError("STORE_BUSY")) : memory.write(run)),
    };
    const gate = createGate();
    const answers: boolean[] = [];
    const h = await startWhole(
      async (_, context) => {
        await gate.opened;
        answers.push(await context.record(write("part")));
        return { kind: "done" };
      },
      { store },
    );
    isAway = true;
    gate.open();
    await h.advance(3_000);
    assert.deepEqual(answers, []);
    isAway = false;
    await h.advance(5_000);
    assert.deepEqual(answers, [true]);
    assert.equal(h.calls.length, 1);
    assert.equal((await h.job("whole")).state, "done");
  });

  it("are not recorded once the lease is lost", async () => {
    const gate = createGate();
    const answers: boolean[] = [];
    const h = await startWhole(async (job, context) => {
      if (job.attempt > 1) return { kind: "done" };
      await gate.opened;
      answers.push(await context.record(write("part")));
      return { kind: "done" };
    });
    // Somebody with another clock.
    await h.store.write((tx) => tx.expireLeases(Number.MAX_SAFE_INTEGER, 10));
    gate.open();
    await h.advance(100);
    assert.deepEqual(answers, [false]);
    assert.equal(await h.store.reader.readMeta("part"), undefined);
    await h.advance(60_000);
    assert.equal((await h.job("whole")).state, "done");
  });

  it("that have happened are kept when the engine stops, and later ones are not recorded", async () => {
    const gate = createGate();
    const answers: boolean[] = [];
    const h = await startWhole(async (_, context) => {
      answers.push(await context.record(write("first")));
      await gate.opened;
      answers.push(await context.record(write("second")));
      return { kind: "done" };
    });
    const stopped = h.engine.stop({ drainMs: 0 });
    await h.advance(1_000);
    await stopped;
    gate.open();
    await h.rest();
    assert.deepEqual(answers, [true, false]);
    assert.equal(await h.store.reader.readMeta("first"), "yes");
    assert.equal((await h.job("whole")).state, "ready");
  });
});

describe("a job that goes on", () => {
  it("knows by its attempt of a run that a stop has ended, after all of its parts", async () => {
    const parts = Array.from({ length: 1_300 }, (_, n) => `part ${n}`);
    const h = await startWhole(
      async (_, context) => {
        for (const part of parts) void context.record(write(part));
        return hang();
      },
      { goesOn: true },
    );
    const stopped = h.engine.stop({ drainMs: 0 });
    await h.advance(1_000);
    await stopped;
    const recorded = await Promise.all(parts.map((part) => h.store.reader.readMeta(part)));
    assert.equal(recorded.filter((value) => value === "yes").length, parts.length);
    const { state, attempt } = await h.job("whole");
    assert.deepEqual([state, attempt], ["ready", 1]);
    h.engine.start();
    await h.advance(100);
    assert.equal(h.calls.at(-1)?.attempt, 2);
  });

  it("another one is given back as if it had never been claimed", async () => {
    const h = await startWhole(hang);
    const stopped = h.engine.stop({ drainMs: 0 });
    await h.advance(1_000);
    await stopped;
    assert.equal((await h.job("whole")).attempt, 0);
  });

  it("has no last attempt, however long each takes", async () => {
    for (const goesOn of [true, false]) {
      const h = createHarness({ goesOn, behaviours: { work: hang } });
      h.engine.start();
      await h.enqueue({ id: "whole", attempt: 40 });
      await h.advance(1_000_000);
      assert.equal((await h.job("whole")).state === "dead", !goesOn);
    }
  });

  it("does not make its lane a slow one", async () => {
    for (const goesOn of [true, false]) {
      const gate = createGate();
      const seen: string[] = [];
      const behaviours: Readonly<Record<string, Behaviour>> = {
        work: async (job, context) => {
          if (job.id === "whole") await gate.opened;
          else seen.push(context.enterLane("work:whole") ? "quick" : "slow");
          return { kind: "done" };
        },
      };
      const h = createHarness({ goesOn, behaviours });
      h.engine.start();
      await h.enqueue({ id: "whole", lane: "work:whole" });
      await h.advance(2_000);
      gate.open();
      await h.rest();
      await h.enqueue({ id: "other" });
      await h.rest();
      assert.deepEqual(seen, [goesOn ? "quick" : "slow"]);
    }
  });
});

describe("a place in another lane", () => {
  const enterAndHold =
    (gate: { readonly opened: Promise<void> }, seen: string[], lane = "other"): Behaviour =>
    async (_, context) => {
      const leave = context.enterLane(lane);
      seen.push(leave ? "in" : "full");
      await gate.opened;
      leave?.();
      leave?.();
      return { kind: "done" };
    };

  it("counts like a job of that lane, until it is given back", async () => {
    const gate = createGate();
    const seen: string[] = [];
    const h = await startWhole(enterAndHold(gate, seen), {
      laneConcurrency: (lane) => (lane === "other" ? 1 : 10),
      behaviours: { other: () => Promise.resolve({ kind: "done" }) },
    });
    assert.deepEqual(seen, ["in"]);
    await h.enqueue({ id: "queued", kind: "other", lane: "other" });
    await h.rest();
    const begun = (): boolean => h.calls.some(({ id }) => id === "queued");
    assert.equal(begun(), false, "the lane's only place is taken");
    await h.enqueue({ id: "second" });
    await h.rest();
    assert.deepEqual(seen, ["in", "full"]);
    gate.open();
    await h.rest();
    assert.equal(begun(), true);
    assert.equal((await h.job("queued")).state, "done");
  });

  it("is not given while a job of the lane runs or waits", async () => {
    const gate = createGate();
    const seen: string[] = [];
    const h = createHarness({ behaviours: { work: enterAndHold(gate, seen), other: hang } });
    h.engine.start();
    await h.enqueue({ id: "runs", kind: "other", lane: "other" });
    await h.rest();
    await h.enqueue({ id: "whole" });
    await h.rest();
    assert.deepEqual(seen, ["full"]);
  });

  it("is not given to a lane that was slow", async () => {
    const [gate, later] = [createGate(), createGate()];
    const seen: string[] = [];
    const h = createHarness({
      behaviours: {
        work: (job, context) => enterAndHold(job.id === "first" ? gate : later, seen)(job, context),
      },
    });
    h.engine.start();
    await h.enqueue({ id: "first" });
    await h.rest();
    await h.advance(2_000);
    gate.open();
    await h.rest();
    await h.enqueue({ id: "second" });
    await h.rest();
    assert.deepEqual(seen, ["in", "full"]);
    later.open();
    await h.rest();
  });
});
