// One attempt from its claim until it is settled. Ends at most once: what a handler answers after its lease was lost, its
// time was over or the engine let go of it changes nothing.

import type { Job } from "../store/store.ts";
import type { JobContext } from "./job-handler.ts";
import type { Lane } from "./lane-schedule.ts";

/** `running` has a handler under way; `ended` waits to be settled; `lost` and `abandoned` are of no interest any more. */
export type JobRunState = "running" | "ended" | "lost" | "abandoned";

/** When an attempt began and until when it is leased. Epoch milliseconds, but `monotonicMs`. */
export interface JobRunTimes {
  readonly nowMs: number;
  readonly monotonicMs: number;
  readonly leaseUntil: number;
}

export class JobRun {
  readonly job: Job;
  readonly lane: Lane;
  readonly startedAt: number;
  readonly startedMonotonicMs: number;
  readonly context: JobContext;
  leaseUntil: number;
  state: JobRunState = "running";
  /** Made when a handler asks: most attempts are never aborted, and a controller costs more than the rest of a run. */
  #controller: AbortController | undefined;
  #isAborted = false;

  constructor(job: Job, lane: Lane, times: JobRunTimes) {
    this.job = job;
    this.lane = lane;
    this.startedAt = times.nowMs;
    this.startedMonotonicMs = times.monotonicMs;
    this.leaseUntil = times.leaseUntil;
    const signal = (): AbortSignal => this.#signal();
    this.context = {
      now: times.nowMs,
      get signal() {
        return signal();
      },
    };
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort();
  }

  #signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }
}
