// One attempt from its claim until it is settled. Ends at most once: what a handler answers after its lease was lost, its
// time was over or the engine let go of it changes nothing.

import type { Job, Tx } from "../store/store.ts";
import type { JobContext } from "./job-handler.ts";
import type { Lane } from "./lane.ts";

/** `waiting` is claimed ahead of its turn; `running` has a handler under way; `ended` waits to be settled; `lost` and `abandoned` are of no interest any more. */
export type JobRunState = "waiting" | "running" | "ended" | "lost" | "abandoned";

/** The time that an attempt begins. Epoch milliseconds, but `monotonicMs`. */
export interface JobRunTimes {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

/** What the engine does for a handler under way. */
export interface RunServices {
  record(run: JobRun, settle: (tx: Tx) => Promise<void>): Promise<boolean>;
  enterLane(lane: string): (() => void) | undefined;
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
  #listeners: (() => void)[] | undefined;

  constructor(job: Job, lane: Lane, leaseUntil: number) {
    this.job = job;
    this.lane = lane;
    this.leaseUntil = leaseUntil;
  }

  /** Its turn has come. Answers what its handler is given. */
  begin(times: JobRunTimes, services: RunServices): JobContext {
    this.state = "running";
    this.startedAt = times.nowMs;
    this.startedMonotonicMs = times.monotonicMs;
    return new RunContext(this, times.nowMs, services);
  }

  get isAborted(): boolean {
    return this.#isAborted;
  }

  abort(): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#controller?.abort();
    for (const run of this.#listeners ?? []) run();
  }

  onAbort(run: () => void): void {
    if (this.#isAborted) run();
    else (this.#listeners ??= []).push(run);
  }

  signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }
}

/** What a handler sees of its run. */
class RunContext implements JobContext {
  readonly #run: JobRun;
  readonly #services: RunServices;
  readonly now: number;

  constructor(run: JobRun, now: number, services: RunServices) {
    this.#run = run;
    this.now = now;
    this.#services = services;
  }

  get signal(): AbortSignal {
    return this.#run.signal();
  }

  get isAborted(): boolean {
    return this.#run.isAborted;
  }

  onAbort(run: () => void): void {
    this.#run.onAbort(run);
  }

  record(settle: (tx: Tx) => Promise<void>): Promise<boolean> {
    return this.#services.record(this.#run, settle);
  }

  enterLane(lane: string): (() => void) | undefined {
    return this.#services.enterLane(lane);
  }
}
