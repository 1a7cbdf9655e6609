// Work that nobody asks for: removing what has expired, in bounded batches, while the instance runs.

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { Log } from "../core/log.ts";

/** Removes at most `limit` expired rows; answers how many it removed. */
export type Sweep = (limit: number) => Promise<number>;

const EVERY_MS = 600_000;
const BATCH = 500;
/** Batches of one sweep in one round, so that a backlog does not keep the writer busy. */
const MAX_BATCHES = 20;

export interface Upkeep {
  /** Begins to sweep, ten minutes from now. Does nothing when started already. */
  start(): void;
  /** Resolves when the batch under way has ended; no other follows. Never rejects; safe to repeat. */
  stop(): Promise<void>;
}

type Stop = () => Promise<void>;

function runRounds(sweeps: readonly Sweep[], clock: Clock, log: Log): Stop {
  const stopping = new AbortController();
  let cancel: () => void = () => undefined;
  let round: Promise<void> = Promise.resolve();
  const sweepFully = async (sweep: Sweep): Promise<void> => {
    for (let batch = 0; batch < MAX_BATCHES && !stopping.signal.aborted; batch++) {
      if ((await sweep(BATCH)) < BATCH) return;
    }
  };
  const sweepAll = async (): Promise<void> => {
    for (const sweep of sweeps) {
      try {
        await sweepFully(sweep);
      } catch (error) {
        log.warn("upkeep.failed", { message: messageOf(error) });
      }
    }
    if (!stopping.signal.aborted) arm();
  };
  const arm = (): void => {
    cancel = clock.setTimer(EVERY_MS, () => {
      round = sweepAll();
    });
  };
  arm();
  return () => {
    stopping.abort();
    cancel();
    return round;
  };
}

export function createUpkeep(sweeps: readonly Sweep[], clock: Clock, log: Log): Upkeep {
  let stop: Stop | undefined;
  let stopped: Promise<void> = Promise.resolve();
  return {
    start() {
      stop ??= runRounds(sweeps, clock, log);
    },
    stop() {
      stopped = stop?.() ?? stopped;
      stop = undefined;
      return stopped;
    },
  };
}
