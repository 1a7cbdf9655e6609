// Scheduled calls, from `ctx.scheduler` through the job engine to their effect.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import { action, mutation, query, type FunctionDefinition } from "../../src/functions/define.ts";
import { v } from "../../src/functions/validators.ts";
import type { JobOutcome } from "../../src/jobs/job-handler.ts";
import type { Job } from "../../src/store/store.ts";
import { CALLER, type Harness, openFunctions, USER } from "./functions-harness.ts";

const open: Harness[] = [];
let clock: VirtualClock;

async function start(definitions: Readonly<Record<string, FunctionDefinition>>): Promise<Harness> {
  clock = createVirtualClock();
  const harness = await openFunctions(definitions, { clock, timeoutMs: 30_000 });
  open.push(harness);
  return harness;
}

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

const add = mutation({
  args: { total: v.int() },
  handler: (ctx, { total }) => ctx.db.insert("Order", { total, code: ctx.auth.userId }),
});
const schedule = mutation({
  args: { delayMs: v.number(), name: v.string(), args: v.any() },
  handler: (ctx, { delayMs, name, args }) => ctx.scheduler.runAfter(delayMs, name, args),
});

async function claim({ store }: Harness, owner = "worker"): Promise<Job[]> {
  const now = clock.now();
  return store.write((tx) => tx.claimJobs({ lane: "function", limit: 10, owner, now, leaseUntil: now + 60_000 }));
}

async function runOne(harness: Harness, job: Job, signal = new AbortController().signal): Promise<JobOutcome> {
  return harness.functions.job.run(job, {
    signal,
    now: clock.now(),
    isAborted: signal.aborted,
    onAbort: () => undefined,
    record: () => Promise.resolve(false),
    enterLane: () => undefined,
  });
}

async function stateOf({ store }: Harness, id: string): Promise<string | undefined> {
  return (await store.reader.getJob(id))?.state;
}

describe("ctx.scheduler", () => {
  it("makes a job that is due then and runs as whoever scheduled it", async () => {
    const harness = await start({ add, schedule });
    const id = (await harness.call("schedule", { delayMs: 1_500.2, name: "add", args: { total: 5 } })) as string;
    assert.match(id, /^job_[0-9A-HJKMNP-TV-Z]{26}$/);
    const job = await harness.store.reader.getJob(id);
    assert.equal(job?.dueAt, clock.now() + 1_501);
    assert.deepEqual(await claim(harness), []);
    await clock.advance(1_501);
    const [claimed] = await claim(harness);
    assert.ok(claimed);
    assert.deepEqual(await runOne(harness, claimed), { kind: "done" });
    assert.deepEqual(await harness.orders(), [{ total: 5, code: USER.userId }]);
  });

  it("refuses at once what could only fail later", async () => {
    const look = query({ handler: () => 1 });
    const harness = await start({ add, schedule, look });
    const refused: [unknown, string][] = [
      [{ delayMs: 0, name: "nope", args: {} }, "FN_NOT_FOUND"],
      [{ delayMs: 0, name: "look", args: {} }, "FN_WRONG_KIND"],
      [{ delayMs: 0, name: "add", args: { total: "5" } }, "VALIDATION_FAILED"],
      [
        { delayMs: 0, name: "schedule", args: { delayMs: 0, name: "x", args: "y".repeat(1_048_577) } },
        "VALIDATION_FAILED",
      ],
      [{ delayMs: 1e300, name: "add", args: { total: 1 } }, "VALIDATION_FAILED"],
    ];
    for (const [args, code] of refused) await assert.rejects(harness.call("schedule", args), { code });
    assert.deepEqual(await claim(harness), []);
  });

  it("takes times in the past as now, and none that is no number", async () => {
    const at = action({
      args: { at: v.any() },
      handler: (ctx, args) => ctx.scheduler.runAt(args.at, "add", { total: 1 }),
    });
    const harness = await start({ add, at, schedule });
    await harness.call("at", { at: -5 });
    await harness.call("at", { at: clock.now() - 5 });
    await harness.call("schedule", { delayMs: -1_000, name: "add", args: { total: 1 } });
    assert.equal((await claim(harness)).length, 3);
    for (const wrong of ["5", null, {}])
      await assert.rejects(harness.call("at", { at: wrong }), { code: "VALIDATION_FAILED" });
  });

  it("cancels what still waits, and nothing that is no scheduled call", async () => {
    const cancel = action({ args: { id: v.any() }, handler: (ctx, { id }) => ctx.scheduler.cancel(id) });
    const harness = await start({ add, schedule, cancel });
    const id = await harness.call("schedule", { delayMs: 1_000, name: "add", args: { total: 5 } });
    assert.equal(await harness.call("cancel", { id }), true);
    assert.equal(await harness.call("cancel", { id }), false);
    const now = clock.now();
    const foreign = { id: "wh_1", kind: "webhook", lane: "x", payload: "{}", dueAt: now, createdAt: now };
    await harness.store.write((tx) => tx.enqueueJob(foreign));
    for (const other of ["wh_1", "job_none", 5, null]) assert.equal(await harness.call("cancel", { id: other }), false);
    assert.equal(await stateOf(harness, "wh_1"), "ready");
  });

  it("cancels in a mutation only if it commits", async () => {
    const cancel = mutation({
      args: { id: v.string(), fail: v.bool() },
      async handler(ctx, { id, fail }) {
        const canceled = await ctx.scheduler.cancel(id);
        if (fail) throw ctx.error("NO", "no");
        return canceled;
      },
    });
    const harness = await start({ add, schedule, cancel });
    const id = (await harness.call("schedule", { delayMs: 1_000, name: "add", args: { total: 5 } })) as string;
    await assert.rejects(harness.call("cancel", { id, fail: true }), { code: "NO" });
    assert.equal(await stateOf(harness, id), "ready");
    assert.equal(await harness.call("cancel", { id, fail: false }), true);
    assert.equal(await stateOf(harness, id), "canceled");
  });
});

describe("the handler of scheduled calls", () => {
  it("settles the job in the mutation's own transaction", async () => {
    const harness = await start({ add, schedule });
    const id = (await harness.call("schedule", { delayMs: 0, name: "add", args: { total: 5 } })) as string;
    const [job] = await claim(harness);
    assert.ok(job);
    await runOne(harness, job);
    assert.equal(await stateOf(harness, id), "done");
    // Once more, as after an outcome that was lost: nothing is added.
    assert.equal((await runOne(harness, job)).kind, "retry");
    assert.equal((await harness.orders()).length, 1);
    assert.deepEqual(
      (await harness.store.reader.listAttempts(id)).map(({ ok }) => ok),
      [true],
    );
  });

  it("rolls a mutation back when another has taken its lease", async () => {
    const harness = await start({ add, schedule });
    await harness.call("schedule", { delayMs: 0, name: "add", args: { total: 5 } });
    const [mine] = await claim(harness, "a");
    await clock.advance(61_000);
    await harness.store.write((tx) => tx.expireLeases(clock.now(), 10));
    const [theirs] = await claim(harness, "b");
    assert.ok(mine && theirs);
    assert.equal((await runOne(harness, mine)).kind, "retry");
    assert.equal((await harness.orders()).length, 0);
    assert.equal((await runOne(harness, theirs)).kind, "done");
    assert.equal((await harness.orders()).length, 1);
  });

  it("repeats a failed call after 1, 2, 4 and 8 s, then gives up", async () => {
    const fail = action({
      handler: (ctx) => {
        throw ctx.error("NOT_YET", "Try later");
      },
    });
    const harness = await start({ fail, schedule });
    await harness.call("schedule", { delayMs: 0, name: "fail", args: {} });
    const [job] = await claim(harness);
    assert.ok(job);
    const outcomes: unknown[] = [];
    for (let attempt = 1; attempt <= 5; attempt++) {
      const outcome = await runOne(harness, { ...job, attempt });
      outcomes.push(outcome.kind === "retry" ? outcome.delayMs : outcome.kind);
      assert.match(outcome.note?.error ?? "", /^NOT_YET/);
    }
    assert.deepEqual(outcomes, [1_000, 2_000, 4_000, 8_000, "dead"]);
  });

  it("keeps the text of an unexpected error out of the job", async () => {
    const leak = action({
      handler: () => {
        throw new Error("hunter2");
      },
    });
    const harness = await start({ leak, schedule });
    const id = await harness.call("schedule", { delayMs: 0, name: "leak", args: {} });
    const [job] = await claim(harness);
    assert.ok(job);
    const outcome = await runOne(harness, job);
    assert.ok(!JSON.stringify(outcome).includes("hunter2"));
    assert.deepEqual(
      harness.failures.map(({ requestId, message }) => [requestId, message]),
      [[id, "hunter2"]],
    );
  });

  it("is dead at once when the call cannot succeed any more", async () => {
    const harness = await start({ add, schedule });
    await harness.call("schedule", { delayMs: 0, name: "add", args: { total: 5 } });
    const [job] = await claim(harness);
    assert.ok(job);
    const wider = mutation({ args: { total: v.int(), currency: v.string() }, handler: () => null });
    harness.functions.replace(new Map([["add", wider]]));
    assert.equal((await runOne(harness, job)).kind, "dead");
    harness.functions.replace(new Map());
    assert.equal((await runOne(harness, job)).kind, "dead");
    for (const payload of ["", "[]", "{}", '{"name":1}', "null"]) {
      assert.equal((await runOne(harness, { ...job, payload })).kind, "dead");
    }
  });

  it("stops when the engine lets go of the job", async () => {
    const wake = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const hang = mutation({
      async handler(ctx) {
        await ctx.db.insert("Order", { total: 1 });
        started.resolve();
        await wake.promise;
      },
    });
    const harness = await start({ hang, schedule });
    await harness.call("schedule", { delayMs: 0, name: "hang", args: {} });
    const [job] = await claim(harness);
    assert.ok(job);
    const controller = new AbortController();
    const running = runOne(harness, job, controller.signal);
    await started.promise;
    controller.abort();
    const outcome = await running;
    assert.deepEqual([outcome.kind, outcome.note?.error?.split(":")[0]], ["retry", "FN_ABORTED"]);
    wake.resolve();
    assert.deepEqual(await harness.orders(), []);
  });

  it("runs beyond the bound on calls from outside", async () => {
    const harness = await start({ add, schedule });
    await harness.functions.call("schedule", { delayMs: 0, name: "add", args: { total: 1 } }, CALLER);
    const [job] = await claim(harness);
    assert.ok(job);
    assert.equal((await runOne(harness, job)).kind, "done");
    assert.equal(harness.functions.running, 0);
  });
});
