// Moves batches: collects what has ended, decides when a transaction is worth it, and starts what it claimed. One batch at
// a time; an outcome stays here until a transaction that settled it has committed.

import { messageOf } from "../core/errors.ts";
import { outcomeOfError, planEnd, type AttemptEnd } from "./attempt-end.ts";
import {
  type BatchDone,
  type BatchWriter,
  type JobProgress,
  recordApart,
  settleApart,
  SettleCallbackError,
  writeBatch,
} from "./job-batch.ts";
import type { JobOutcome } from "./job-handler.ts";
import type { JobLog } from "./job-log.ts";
import type { JobRun } from "./job-run.ts";
import type { JobRunner } from "./job-runner.ts";
import type { LaneClaim, LaneSchedule } from "./lane-schedule.ts";
import { PART_BATCHES, planBatch } from "./plan-batch.ts";

/** How long an outcome waits for company while other jobs are under way: a commit costs as much for one as for a hundred. */
const LINGER_MS = 10;
/** How long a part of an outcome does: nobody waits for it but the job itself. */
const PART_LINGER_MS = 50;
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

export interface JobPump {
  /** Outcomes, and parts of them, that are not settled. */
  readonly unsettled: number;
  /** Something may have changed: runs a batch when one is worth it. Cheap. */
  poke(): void;
  /** An attempt has ended. */
  end(run: JobRun, outcome: JobOutcome): void;
  /** A part of an attempt is to be recorded: resolves once it is; false when its lease is over. */
  record(run: JobRun, settle: JobProgress["settle"]): Promise<boolean>;
  /** The claim of the job with this `seq` is to be given back. */
  release(seq: number): void;
  /** No claims from now on; settling goes on. */
  stopClaiming(): void;
  /** Settles and releases what there is, with a bounded number of tries, and stops. */
  close(): Promise<void>;
}

/** What has happened and is to be settled. */
interface Happened {
  readonly ends: readonly AttemptEnd[];
  readonly progress: readonly JobProgress[];
}

class Pump implements JobPump {
  readonly #options: JobPumpOptions;
  #ends: AttemptEnd[] = [];
  #progress: JobProgress[] = [];
  /** The runs of what is in there. */
  #recording: Set<JobRun> = new Set();
  /** What the batch under way settles. */
  #settling = 0;
  #releases: number[] = [];
  #inFlight: Promise<void> | undefined;
  #isScheduled = false;
  #isClaiming = true;
  #isClosed = false;
  #cancelLinger: (() => void) | undefined;
  #lingerUntilMs = 0;
  #cancelPause: (() => void) | undefined;
  #failures = 0;

  constructor(options: JobPumpOptions) {
    this.#options = options;
  }

  get unsettled(): number {
    return this.#ends.length + this.#progress.length + this.#settling;
  }

  get #waiting(): number {
    return this.#ends.length + this.#progress.length + this.#releases.length;
  }

  end(run: JobRun, outcome: JobOutcome): void {
    const { clock, owner } = this.#options.writer;
    this.#ends.push(planEnd(run, outcome, { owner, nowMs: clock.now(), monotonicMs: clock.monotonic() }));
  }

  record(run: JobRun, settle: JobProgress["settle"]): Promise<boolean> {
    if (this.#isClosed || run.state !== "running") return Promise.resolve(false);
    return new Promise((recorded, refused) => {
      this.#progress.push({ run, settle, recorded, refused });
      this.#recording.add(run);
      this.poke();
    });
  }

  release(seq: number): void {
    this.#releases.push(seq);
  }

  stopClaiming(): void {
    this.#isClaiming = false;
  }

  poke(): void {
    if (this.#isScheduled || this.#inFlight || this.#cancelPause || this.#isClosed) return;
    const { runner, lanes, capacity, maxBatch } = this.#options;
    const plan = planBatch({
      waiting: this.#ends.length + this.#releases.length,
      parts: this.#progress.length,
      active: runner.active,
      underWay: Math.max(0, runner.active - this.#recording.size) + runner.occupied,
      readyLanes: this.#isClaiming ? lanes.readyCount : 0,
      capacity,
      maxBatch,
    });
    if (plan === "idle") return;
    if (plan === "now") this.#schedule();
    else this.#linger(plan === "soon" ? LINGER_MS : PART_LINGER_MS);
  }

  async close(): Promise<void> {
    this.#isClaiming = false;
    this.#isClosed = true;
    this.#cancelLinger?.();
    this.#cancelPause?.();
    await this.#inFlight;
    let tries = 0;
    while (this.#waiting > 0 && tries < CLOSING_TRIES) {
      if (tries > 0) await this.#pause(FIRST_STORE_PAUSE_MS);
      const failures = this.#failures;
      await this.#runBatch();
      tries = this.#failures > failures ? tries + 1 : 0;
    }
    const left = this.#ends.length + this.#releases.length;
    if (left > 0) this.#options.log("error", "Stopped with leases that could not be settled", { jobs: left });
    for (const { recorded } of this.#progress.splice(0)) recorded(false);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.writer.clock.setTimer(ms, resolve);
    });
  }

  #linger(ms: number): void {
    const { clock } = this.#options.writer;
    const untilMs = clock.monotonic() + ms;
    if (this.#cancelLinger && this.#lingerUntilMs <= untilMs) return;
    this.#cancelLinger?.();
    this.#lingerUntilMs = untilMs;
    this.#cancelLinger = clock.setTimer(ms, () => this.#schedule());
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
    const progress = this.#progress.splice(0, maxBatch * PART_BATCHES);
    this.#recording = new Set(this.#progress.map(({ run }) => run));
    const ends = this.#takeEnds(maxBatch);
    const releases = this.#releases.splice(0, maxBatch);
    const claims = this.#takeClaims();
    if (ends.length + progress.length + releases.length + claims.length === 0) return;
    this.#settling = ends.length + progress.length;
    try {
      const done = await writeBatch(writer, { progress, ends, releases, claims });
      this.#failures = 0;
      for (const [i, part] of progress.entries()) part.recorded(done.recorded[i] === true);
      this.#finish(ends, done);
    } catch (error) {
      const nowMs = writer.clock.now();
      for (const claim of claims) this.#options.lanes.unclaimed(claim, nowMs);
      this.#releases.unshift(...releases);
      await this.#recover({ ends, progress }, error);
    } finally {
      this.#settling = 0;
    }
  }

  /** But for those of which a part waits: a job that has ended is not held any more. */
  #takeEnds(count: number): AttemptEnd[] {
    if (this.#recording.size === 0) return this.#ends.splice(0, count);
    const ends = this.#ends.filter(({ run }) => !this.#recording.has(run)).slice(0, count);
    const taken = new Set(ends);
    this.#ends = this.#ends.filter((end) => !taken.has(end));
    return ends;
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
  async #recover({ ends, progress }: Happened, error: unknown): Promise<void> {
    this.#failures++;
    const mayBlame = error instanceof SettleCallbackError || this.#failures >= FAILURES_BEFORE_APART;
    const hasCallbacks = progress.length > 0 || ends.some((end) => end.settle);
    if (!mayBlame || !hasCallbacks) return this.#waitForStore({ ends, progress }, error);
    try {
      const apart = await settleApart(this.#options.writer, ends);
      for (const { end, held } of apart.settled) this.#settled(end, held);
      for (const { end, error: reason } of apart.poisoned) this.#poisoned(end, reason);
      const left = await recordApart(this.#options.writer, progress);
      if (apart.left.length + left.length > 0) this.#waitForStore({ ends: apart.left, progress: left }, error);
      else this.#failures = 0;
    } catch (storeError) {
      this.#waitForStore({ ends, progress }, storeError);
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

  #waitForStore({ ends, progress }: Happened, error: unknown): void {
    const { log, counters, writer } = this.#options;
    counters.storeFailures++;
    this.#ends.unshift(...ends);
    this.#progress.unshift(...progress);
    for (const { run } of progress) this.#recording.add(run);
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
