// One attempt from its claim until it is settled. Ends at most once: what a handler answers after its lease was lost, its
// time was over or the engine let go of it changes nothing.

import type { Job } from "../store/store.ts";
import type { JobContext } from "./job-handler.ts";
import type { Lane } from "./lane-schedule.ts";

/** `waiting` is claimed ahead of its turn; `running` has a handler under way; `ended` waits to be settled; `lost` and `abandoned` are of no interest any more. */
export type JobRunState = "waiting" | "running" | "ended" | "lost" | "abandoned";

/** The time that an attempt begins. Epoch milliseconds, but `monotonicMs`. */
export interface JobRunTimes {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

export class JobRun {
  readonly job: Job;
  readonly lane: Lane;
  startedAt = 0;
  startedMonotonicMs = 0;
  leaseUntil: number;
  state: JobRunState = "waiting";
  /** Made when a handler asks: most attempts are never aborted, and a controller costs more than the rest of a run. */
  #controller: AbortController | undefined;
  #isAborted = false;

  constructor(job: Job, lane: Lane, leaseUntil: number) {
    this.job = job;
    this.lane = lane;
    this.leaseUntil = leaseUntil;
  }

  /** Its turn has come. Answers what its handler is given. */
  begin(times: JobRunTimes): JobContext {
    this.state = "running";
    this.startedAt = times.nowMs;
    this.startedMonotonicMs = times.monotonicMs;
    const signal = (): AbortSignal => this.#signal();
    return {
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
