// Moves batches: collects what has ended, decides when a transaction is worth it, and starts what it claimed. One batch at
// a time; an outcome stays here until a transaction that settled it has committed.

import { messageOf } from "../core/errors.ts";
import { outcomeOfError, planEnd, type AttemptEnd } from "./attempt-end.ts";
import { settleApart, SettleCallbackError, writeBatch, type BatchDone, type BatchWriter } from "./job-batch.ts";
import type { JobOutcome } from "./job-handler.ts";
import type { JobLog } from "./job-log.ts";
import type { JobRun } from "./job-run.ts";
import type { JobRunner } from "./job-runner.ts";
import type { LaneClaim, LaneSchedule } from "./lane-schedule.ts";

/** How long an outcome waits for company while other jobs are under way: a commit costs as much for one as for a hundred. */
const LINGER_MS = 10;
const FIRST_STORE_PAUSE_MS = 100;
const MAX_STORE_PAUSE_MS = 5000;
/** After so many failures in a row that blame nobody, callbacks are tried one by one. */
const FAILURES_BEFORE_APART = 2;
/** Lanes that one transaction claims from: bounds how long it holds the writer. */
const MAX_LANES_PER_BATCH = 128;
/** Tries of the last batches when stopping; what is left is found again when its lease ends. */
const CLOSING_TRIES = 3;

/** Counted since the engine was created. */
export interface PumpCounters {
  claimed: number;
  settled: number;
  failed: number;
  dead: number;
  lost: number;
  storeFailures: number;
}

export interface JobPumpOptions {
  readonly writer: BatchWriter;
  readonly lanes: LaneSchedule;
  readonly runner: JobRunner;
  /** Whether the lane is served here. */
  readonly isServed: (lane: string) => boolean;
  readonly defer: (run: () => void) => void;
  readonly random: () => number;
  readonly log: JobLog;
  readonly counters: PumpCounters;
  /** Jobs under way at once. */
  readonly capacity: number;
  /** Settlements, and claims, in one transaction. */
  readonly maxBatch: number;
  /** After each batch: lanes have moved, the clock timer may have to. */
  readonly onBatch: () => void;
}

/** What decides when the next batch runs. */
export interface PumpLoad {
  /** Outcomes and releases waiting. */
  readonly waiting: number;
  readonly active: number;
  readonly readyLanes: number;
  readonly capacity: number;
  readonly maxBatch: number;
}

/**
 * When to run a batch. At once when it would be half full, or when nothing else is under way to wait for; otherwise what
 * there is lingers for company.
 */
export function planBatch(load: PumpLoad): "now" | "soon" | "idle" {
  const half = Math.max(1, Math.floor(Math.min(load.maxBatch, load.capacity) / 2));
  const free = load.capacity - load.active;
  const canClaim = load.readyLanes > 0 && free > 0;
  if (load.waiting === 0 && !canClaim) return "idle";
  if (load.waiting >= half || load.active === 0 || (canClaim && free >= half)) return "now";
  return "soon";
}

export interface JobPump {
  /** Outcomes that are not settled. */
  readonly unsettled: number;
  /** Something may have changed: runs a batch when one is worth it. Cheap. */
  poke(): void;
  /** An attempt has ended. */
  end(run: JobRun, outcome: JobOutcome): void;
  /** The claim of the job with this `seq` is to be given back. */
  release(seq: number): void;
  /** No claims from now on; settling goes on. */
  stopClaiming(): void;
  /** Settles and releases what there is, with a bounded number of tries, and stops. */
  close(): Promise<void>;
}

class Pump implements JobPump {
  readonly #options: JobPumpOptions;
  #ends: AttemptEnd[] = [];
  /** Outcomes in the batch under way. */
  #settling = 0;
  #releases: number[] = [];
  #inFlight: Promise<void> | undefined;
  #isScheduled = false;
  #isClaiming = true;
  #isClosed = false;
  #cancelLinger: (() => void) | undefined;
  #cancelPause: (() => void) | undefined;
  #failures = 0;

  constructor(options: JobPumpOptions) {
    this.#options = options;
  }

  get unsettled(): number {
    return this.#ends.length + this.#settling;
  }

  end(run: JobRun, outcome: JobOutcome): void {
    const { clock, owner } = this.#options.writer;
    this.#ends.push(planEnd(run, outcome, { owner, nowMs: clock.now(), monotonicMs: clock.monotonic() }));
  }

  release(seq: number): void {
    this.#releases.push(seq);
  }

  stopClaiming(): void {
    this.#isClaiming = false;
  }

  poke(): void {
    if (this.#isScheduled || this.#inFlight || this.#cancelPause || this.#isClosed) return;
    const { runner, lanes, capacity, maxBatch, writer } = this.#options;
    const plan = planBatch({
      waiting: this.#ends.length + this.#releases.length,
      active: runner.active,
      readyLanes: this.#isClaiming ? lanes.readyCount : 0,
      capacity,
      maxBatch,
    });
    if (plan === "idle") return;
    if (plan === "now") {
      this.#schedule();
    } else {
      this.#cancelLinger ??= writer.clock.setTimer(LINGER_MS, () => this.#schedule());
    }
  }

  async close(): Promise<void> {
    this.#isClaiming = false;
    this.#isClosed = true;
    this.#cancelLinger?.();
    this.#cancelPause?.();
    await this.#inFlight;
    let tries = 0;
    while (this.#ends.length + this.#releases.length > 0 && tries < CLOSING_TRIES) {
      if (tries > 0) await this.#pause(FIRST_STORE_PAUSE_MS);
      const failures = this.#failures;
      await this.#runBatch();
      tries = this.#failures > failures ? tries + 1 : 0;
    }
    const left = this.#ends.length + this.#releases.length;
    if (left > 0) this.#options.log("error", "Stopped with leases that could not be settled", { jobs: left });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.writer.clock.setTimer(ms, resolve);
    });
  }

  #schedule(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    this.#isScheduled = true;
    this.#options.defer(() => {
      this.#isScheduled = false;
      if (this.#isClosed || this.#inFlight) return;
      this.#inFlight = this.#runBatch().finally(() => {
        this.#inFlight = undefined;
        this.#options.onBatch();
      });
    });
  }

  async #runBatch(): Promise<void> {
    const { maxBatch, writer } = this.#options;
    const ends = this.#ends.splice(0, maxBatch);
    const releases = this.#releases.splice(0, maxBatch);
    const claims = this.#takeClaims();
    if (ends.length + releases.length + claims.length === 0) return;
    this.#settling = ends.length;
    try {
      const done = await writeBatch(writer, { ends, releases, claims });
      this.#failures = 0;
      this.#finish(ends, done);
    } catch (error) {
      const nowMs = writer.clock.now();
      for (const claim of claims) this.#options.lanes.unclaimed(claim, nowMs);
      this.#releases.unshift(...releases);
      await this.#recover(ends, error);
    } finally {
      this.#settling = 0;
    }
  }

  #takeClaims(): LaneClaim[] {
    const { lanes, runner, capacity, maxBatch, writer } = this.#options;
    if (!this.#isClaiming) return [];
    const nowMs = writer.clock.now();
    lanes.advance(nowMs);
    const maxJobs = Math.min(capacity - runner.active, maxBatch);
    return maxJobs > 0 ? lanes.takeClaims({ maxJobs, maxLanes: MAX_LANES_PER_BATCH }, nowMs) : [];
  }

  #finish(ends: readonly AttemptEnd[], done: BatchDone): void {
    const { runner, lanes, counters, writer, isServed } = this.#options;
    for (const [i, end] of ends.entries()) this.#settled(end, done.settled[i] === true);
    const nowMs = writer.clock.now();
    for (const claimed of done.claimed) {
      const { lane } = claimed.claim;
      lanes.claimed(claimed, nowMs);
      counters.claimed += claimed.count;
      const isWanted = this.#isClaiming && isServed(lane.name);
      for (const job of claimed.jobs) {
        if (isWanted) {
          runner.start(job, lane, claimed.leaseUntil);
        } else {
          // Claimed while the engine was told to stop, or the lane went to another one.
          this.release(job.seq);
          lanes.finished(lane, nowMs);
        }
      }
    }
  }

  #settled(end: AttemptEnd, wasHeld: boolean): void {
    const { runner, counters } = this.#options;
    runner.drop(end.run);
    if (!wasHeld) {
      counters.lost++;
      return;
    }
    counters.settled++;
    if (!end.settlement.attempt.ok) counters.failed++;
    if (end.settlement.next.state === "dead") counters.dead++;
  }

  /** After a batch that did not commit: blames a callback when there is reason to, otherwise waits for the store. */
  async #recover(ends: AttemptEnd[], error: unknown): Promise<void> {
    this.#failures++;
    const mayBlame = error instanceof SettleCallbackError || this.#failures >= FAILURES_BEFORE_APART;
    if (!mayBlame || !ends.some((end) => end.settle)) return this.#waitForStore(ends, error);
    try {
      const apart = await settleApart(this.#options.writer, ends);
      for (const { end, held } of apart.settled) this.#settled(end, held);
      for (const { end, error: reason } of apart.poisoned) this.#poisoned(end, reason);
      if (apart.left.length > 0) this.#waitForStore(apart.left, error);
      else this.#failures = 0;
    } catch (storeError) {
      this.#waitForStore(ends, storeError);
    }
  }

  /** Its effects cannot be recorded: the attempt counts as failed, without them. */
  #poisoned(end: AttemptEnd, error: unknown): void {
    const { log, random } = this.#options;
    const { job } = end.run;
    log("error", "Could not settle a job", { kind: job.kind, job: job.id, reason: messageOf(error) });
    const reason = new Error(`Settling failed: ${messageOf(error)}`);
    this.end(end.run, outcomeOfError(job, reason, random));
  }

  #waitForStore(ends: readonly AttemptEnd[], error: unknown): void {
    const { log, counters, writer } = this.#options;
    counters.storeFailures++;
    this.#ends.unshift(...ends);
    if (this.#failures === 1) log("error", "The job queue cannot write to the store", { reason: messageOf(error) });
    if (this.#isClosed) return;
    const pauseMs = Math.min(FIRST_STORE_PAUSE_MS * 2 ** (this.#failures - 1), MAX_STORE_PAUSE_MS);
    this.#cancelPause = writer.clock.setTimer(pauseMs, () => {
      this.#cancelPause = undefined;
      this.poke();
    });
  }
}

export function createJobPump(options: JobPumpOptions): JobPump {
  return new Pump(options);
}
