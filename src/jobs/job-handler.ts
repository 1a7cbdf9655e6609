// What a kind of job does: one attempt in, one outcome out. The engine owns claiming, leases, retries and settling.

import type { Job, Tx } from "../store/store.ts";

/** What an attempt did, for the attempts log. */
export interface AttemptNote {
  /** An HTTP status, when there was one. */
  readonly status?: number | null;
  readonly error?: string | null;
}

/**
 * The end of one attempt. `settle` runs in the transaction that records it, after the job's own row has changed, and not
 * at all when the lease was lost; whatever it writes commits with the outcome.
 */
export type JobOutcome = (
  | { readonly kind: "done" }
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "dead" }
) & {
  readonly note?: AttemptNote;
  readonly settle?: (tx: Tx) => Promise<void>;
};

export interface JobContext {
  /** Aborted when the lease is lost or the process stops and the drain time is over. */
  readonly signal: AbortSignal;
  /** Whether `signal` would be aborted. */
  readonly isAborted: boolean;
  /** Calls `run` once when the signal would abort. Cheaper than the signal, which is only made when it is asked for. */
  onAbort(run: () => void): void;
  /** Epoch milliseconds. */
  readonly now: number;
  /**
   * Records a part of what the job has done before it ends. `settle` runs in a transaction of the engine while the lease is
   * held.
   *
   * The handler is one that {@link JobHandler.goesOn}: only then does the next run know by its `attempt` that there was one.
   *
   * @returns once that has committed; false when the lease was lost or the engine has let go of the job, and nothing of it
   * is recorded. Rejects with what `settle` threw.
   */
  record(settle: (tx: Tx) => Promise<void>): Promise<boolean>;
  /**
   * Takes a place in another lane, for what the job does of that lane's kind without a job for each. The lane's limits and
   * its manner count it like a job.
   *
   * @returns what gives the place back; undefined when the lane has none to give away: something of it is due or under way,
   * it is paced, slow or served elsewhere, or the engine is busy.
   */
  enterLane(lane: string): (() => void) | undefined;
}

export interface JobHandler {
  /** The lanes of its jobs are named `<kind>` or `<kind>:<anything>`. */
  readonly kind: string;
  /**
   * Each of its lanes is served by one engine at a time, so that its limits hold for all processes together. Otherwise every
   * engine serves every lane, each within the limits. @default false
   */
  readonly laneAlone?: boolean;
  /**
   * A run does what it can of something long, and the next one goes on behind it. So every run counts as an attempt, one that
   * a stop has ended as well; none is the last, however long it takes; and the time that it takes says nothing about its lane.
   * @default false
   */
  readonly goesOn?: boolean;
  /** Jobs of one lane that run at once in one engine, 1 or more; a function is asked before each claim. */
  readonly laneConcurrency: number | ((lane: string) => number);
  /**
   * Milliseconds between the starts of two jobs of a lane in one engine, however many are due; 0 for no pause. Asked
   * before each claim. Intervals below 20 ms are kept on average. @default none
   */
  readonly laneIntervalMs?: (lane: string) => number;
  /**
   * Runs one attempt. At least once: it may run again for an attempt whose outcome was lost, so effects outside need an
   * idempotency key (`job.id`). A throw counts as a retry by the engine's default backoff.
   */
  run(job: Job, context: JobContext): Promise<JobOutcome>;
}
