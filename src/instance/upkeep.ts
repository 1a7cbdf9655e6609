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
  start(): void;
  stop(): void;
}

async function sweepOnce(sweep: Sweep): Promise<void> {
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    if ((await sweep(BATCH)) < BATCH) return;
  }
}

export function createUpkeep(sweeps: readonly Sweep[], clock: Clock, log: Log): Upkeep {
  let cancel: (() => void) | undefined;
  const round = async (): Promise<void> => {
    for (const sweep of sweeps) {
      try {
        await sweepOnce(sweep);
      } catch (error) {
        log.warn("upkeep.failed", { message: messageOf(error) });
      }
    }
    if (cancel) arm();
  };
  const arm = (): void => {
    cancel = clock.setTimer(EVERY_MS, () => void round());
  };
  return {
    start() {
      if (!cancel) arm();
    },
    stop() {
      cancel?.();
      cancel = undefined;
    },
  };
}
