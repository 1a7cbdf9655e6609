// Gives committed entries their place in the tree where many write at the same time: never two runs at once in this process,
// and between processes the head's row is the fence, because each run locks it before it looks for entries.

import { messageOf } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { AuditLog } from "./audit-log.ts";

export interface Sequencer {
  /** Entries were committed. Returns at once; what commits during a run is taken by the same run. */
  wake(): void;
  /** Takes what a process that is gone has left. */
  sweep(limit: number): Promise<number>;
  /** Finishes what there is. */
  close(): Promise<void>;
}

export function createSequencer(log: Pick<AuditLog, "sequence" | "catchUp">, logger: Log): Sequencer {
  let running: Promise<void> | undefined;
  let isWoken = false;
  const run = async (): Promise<void> => {
    try {
      while (isWoken) {
        isWoken = false;
        await log.catchUp();
      }
    } catch (error) {
      // The entries are committed and signed; the next write or the upkeep comes back to them.
      logger.warn("audit.sequencer_failed", { message: messageOf(error) });
    }
    // In the same turn as the last look at `isWoken`, so that nobody wakes a run that is over.
    running = undefined;
  };
  const wake = (): Promise<void> => {
    isWoken = true;
    return (running ??= run());
  };
  return {
    wake: () => void wake(),
    sweep: () => log.sequence(),
    close: wake,
  };
}
