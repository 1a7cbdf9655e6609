// When a batch runs, and who is blamed when one does not commit.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { planBatch } from "../../src/jobs/plan-batch.ts";
import { storeError } from "../../src/store/store-errors.ts";
import type { Store, Tx } from "../../src/store/store.ts";
import { createMemoryStore } from "../support/memory-store.ts";
import { createGate, createHarness, type Behaviour, type Harness } from "./job-harness.ts";

describe("planBatch()", () => {
  const quiet = { waiting: 0, parts: 0, active: 0, underWay: 0, readyLanes: 0, capacity: 512, maxBatch: 256 };
  const running = (count: number): Partial<typeof quiet> => ({ active: count, underWay: count });
  const cases: readonly (readonly [string, Partial<typeof quiet>, ReturnType<typeof planBatch>])[] = [
    ["nothing to do", {}, "idle"],
    ["a lane is due and nothing runs", { readyLanes: 1 }, "now"],
    ["a lane is due and much is free", { readyLanes: 1, ...running(100) }, "now"],
    ["a lane is due and little is free", { readyLanes: 1, ...running(500) }, "soon"],
    ["a lane is due and nothing is free", { readyLanes: 1, ...running(512) }, "idle"],
    ["an outcome waits and others are still to come", { waiting: 1, ...running(5) }, "soon"],
    ["a part of an outcome waits and others are still to come", { parts: 1, ...running(1) }, "later"],
    ["parts fill a batch", { parts: 256, ...running(1) }, "later"],
    ["a part and an outcome wait", { parts: 1, waiting: 1, ...running(2) }, "soon"],
    ["parts fill two batches", { parts: 512, ...running(1) }, "now"],
    ["all that runs waits for its parts", { parts: 3, active: 2 }, "now"],
    ["the last outcome waits", { waiting: 1 }, "now"],
    ["half a batch of outcomes waits", { waiting: 128, ...running(384) }, "now"],
    ["an engine of one slot", { waiting: 1, capacity: 1, maxBatch: 256 }, "now"],
  ];
  for (const [name, load, expected] of cases) {
    it(`${name}: ${expected}`, () => assert.equal(planBatch({ ...quiet, ...load }), expected));
  }
});

/** Three jobs whose outcomes wait behind one gate; "bad" is told apart by the store below. */
async function startThree(store: Store): Promise<{ readonly h: Harness; readonly open: () => Promise<void> }> {
  const gate = createGate();
  const work: Behaviour = async (job) => {
    await gate.opened;
    return { kind: "done", settle: (tx: Tx) => tx.writeMeta(job.id, `settled by attempt ${job.attempt}`) };
  };
  const h = createHarness({ store, behaviours: { work } });
  h.engine.start();
  await h.enqueue({ id: "good" }, { id: "bad" }, { id: "fine" });
  await h.rest();
  const open = async (): Promise<void> => {
    gate.open();
    await h.rest();
  };
  return { h, open };
}

/** Lets `spoil` see what a transaction wrote, in front of its commit. */
function spoiledStore(spoil: (tx: Tx) => Promise<void>): Store {
  const memory = createMemoryStore();
  return {
    ...memory,
    write: (run) =>
      memory.write(async (tx) => {
        const result = await run(tx);
        await spoil(tx);
        return result;
      }),
  };
}

describe("batches that do not commit", () => {
  it("finds the callback that breaks the commit without throwing itself", async () => {
    const store = spoiledStore(async (tx) => {
      if ((await tx.readMeta("bad")) === "settled by attempt 1") throw storeError("STORE_FAILED");
    });
    const { h, open } = await startThree(store);
    await open();
    await h.advance(200);
    assert.equal((await h.job("good")).state, "done");
    assert.equal((await h.job("fine")).state, "done");
    assert.equal((await h.job("bad")).state, "ready");
    await h.advance(5000);
    assert.equal((await h.job("bad")).state, "done");
    assert.equal(await store.reader.readMeta("bad"), "settled by attempt 2");
    assert.equal(h.calls.length, 4);
  });

  it("blames nobody when the store goes away between two transactions", async () => {
    let isBusy = true;
    let isOpen = false;
    const store = spoiledStore(async (tx) => {
      if (!isOpen || !isBusy) return;
      const metas = await Promise.all(["good", "bad", "fine"].map((id) => tx.readMeta(id)));
      // The write without any callback goes through, those with one do not.
      if (metas.some((meta) => meta !== undefined)) throw storeError("STORE_BUSY");
    });
    const { h, open } = await startThree(store);
    isOpen = true;
    await open();
    await h.advance(20_000);
    assert.equal(h.engine.stats().unsettled, 3);
    isBusy = false;
    await h.advance(6000);
    assert.deepEqual(await store.reader.countJobs(), { done: 3 });
    assert.equal(h.calls.length, 3, "a job ran again although only the store was away");
  });
});
