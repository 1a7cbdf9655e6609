// One run of the engine from its start to its stop: lanes, runner and pump wired together, with the tasks and the timer that
// drive them. After `close` nothing of it acts any more.

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { EngineGroup, LaneDue, Store } from "../store/store.ts";
import type { HandlerTable } from "./handler-table.ts";
import type { JobLog } from "./job-log.ts";
import type { JobRun } from "./job-run.ts";
import { createJobPump, type JobPump, type PumpCounters } from "./job-pump.ts";
import { purgeFinishedJobs } from "./job-retention.ts";
import { createJobRunner, UNKNOWN_KIND_RETRY_MS, type JobRunner } from "./job-runner.ts";
import { createLaneRefresh } from "./lane-refresh.ts";
import { createLaneSchedule, type LaneSchedule } from "./lane-schedule.ts";
import { freeLeftOverLeases, keepLeases } from "./lease-keeper.ts";
import { startRepeatingTask, type RepeatingTask } from "./repeating-task.ts";
import { createWakeTimer, type WakeTimer } from "./wake-timer.ts";

/** Bounds and intervals; times in milliseconds. */
export interface JobEngineLimits {
  /** Jobs held at once: under way, or claimed ahead. @default 1024 */
  readonly capacity: number;
  /** Jobs claimed ahead for each slot of a lane with a backlog. @default 8 */
  readonly aheadPerSlot: number;
  /** Claims, and settlements, in one transaction. @default 256 */
  readonly maxBatch: number;
  /** @default 60 s */
  readonly leaseMs: number;
  /** Leases are moved when they are this old. @default 20 s */
  readonly heartbeatMs: number;
  /** How often leases are looked after, own and expired. @default 10 s */
  readonly expireEveryMs: number;
  /** An attempt that takes longer is aborted and counts as failed. @default 15 min */
  readonly maxRunMs: number;
  /** What is due later is left to the refresh. @default 5 min */
  readonly horizonMs: number;
  /** How often the due index is read for lanes that are not known. @default 30 s */
  readonly refreshEveryMs: number;
  /** Lanes per read. @default 1000 */
  readonly refreshPageSize: number;
  /** Reads per refresh. @default 100 */
  readonly refreshMaxPages: number;
  /** How long finished jobs are kept. @default 30 days */
  readonly retentionMs: number;
  /** @default 1 h */
  readonly purgeEveryMs: number;
}

export interface JobSessionOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly handlers: HandlerTable;
  readonly owner: string;
  readonly defer: (run: () => void) => void;
  readonly log: JobLog;
  readonly random: () => number;
  readonly limits: JobEngineLimits;
  readonly counters: PumpCounters;
}

export interface JobSession {
  gauges(): { readonly running: number; readonly unsettled: number; readonly lanes: number };
  /** Reads the due index now. */
  wake(): void;
  close(drainMs: number): Promise<void>;
}

/** The first purge comes soon: a process that never lives for an hour has to purge as well. */
const FIRST_PURGE_MS = 60_000;
/** After a task that the store refused, or a refresh that did not reach the end. */
const TASK_RETRY_MS = 2000;

/** Calls back when a slot becomes free; who waits for the last one to end sets it. */
interface FreeSlotBell {
  ring: () => void;
}

class Session implements JobSession {
  readonly #options: JobSessionOptions;
  readonly #lanes: LaneSchedule;
  readonly #runner: JobRunner;
  readonly #pump: JobPump;
  readonly #timer: WakeTimer;
  readonly #refresh: RepeatingTask;
  readonly #upkeep: readonly RepeatingTask[];
  readonly #unsubscribe: () => void;
  readonly #bell: FreeSlotBell = { ring: () => undefined };
  #isClosing = false;
  /** Undefined when this engine serves every lane. */
  readonly #group: EngineGroup | undefined;

  constructor(options: JobSessionOptions) {
    this.#options = options;
    const { clock, handlers, limits } = options;
    this.#lanes = createLaneSchedule({
      startMs: clock.now(),
      horizonMs: limits.horizonMs,
      limitOf: (lane) => handlers.laneLimit(lane),
      aheadPerSlot: limits.aheadPerSlot,
      aheadBelow: limits.capacity / 2,
      capacity: limits.capacity,
      intervalOf: (lane) => handlers.laneIntervalMs(lane),
      isServed: this.#isServed,
    });
    this.#timer = createWakeTimer(clock, () => this.#advance());
    this.#runner = this.#createRunner();
    this.#pump = this.#createPump();
    // First in the writers' queue, in front of every claim. If it fails, the leases end by themselves.
    freeLeftOverLeases(options.store).catch((error: unknown) =>
      options.log("error", "Cannot free the leases of a process that is gone", { reason: messageOf(error) }),
    );
    this.#unsubscribe = options.store.onDue((due) => this.#learn(due));
    this.#refresh = this.#startRefresh();
    this.#upkeep = this.#startUpkeep();
    this.#group = handlers.hasLanesAlone ? options.store.joinEngines?.(() => this.#regroup()) : undefined;
  }

  gauges(): { readonly running: number; readonly unsettled: number; readonly lanes: number } {
    return { running: this.#runner.running, unsettled: this.#pump.unsettled, lanes: this.#lanes.size };
  }

  wake(): void {
    this.#advance();
    this.#refresh.wake();
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosing = true;
    this.#unsubscribe();
    this.#timer.stop();
    this.#refresh.stop();
    this.#pump.stopClaiming();
    // Others may begin while what is under way here ends.
    for (const run of this.#runner.abandonWaiting(() => true)) this.#pump.release(run.job.seq);
    this.#pump.poke();
    const left = this.#group?.leave();
    await this.#drained(drainMs);
    for (const run of this.#runner.abandon()) this.#giveBack(run);
    await this.#pump.close();
    for (const task of this.#upkeep) task.stop();
    await left;
  }

  #drained(drainMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#runner.active === 0) return resolve();
      const cancel = this.#options.clock.setTimer(drainMs, resolve);
      this.#bell.ring = () => {
        if (this.#runner.active > 0) return;
        cancel();
        resolve();
      };
    });
  }

  readonly #isServed = (lane: string): boolean =>
    this.#group === undefined || !this.#options.handlers.isLaneAlone(lane) || this.#group.owns(lane);

  /** As if it had not been claimed; one that goes on has to know of this run. */
  #giveBack(run: JobRun): void {
    if (run.startedAt > 0 && this.#options.handlers.goesOn(run.job.kind))
      this.#pump.end(run, { kind: "retry", delayMs: 0, note: { error: "The process stopped" } });
    else this.#pump.release(run.job.seq);
  }

  #enterLane(name: string): (() => void) | undefined {
    const { clock } = this.#options;
    const lane = this.#isClosing ? undefined : this.#lanes.enter(name, clock.now());
    if (!lane) return undefined;
    this.#runner.occupy(lane);
    const enteredMs = clock.monotonic();
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#runner.vacate(lane);
      this.#lanes.finished(lane, clock.now(), clock.monotonic() - enteredMs);
      this.#tend();
    };
  }

  /** Lanes have gone to other engines, or come from them. */
  #regroup(): void {
    const left = this.#runner.abandonWaiting((lane) => !this.#isServed(lane.name));
    for (const run of left) this.#pump.release(run.job.seq);
    this.wake();
  }

  #learn(due: readonly LaneDue[]): void {
    const nowMs = this.#options.clock.now();
    for (const { lane, dueAt } of due) this.#lanes.learn(lane, dueAt, nowMs);
    this.#tend();
  }

  #advance(): void {
    this.#lanes.advance(this.#options.clock.now());
    this.#tend();
  }

  /** After anything that may have moved a lane or freed a slot. */
  #tend(): void {
    this.#timer.arm(this.#lanes.nextExpiry());
    this.#pump.poke();
  }

  #createRunner(): JobRunner {
    const { clock, handlers, random, log, counters } = this.#options;
    return createJobRunner({
      clock,
      handlers,
      random,
      log,
      services: {
        record: (run, settle) => this.#pump.record(run, settle),
        enterLane: (lane) => this.#enterLane(lane),
      },
      onEnd: (run, outcome) => {
        this.#pump.end(run, outcome);
        this.#pump.poke();
      },
      onUnknown: (run) => {
        const nowMs = clock.now();
        this.#pump.release(run.job.seq);
        this.#lanes.park(run.lane, nowMs + UNKNOWN_KIND_RETRY_MS, nowMs);
        this.#tend();
      },
      onFree: (run, ranMs) => {
        this.#lanes.finished(run.lane, clock.now(), handlers.goesOn(run.job.kind) ? null : ranMs);
        this.#bell.ring();
      },
      onLost: () => {
        counters.lost++;
      },
    });
  }

  #createPump(): JobPump {
    const { store, clock, owner, defer, random, log, counters, limits } = this.#options;
    return createJobPump({
      writer: { store, clock, owner, leaseMs: limits.leaseMs },
      lanes: this.#lanes,
      runner: this.#runner,
      isServed: this.#isServed,
      defer,
      random,
      log,
      counters,
      capacity: limits.capacity,
      maxBatch: limits.maxBatch,
      onBatch: () => this.#tend(),
    });
  }

  #startTask(name: string, firstDelayMs: number, run: () => Promise<number>): RepeatingTask {
    const { clock, log } = this.#options;
    return startRepeatingTask({ clock, log, name, firstDelayMs, run, retryDelayMs: TASK_RETRY_MS });
  }

  #startRefresh(): RepeatingTask {
    const { store, clock, limits } = this.#options;
    const refresh = createLaneRefresh({
      reader: store.reader,
      clock,
      horizonMs: limits.horizonMs,
      pageSize: limits.refreshPageSize,
      maxPages: limits.refreshMaxPages,
      onLanes: (due) => this.#learn(due),
    });
    return this.#startTask("refresh", 0, async () => ((await refresh()) ? limits.refreshEveryMs : TASK_RETRY_MS));
  }

  #startUpkeep(): readonly RepeatingTask[] {
    const { store, clock, owner, limits } = this.#options;
    const leases = { ...limits, store, clock, owner, runner: this.#runner };
    const retention = { store, clock, retentionMs: limits.retentionMs, everyMs: limits.purgeEveryMs };
    return [
      this.#startTask("leases", 0, () => keepLeases(leases)),
      this.#startTask("retention", FIRST_PURGE_MS, () => purgeFinishedJobs(retention)),
    ];
  }
}

/** Starts at once. */
export function openJobSession(options: JobSessionOptions): JobSession {
  return new Session(options);
}
