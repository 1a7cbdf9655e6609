// The job that makes a checkpoint: one for each stretch of time in which entries were written, due at its end.

import type { NewJob } from "../../store/store.ts";

export const CHECKPOINT_KIND = "audit.checkpoint";

/** The id names the stretch, so that however many writes ask for it there is one job. */
export function checkpointJob(now: number, everySecs: number): NewJob {
  const dueAt = (Math.floor(now / (everySecs * 1_000)) + 1) * everySecs * 1_000;
  return {
    id: `${CHECKPOINT_KIND}:${dueAt}`,
    kind: CHECKPOINT_KIND,
    lane: CHECKPOINT_KIND,
    payload: "",
    dueAt,
    createdAt: now,
  };
}
