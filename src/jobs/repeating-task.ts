// A task that runs again and again on the engine's clock. Never two runs at once, and a run that throws does not end it.

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { JobLog } from "./job-log.ts";

export interface RepeatingTaskOptions {
  readonly clock: Clock;
  readonly log: JobLog;
  /** For the log. */
  readonly name: string;
  readonly firstDelayMs: number;
  /** Answers after how many milliseconds it wants to run again. */
  readonly run: () => Promise<number>;
  /** The delay after a run that threw. */
  readonly retryDelayMs: number;
}

export interface RepeatingTask {
  /** Runs as soon as possible: now, or right behind the run under way. */
  wake(): void;
  stop(): void;
}

export function startRepeatingTask(options: RepeatingTaskOptions): RepeatingTask {
  const { clock, log, name, retryDelayMs } = options;
  let cancel: (() => void) | undefined;
  let isRunning = false;
  let isWoken = false;
  let isStopped = false;
  let hasFailed = false;

  const runOnce = async (): Promise<number> => {
    try {
      const delayMs = await options.run();
      hasFailed = false;
      return delayMs;
    } catch (error) {
      // A store that is away would fill the log: one line per outage.
      if (!hasFailed && !isStopped)
        log("error", "A task of the job queue failed", { task: name, reason: messageOf(error) });
      hasFailed = true;
      return retryDelayMs;
    }
  };
  const arm = (delayMs: number): void => {
    cancel = clock.setTimer(delayMs, () => void cycle());
  };
  const cycle = async (): Promise<void> => {
    isRunning = true;
    const delayMs = await runOnce();
    isRunning = false;
    if (isStopped) return;
    arm(isWoken ? 0 : delayMs);
    isWoken = false;
  };

  arm(options.firstDelayMs);
  return {
    wake() {
      if (isStopped) return;
      if (isRunning) {
        isWoken = true;
        return;
      }
      cancel?.();
      arm(0);
    },
    stop() {
      isStopped = true;
      cancel?.();
    },
  };
}
