// Scheduled calls through the job engine itself: once, in time, and repeated when they fail.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import { action, type FunctionDefinition, mutation } from "../../src/functions/define.ts";
import { v } from "../../src/functions/validators.ts";
import { createJobEngine, type JobEngine } from "../../src/jobs/job-engine.ts";
import { type Harness, openFunctions } from "./functions-harness.ts";

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

interface Running extends Harness {
  readonly engine: JobEngine;
  readonly clock: VirtualClock;
  readonly logged: string[];
}

/** Resolves when `condition` holds; the test's own time limit ends one that never does. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function start(definitions: Readonly<Record<string, FunctionDefinition>>): Promise<Running> {
  const clock = createVirtualClock();
  const harness = await openFunctions(definitions, { clock });
  const logged: string[] = [];
  const engine = createJobEngine({
    store: harness.store,
    clock,
    handlers: [harness.functions.job],
    owner: "test",
    defer: (run) => void setTimeout(run, 0),
    log: (level, message) => logged.push(`${level} ${message}`),
  });
  closing.push(
    () => harness.close(),
    () => engine.stop({ drainMs: 0 }),
  );
  engine.start();
  return { ...harness, engine, clock, logged };
}

const add = mutation({ args: { total: v.int() }, handler: (ctx, { total }) => ctx.db.insert("Order", { total }) });

describe("a scheduled call in the job engine", () => {
  it("of a mutation takes effect once, when it is due", async () => {
    const later = mutation({ handler: (ctx) => ctx.scheduler.runAfter(5_000, "add", { total: 1 }) });
    const { call, orders, clock, store, logged, engine } = await start({ add, later });
    const id = (await call("later")) as string;
    await clock.advance(4_999);
    assert.deepEqual([await orders(), (await store.reader.getJob(id))?.state], [[], "ready"]);
    await clock.advance(1);
    await until(async () => (await store.reader.getJob(id))?.state === "done");
    // Longer than any lease: nobody takes it for unfinished.
    await until(async () => engine.stats().running === 0);
    await clock.advance(120_000);
    assert.equal((await orders()).length, 1);
    assert.equal((await store.reader.listAttempts(id)).length, 1);
    assert.deepEqual(logged, []);
  });

  it("that fails is repeated until it succeeds", async () => {
    let failures = 3;
    const flaky = action({
      async handler(ctx) {
        if (failures-- > 0) throw ctx.error("NOT_YET", "Not yet");
        await ctx.db.insert("Order", { total: 7 });
      },
    });
    const later = mutation({ handler: (ctx) => ctx.scheduler.runAfter(0, "flaky") });
    const { call, orders, clock, store } = await start({ flaky, later });
    const id = (await call("later")) as string;
    const attempts = (): Promise<readonly { readonly ok: boolean }[]> => store.reader.listAttempts(id);
    for (const [i, delayMs] of [0, 1_000, 2_000, 4_000].entries()) {
      assert.equal((await orders()).length, 0);
      await clock.advance(delayMs);
      await until(async () => (await attempts()).length === i + 1);
    }
    assert.equal((await orders()).length, 1);
    assert.deepEqual(
      (await attempts()).map(({ ok }) => ok),
      [false, false, false, true],
    );
  });
});
