// Any sequence of transactions does to a Store what it does to a plain model of it: every answer inside, everything left
// behind outside, and the hints that the commits give.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import type { LaneDue, Store } from "../../src/store/store.ts";
import { explain, transcribe } from "./model-together.ts";
import { all, count, laneDue, toJob } from "./model-jobs.ts";
import { find, ITEM } from "./model-rows.ts";
import { emptyWorld, filling, runStep, step, type Step, type World } from "./model-steps.ts";
import { createTables, type OpenStore } from "./store-fixture.ts";

const RUNS = 40;
const TIMEOUT_MS = 120_000;

interface Transaction {
  readonly steps: readonly Step[];
  readonly ending: "commit" | "throw";
  readonly exclusive: boolean;
}

const transaction: fc.Arbitrary<Transaction> = fc.record({
  steps: fc.array(step, { maxLength: 8, size: "max" }),
  ending: fc.constantFrom("commit" as const, "commit" as const, "throw" as const),
  exclusive: fc.constantFrom(false, false, false, true),
});

/** A throw that is part of the plan. */
class Planned extends Error {}

/** The state that a run of transactions is at; `world` is replaced by each commit. */
interface Course {
  world: World;
}

async function runTransaction(store: Store, course: Course, { steps, ending, exclusive }: Transaction): Promise<void> {
  const writing = store.write(
    async (tx) => {
      // Taken when it runs, not when it was asked for: transactions that were asked for together follow each other.
      const world = structuredClone(course.world);
      for (const one of steps) await runStep(tx, world, one);
      if (ending === "throw") throw new Planned();
      course.world = world;
    },
    { exclusive },
  );
  const error: unknown = await writing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error !== undefined && !(error instanceof Planned)) throw error;
  assert.equal(error instanceof Planned, ending === "throw");
}

/** Everything that can be read from outside is what the model holds. */
async function checkWorld({ reader }: Store, world: World): Promise<void> {
  assert.deepEqual(await reader.find("Item", { limit: 1_000 }), find(world.rows, { limit: 1_000 }));
  const counts = await reader.countJobs();
  for (const state of ["ready", "leased", "blocked", "dead"] as const) {
    assert.equal(counts[state] ?? 0, count(world.jobs, state), state);
  }
  for (const job of all(world.jobs)) {
    assert.deepEqual(await reader.getJob(job.id), toJob(job));
    assert.deepEqual(await reader.listAttempts(job.id), job.log);
  }
  for (const [key, value] of world.meta) assert.equal(await reader.readMeta(key), value);
}

/** A lane whose earliest ready job came nearer must have been told; nothing is told that was rolled back. */
function checkHints(before: World, after: World, heard: readonly LaneDue[]): void {
  for (const lane of ["a", "b", "c"]) {
    const [was, is] = [laneDue(before.jobs, lane), laneDue(after.jobs, lane)];
    if (is === undefined || (was !== undefined && was <= is)) continue;
    assert.ok(
      heard.some((due) => due.lane === lane && due.dueAt <= is),
      `lane ${lane} is due at ${is} and nobody was told`,
    );
  }
}

async function runCourse(store: Store, turns: readonly (readonly Transaction[])[]): Promise<void> {
  await createTables(store, [ITEM]);
  const course: Course = { world: emptyWorld() };
  const heard: LaneDue[] = [];
  store.onDue((due) => heard.push(...due));
  for (const turn of turns) {
    const before = course.world;
    heard.length = 0;
    await Promise.all(turn.map((one) => runTransaction(store, course, one)));
    await checkWorld(store, course.world);
    checkHints(before, course.world, heard);
    if (turn.every(({ ending }) => ending === "throw")) assert.deepEqual(heard, []);
  }
}

/** Runs the transactions of a turn at once, and finds the order that explains them. */
async function runTogether(store: Store, world: World, turn: readonly Transaction[]): Promise<World> {
  const outcomes = await Promise.all(
    turn.map(({ steps, ending, exclusive }) =>
      store
        .write(
          async (tx) => {
            const transcript = await transcribe(tx, steps);
            if (ending === "throw") throw new Planned();
            return transcript;
          },
          { exclusive },
        )
        .catch((error: unknown) => {
          if (error instanceof Planned) return undefined;
          throw error;
        }),
    ),
  );
  const committed = outcomes.filter((outcome) => outcome !== undefined);
  return explain(world, committed, (after) => checkWorld(store, after));
}

async function runConcurrentCourse(store: Store, turns: readonly (readonly Transaction[])[]): Promise<void> {
  await createTables(store, [ITEM]);
  let world = emptyWorld();
  for (const turn of turns) world = await runTogether(store, world, turn);
}

export interface StoreModelOptions {
  /** Whether writes that are asked for in one turn run in the order they were asked for. */
  readonly keepsOrder: boolean;
}

export function describeStoreModel(name: string, open: OpenStore, options: StoreModelOptions): void {
  const check = (
    turn: fc.Arbitrary<readonly Transaction[]>,
    run: (store: Store, turns: readonly (readonly Transaction[])[]) => Promise<void>,
    { numRuns, maxTurns } = { numRuns: RUNS, maxTurns: 20 },
  ): Promise<void> =>
    fc.assert(
      fc.asyncProperty(
        filling,
        fc.array(turn, { minLength: 1, maxLength: maxTurns, size: "max" }),
        async (steps, turns) => {
          const opened = await open();
          try {
            await run(opened.store, [[{ steps, ending: "commit", exclusive: false }], ...turns]);
          } finally {
            await opened.cleanup();
          }
        },
      ),
      { numRuns },
    );
  describe(`the store model on ${name}`, () => {
    it("transactions one after the other", { timeout: TIMEOUT_MS }, () =>
      check(
        transaction.map((one) => [one]),
        runCourse,
      ),
    );
    it("transactions asked for together", { timeout: TIMEOUT_MS }, () =>
      options.keepsOrder
        ? check(fc.array(transaction, { minLength: 1, maxLength: 5 }), runCourse)
        : check(fc.array(transaction, { minLength: 2, maxLength: 3 }), runConcurrentCourse, {
            numRuns: 15,
            maxTurns: 8,
          }),
    );
  });
}
