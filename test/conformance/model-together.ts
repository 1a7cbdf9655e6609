// Transactions that run at the same time on a store with several writers: whatever they were answered and left behind has to
// be what some order of them, one after the other, would have come to in the model. Claims are not among them: who passes
// over a locked job sees what no order explains, and is meant to.

import type { Tx } from "../../src/store/store.ts";
import { runStep, type Step, type World } from "./model-steps.ts";
import { T0 } from "./store-fixture.ts";

/** What a transaction that committed asked, and every answer that it got. */
export interface Transcript {
  readonly steps: readonly Step[];
  readonly answers: readonly unknown[];
}

type Ask = (tx: Tx) => Promise<unknown>;

/** The calls that `runStep` makes for a step, in its order; none for a step that is not taken together. */
function callsOf(step: Step): readonly Ask[] {
  switch (step.kind) {
    case "insert":
      return [(tx) => tx.insert("Item", step.row)];
    case "update":
      return [(tx) => tx.update("Item", step.id, step.patch), (tx) => tx.get("Item", step.id)];
    case "delete":
      return [(tx) => tx.delete("Item", step.id)];
    case "find":
      return [(tx) => tx.find("Item", step.query)];
    case "count":
      return [(tx) => tx.count("Item", step.where)];
    case "writeMeta":
      return [(tx) => tx.writeMeta(step.key, step.value)];
    case "enqueue": {
      const { id, lane, key, dueAt } = step;
      const job = { id, kind: "mail", lane, key, payload: `{"${id}":1}`, dueAt, createdAt: T0 };
      return [(tx) => tx.enqueueJob(job), (tx) => tx.getJob(id)];
    }
    case "cancel":
      return [(tx) => tx.cancelJob(step.id, step.now)];
    case "requeue":
      return [(tx) => tx.requeueJob(step.id, step.dueAt)];
    case "lanes":
      return [
        (tx) => tx.dueLanes(step.until, step.limit, step.after),
        ...["a", "b", "c"].map(
          (lane): Ask =>
            (tx) =>
              tx.laneDue(lane),
        ),
      ];
    default:
      return [];
  }
}

/** Asks everything and writes the answers down. */
export async function transcribe(tx: Tx, steps: readonly Step[]): Promise<Transcript> {
  const taken = steps.filter((step) => callsOf(step).length > 0);
  const answers: unknown[] = [];
  for (const ask of taken.flatMap(callsOf)) answers.push(await ask(tx));
  return { steps: taken, answers };
}

/** A transaction that gives the answers that were written down. */
function playBack(answers: readonly unknown[]): Tx {
  let place = 0;
  return new Proxy({} as Tx, { get: () => () => Promise.resolve(answers[place++]) });
}

async function replay(world: World, transcripts: readonly Transcript[]): Promise<World> {
  const copy = structuredClone(world);
  for (const { steps, answers } of transcripts) {
    // Numbers of jobs grow with their insertion, not with the order that explains the answers.
    copy.maxSeq = -1;
    const tx = playBack(answers);
    for (const step of steps) await runStep(tx, copy, step);
  }
  copy.maxSeq = Math.max(-1, ...Array.from(copy.jobs.values(), ({ seq }) => seq));
  return copy;
}

function* ordersOf<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length <= 1) yield items;
  else {
    for (const [place, item] of items.entries()) {
      for (const rest of ordersOf(items.toSpliced(place, 1))) yield [item, ...rest];
    }
  }
}

/** The world after an order of the transactions that explains every answer and passes `check`. @throws the last mismatch */
export async function explain(
  world: World,
  transcripts: readonly Transcript[],
  check: (after: World) => Promise<void>,
): Promise<World> {
  let mismatch: unknown;
  for (const order of ordersOf(transcripts)) {
    try {
      const after = await replay(world, order);
      await check(after);
      return after;
    } catch (error) {
      mismatch = error;
    }
  }
  throw mismatch;
}
