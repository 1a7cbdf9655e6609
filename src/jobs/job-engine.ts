// The durable queue over the store: puts claiming, running, settling and upkeep together. At least once: a job whose
// outcome has not committed runs again, here or elsewhere, when its lease has ended.
//
// The truth is the store's due index. What is kept here, lanes and their due times, are hints; losing one delays a job
// until the next refresh and loses nothing.

import type { Clock } from "../core/clock.ts";
import type { Store } from "../store/store.ts";
import { createHandlerTable } from "./handler-table.ts";
import type { JobHandler } from "./job-handler.ts";
import type { JobLog } from "./job-log.ts";
import type { PumpCounters } from "./job-pump.ts";
import { openJobSession, type JobEngineLimits, type JobSession } from "./job-session.ts";

const DEFAULT_LIMITS: JobEngineLimits = {
  capacity: 1024,
  aheadPerSlot: 8,
  maxBatch: 256,
  leaseMs: 60_000,
  heartbeatMs: 20_000,
  expireEveryMs: 10_000,
  maxRunMs: 900_000,
  horizonMs: 300_000,
  refreshEveryMs: 30_000,
  refreshPageSize: 1000,
  refreshMaxPages: 100,
  retentionMs: 30 * 86_400_000,
  purgeEveryMs: 3_600_000,
};

export interface JobEngineOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly handlers: readonly JobHandler[];
  /** Names this engine in leases: no other engine on the store, alive or dead, may have it. */
  readonly owner: string;
  /** Runs a function in a macrotask of its own, behind what is queued now (`setImmediate`). */
  readonly defer: (run: () => void) => void;
  readonly log: JobLog;
  /** Dice for jitter. @default Math.random */
  readonly random?: () => number;
  readonly limits?: Partial<JobEngineLimits>;
}

/** Gauges of now, and counters since the engine was created. */
export interface JobEngineStats {
  /** Handlers under way. */
  readonly running: number;
  /** Outcomes that are not settled: those that wait, and those whose transaction is under way. */
  readonly unsettled: number;
  /** Lanes with jobs under way or due within the horizon. */
  readonly lanes: number;
  readonly claimed: number;
  readonly settled: number;
  /** Attempts that ended in a retry or dead. */
  readonly failed: number;
  readonly dead: number;
  /** Leases lost: outcomes that were dropped. */
  readonly lost: number;
  /** Transactions that the store refused. */
  readonly storeFailures: number;
}

export interface JobEngine {
  /** Begins to claim. Does nothing when started already, or while it stops. */
  start(): void;
  /**
   * Claims no more, waits up to `drainMs` for what runs, aborts and releases the rest, settles what has ended. Never
   * rejects; safe to repeat. A stopped engine can be started again.
   */
  stop(options: { readonly drainMs: number }): Promise<void>;
  /** Reads the due index now: for news from other processes, and after time was lost. */
  wake(): void;
  stats(): JobEngineStats;
}

/**
 * Creates an engine; nothing runs before `start`.
 *
 * @throws TypeError when two handlers have one kind.
 */
export function createJobEngine(options: JobEngineOptions): JobEngine {
  const limits: JobEngineLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const handlers = createHandlerTable(options.handlers);
  const counters: PumpCounters = { claimed: 0, settled: 0, failed: 0, dead: 0, lost: 0, storeFailures: 0 };
  let session: JobSession | undefined;
  let stopping: Promise<void> | undefined;
  return {
    start() {
      session ??= openJobSession({ ...options, random: options.random ?? Math.random, limits, handlers, counters });
    },
    stop({ drainMs }) {
      if (!session) return Promise.resolve();
      stopping ??= session.close(drainMs).finally(() => {
        session = undefined;
        stopping = undefined;
      });
      return stopping;
    },
    wake() {
      if (!stopping) session?.wake();
    },
    stats() {
      return {
        ...(session?.gauges() ?? { running: 0, unsettled: 0, lanes: 0 }),
        ...counters,
      };
    },
  };
}
