// Runs claimed jobs and keeps the leases of this engine. Every run that starts is told to `onEnd` or `onUnknown` once, or
// has been lost or abandoned; a handler that throws, hangs or answers nonsense ends like any other.

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { Job } from "../store/store.ts";
import { isOutcome, outcomeOfError } from "./attempt-end.ts";
import type { HandlerTable } from "./handler-table.ts";
import type { JobContext, JobHandler, JobOutcome } from "./job-handler.ts";
import type { JobLog } from "./job-log.ts";
import { JobRun, type RunServices } from "./job-run.ts";
import type { Lane } from "./lane.ts";

/** A kind without a handler is tried again this much later: a newer version of the application may bring one. */
export const UNKNOWN_KIND_RETRY_MS = 60_000;

const MAX_REASON_CHARS = 500;

export interface JobRunnerOptions {
  readonly clock: Clock;
  readonly handlers: HandlerTable;
  readonly random: () => number;
  readonly log: JobLog;
  readonly services: RunServices;
  /** An attempt has ended; it is to be settled. */
  readonly onEnd: (run: JobRun, outcome: JobOutcome) => void;
  /**
   * Neither the job's kind nor its lane has a handler: the claim is to be given back, so that no attempt is counted, and
   * the lane left alone for {@link UNKNOWN_KIND_RETRY_MS}.
   */
  readonly onUnknown: (run: JobRun) => void;
  /** A run's slot is free again, after its handler was under way for `ranMs`; null when it never began. */
  readonly onFree: (run: JobRun, ranMs: number | null) => void;
  /** A lease was lost under a handler. */
  readonly onLost: (run: JobRun) => void;
}

export interface JobRunner {
  /** Runs that have not ended: those whose handler is under way, lost ones included, and those that wait for a slot. */
  readonly active: number;
  /** Handlers under way. */
  readonly running: number;
  /** Slots taken for something that is no job of their lane. */
  readonly occupied: number;
  /** Runs by the job's seq whose lease this engine holds: under way, or ended and not settled. */
  readonly held: ReadonlyMap<number, JobRun>;
  /** Runs the job now, or when its lane has a slot free. */
  start(job: Job, lane: Lane, leaseUntil: number): void;
  /** Takes a slot of a lane for something that is no job of it. */
  occupy(lane: Lane): void;
  /** Gives it back. */
  vacate(lane: Lane): void;
  /** Lets go of the runs of such lanes that wait for a slot. Answers those whose leases are to be given back. */
  abandonWaiting(isLeft: (lane: Lane) => boolean): readonly JobRun[];
  /** The lease is over: settled, released or refused. */
  drop(run: JobRun): void;
  /** The lease was lost: aborts the run, whose outcome will count for nothing. */
  lose(run: JobRun): void;
  /**
   * Aborts the runs that are older than `maxRunMs` and takes their slots back, whatever their handlers do: they end as if
   * they had thrown. Lost runs end as well, for a handler that ignores its signal would keep a slot for ever.
   */
  endOverdue(maxRunMs: number): void;
  /** Aborts what is under way and lets go of it. Answers the runs whose leases are to be given back. */
  abandon(): readonly JobRun[];
}

/** The slots of a lane that has claimed jobs. */
interface LaneSlots {
  taken: number;
  /** Claimed ahead, in the order of their claim. */
  readonly waiting: JobRun[];
}

class Runner implements JobRunner {
  active = 0;
  running = 0;
  occupied = 0;
  readonly held: Map<number, JobRun> = new Map();
  readonly #lost: Set<JobRun> = new Set();
  readonly #unknownKinds: Set<string> = new Set();
  readonly #slots: Map<Lane, LaneSlots> = new Map();
  readonly #options: JobRunnerOptions;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  start(job: Job, lane: Lane, leaseUntil: number): void {
    const earlier = this.held.get(job.seq);
    // This engine's own lease ran out and it claimed the job again.
    if (earlier) this.lose(earlier);
    const run = new JobRun(job, lane, leaseUntil);
    this.held.set(job.seq, run);
    this.active++;
    const slots = this.#slotsOf(lane);
    slots.waiting.push(run);
    this.#fill(lane, slots);
  }

  drop(run: JobRun): void {
    if (this.held.get(run.job.seq) === run) this.held.delete(run.job.seq);
  }

  lose(run: JobRun): void {
    this.drop(run);
    if (run.state === "waiting") {
      this.#forgetWaiting(run);
      this.#options.onLost(run);
      return;
    }
    // One that has ended stays with the pump: the store will refuse its settlement.
    if (run.state !== "running") return;
    run.state = "lost";
    this.#lost.add(run);
    run.abort();
    this.#options.onLost(run);
  }

  endOverdue(maxRunMs: number): void {
    const { clock, random, handlers } = this.#options;
    const startedBefore = clock.monotonic() - maxRunMs;
    for (const run of [...this.held.values(), ...this.#lost]) {
      if (run.state === "ended" || run.state === "waiting" || run.startedMonotonicMs > startedBefore) continue;
      run.abort();
      const error = new Error(`Attempt took longer than ${maxRunMs} ms`);
      const isEndless = handlers.goesOn(run.job.kind);
      this.#end(run, outcomeOfError(isEndless ? { ...run.job, attempt: 1 } : run.job, error, random));
    }
  }

  occupy(lane: Lane): void {
    this.#slotsOf(lane).taken++;
    this.occupied++;
  }

  vacate(lane: Lane): void {
    this.occupied--;
    this.#giveBack(lane);
  }

  #giveBack(lane: Lane): void {
    const slots = this.#slotsOf(lane);
    slots.taken--;
    this.#fill(lane, slots);
    if (slots.taken === 0 && slots.waiting.length === 0) this.#slots.delete(lane);
  }

  abandonWaiting(isLeft: (lane: Lane) => boolean): readonly JobRun[] {
    const waiting = [...this.held.values()].filter((run) => run.state === "waiting" && isLeft(run.lane));
    for (const run of waiting) {
      this.drop(run);
      this.#forgetWaiting(run);
    }
    return waiting;
  }

  abandon(): readonly JobRun[] {
    const waiting = this.abandonWaiting(() => true);
    const abandoned = [...this.held.values()].filter((run) => run.state === "running");
    for (const run of [...abandoned, ...this.#lost]) run.state = "abandoned";
    this.active = 0;
    this.running = 0;
    for (const run of abandoned) {
      this.drop(run);
      run.abort();
    }
    return [...waiting, ...abandoned];
  }

  #slotsOf(lane: Lane): LaneSlots {
    let slots = this.#slots.get(lane);
    if (!slots) {
      slots = { taken: 0, waiting: [] };
      this.#slots.set(lane, slots);
    }
    return slots;
  }

  /** Begins what waits while there are slots; their number may have changed since the claim. */
  #fill(lane: Lane, slots: LaneSlots): void {
    const limit = this.#options.handlers.laneLimit(lane.name);
    while (slots.taken < limit) {
      const run = slots.waiting.shift();
      if (!run) return;
      slots.taken++;
      this.running++;
      this.#begin(run);
    }
  }

  #begin(run: JobRun): void {
    const { clock, handlers, services } = this.#options;
    const context = run.begin({ nowMs: clock.now(), monotonicMs: clock.monotonic() }, services);
    const handler = handlers.ofKind(run.job.kind);
    if (handler) this.#run(run, handler, context);
    else this.#startUnknown(run);
  }

  /** A run that never began gives its place back. */
  #forgetWaiting(run: JobRun): void {
    run.state = "abandoned";
    const { waiting } = this.#slotsOf(run.lane);
    const index = waiting.indexOf(run);
    if (index >= 0) waiting.splice(index, 1);
    this.active--;
    this.#options.onFree(run, null);
  }

  #run(run: JobRun, handler: JobHandler, context: JobContext): void {
    const fail = (error: unknown): void => this.#fail(run, error);
    try {
      handler.run(run.job, context).then((answer: unknown) => {
        if (isOutcome(answer)) this.#end(run, answer);
        else fail(new TypeError(`Handler of kind "${run.job.kind}" answered no outcome`));
      }, fail);
    } catch (error) {
      fail(error);
    }
  }

  /** A handler that can answer says how it went; one that throws has met something that nobody expected. */
  #fail(run: JobRun, error: unknown): void {
    const { log, random } = this.#options;
    const { kind, id, attempt } = run.job;
    const reason = messageOf(error).slice(0, MAX_REASON_CHARS);
    if (run.state === "running") log("warn", "A job failed", { kind, job: id, attempt, reason });
    this.#end(run, outcomeOfError(run.job, error, random));
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
    this.running--;
    this.#giveBack(run.lane);
    this.#options.onFree(run, this.#options.clock.monotonic() - run.startedMonotonicMs);
  }
}

export function createJobRunner(options: JobRunnerOptions): JobRunner {
  return new Runner(options);
}
