// Runs the steps that writes left for the end of their commit: each once, with the items of all writes in their order.

import type { CommitStep, Tx } from "./store.ts";

export interface StepItem {
  readonly step: CommitStep;
  readonly item: unknown;
}

/** In the order in which the steps were first named. @throws what a step throws; the transaction must not commit then. */
export async function runCommitSteps(tx: Tx, items: Iterable<StepItem>): Promise<void> {
  const byStep = new Map<CommitStep, unknown[]>();
  for (const { step, item } of items) {
    const known = byStep.get(step);
    if (known) known.push(item);
    else byStep.set(step, [item]);
  }
  for (const [step, given] of byStep) await step.run(tx, given);
}
