// Runs claimed jobs and keeps the leases of this engine. Every run that starts is told to `onEnd` or `onUnknown` once, or
// has been lost or abandoned; a handler that throws, hangs or answers nonsense ends like any other.

import type { Clock } from "../core/clock.ts";
import type { Job } from "../store/store.ts";
import { isOutcome, outcomeOfError } from "./attempt-end.ts";
import type { HandlerTable } from "./handler-table.ts";
import type { JobHandler, JobOutcome } from "./job-handler.ts";
import type { JobLog } from "./job-log.ts";
import { JobRun } from "./job-run.ts";
import type { Lane } from "./lane-schedule.ts";

/** A kind without a handler is tried again this much later: a newer version of the application may bring one. */
export const UNKNOWN_KIND_RETRY_MS = 60_000;

export interface JobRunnerOptions {
  readonly clock: Clock;
  readonly handlers: HandlerTable;
  readonly random: () => number;
  readonly log: JobLog;
  /** An attempt has ended; it is to be settled. */
  readonly onEnd: (run: JobRun, outcome: JobOutcome) => void;
  /**
   * Neither the job's kind nor its lane has a handler: the claim is to be given back, so that no attempt is counted, and
   * the lane left alone for {@link UNKNOWN_KIND_RETRY_MS}.
   */
  readonly onUnknown: (run: JobRun) => void;
  /** A run's slot is free again. */
  readonly onFree: (run: JobRun) => void;
  /** A lease was lost under a handler. */
  readonly onLost: (run: JobRun) => void;
}

export interface JobRunner {
  /** Runs whose handler is under way, lost ones included: they use a slot until they end. */
  readonly active: number;
  /** Runs by the job's seq whose lease this engine holds: under way, or ended and not settled. */
  readonly held: ReadonlyMap<number, JobRun>;
  start(job: Job, lane: Lane, leaseUntil: number): void;
  /** The lease is over: settled, released or refused. */
  drop(run: JobRun): void;
  /** The lease was lost: aborts the run, whose outcome will count for nothing. */
  lose(run: JobRun): void;
  /**
   * Aborts the runs that are older than `maxRunMs` and takes their slots back, whatever their handlers do: they end as if
   * they had thrown. Lost runs end as well, for a handler that ignores its signal would keep a slot for ever.
   */
  endOverdue(maxRunMs: number): void;
  /** Aborts what is under way and lets go of it. Answers the seqs of the leases that are to be released. */
  abandon(): number[];
}

class Runner implements JobRunner {
  active = 0;
  readonly held: Map<number, JobRun> = new Map();
  readonly #lost: Set<JobRun> = new Set();
  readonly #unknownKinds: Set<string> = new Set();
  readonly #options: JobRunnerOptions;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  start(job: Job, lane: Lane, leaseUntil: number): void {
    const { clock, handlers } = this.#options;
    const earlier = this.held.get(job.seq);
    // This engine's own lease ran out and it claimed the job again.
    if (earlier) this.lose(earlier);
    const run = new JobRun(job, lane, { nowMs: clock.now(), monotonicMs: clock.monotonic(), leaseUntil });
    this.held.set(job.seq, run);
    this.active++;
    const handler = handlers.ofKind(job.kind);
    if (handler) this.#run(run, handler);
    else this.#startUnknown(run);
  }

  drop(run: JobRun): void {
    if (this.held.get(run.job.seq) === run) this.held.delete(run.job.seq);
  }

  lose(run: JobRun): void {
    this.drop(run);
    // One that has ended stays with the pump: the store will refuse its settlement.
    if (run.state !== "running") return;
    run.state = "lost";
    this.#lost.add(run);
    run.abort();
    this.#options.onLost(run);
  }

  endOverdue(maxRunMs: number): void {
    const { clock, random } = this.#options;
    const startedBefore = clock.monotonic() - maxRunMs;
    for (const run of [...this.held.values(), ...this.#lost]) {
      if (run.state === "ended" || run.startedMonotonicMs > startedBefore) continue;
      run.abort();
      this.#end(run, outcomeOfError(run.job, new Error(`Attempt took longer than ${maxRunMs} ms`), random));
    }
  }

  abandon(): number[] {
    const abandoned = [...this.held.values()].filter((run) => run.state === "running");
    for (const run of [...abandoned, ...this.#lost]) run.state = "abandoned";
    this.active = 0;
    for (const run of abandoned) {
      this.drop(run);
      run.abort();
    }
    return abandoned.map((run) => run.job.seq);
  }

  #run(run: JobRun, handler: JobHandler): void {
    const fail = (error: unknown): void => this.#end(run, outcomeOfError(run.job, error, this.#options.random));
    try {
      handler.run(run.job, run.context).then((answer: unknown) => {
        if (isOutcome(answer)) this.#end(run, answer);
        else fail(new TypeError(`Handler of kind "${run.job.kind}" answered no outcome`));
      }, fail);
    } catch (error) {
      fail(error);
    }
  }

  #startUnknown(run: JobRun): void {
    const { handlers, log, onUnknown } = this.#options;
    const { kind } = run.job;
    if (!this.#unknownKinds.has(kind)) {
      this.#unknownKinds.add(kind);
      log("error", "No handler for a kind of job: its jobs wait", { kind, lane: run.lane.name });
    }
    if (handlers.ofLane(run.lane.name)) {
      // Others of this lane can run: parking the lane would hold them up.
      this.#end(run, { kind: "retry", delayMs: UNKNOWN_KIND_RETRY_MS, note: { error: "No handler for this kind" } });
      return;
    }
    run.state = "ended";
    this.drop(run);
    this.#free(run);
    onUnknown(run);
  }

  #end(run: JobRun, outcome: JobOutcome): void {
    if (run.state === "running") {
      run.state = "ended";
      this.#free(run);
      this.#options.onEnd(run, outcome);
    } else if (run.state === "lost" && this.#lost.delete(run)) {
      this.#free(run);
    }
  }

  #free(run: JobRun): void {
    this.active--;
    this.#options.onFree(run);
  }
}

export function createJobRunner(options: JobRunnerOptions): JobRunner {
  return new Runner(options);
}
