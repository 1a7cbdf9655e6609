// Removes finished jobs after their retention, in small transactions with pauses, so that a large backlog of old jobs
// never holds the writer for long.

import type { Clock } from "../core/clock.ts";
import type { Store } from "../store/store.ts";

export interface JobRetentionOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly retentionMs: number;
  /** The pause between two full passes. */
  readonly everyMs: number;
}

/** Jobs that one transaction removes. */
const PURGE_LIMIT = 1000;
const PAUSE_MS = 100;

/** Removes one portion; answers after how many milliseconds the next one is due. */
export async function purgeFinishedJobs(options: JobRetentionOptions): Promise<number> {
  const finishedBefore = Math.floor(options.clock.now()) - options.retentionMs;
  const purged = await options.store.write((tx) => tx.purgeJobs(finishedBefore, PURGE_LIMIT), {
    isolation: "read-committed",
  });
  return purged === PURGE_LIMIT ? PAUSE_MS : options.everyMs;
}
