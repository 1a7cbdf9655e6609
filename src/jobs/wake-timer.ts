// The one clock timer behind the wheel: armed for the wheel's next expiry, and never for long, because timers run on the
// monotonic clock and due times on the wall clock, which may jump.

import type { Clock } from "../core/clock.ts";

/** The longest that a jump of the wall clock can go unnoticed. */
const MAX_SLEEP_MS = 10_000;

export interface WakeTimer {
  /** Sees to it that the timer fires no later than `atMs` (epoch milliseconds); undefined needs no timer. */
  arm(atMs: number | undefined): void;
  /** For good. */
  stop(): void;
}

export function createWakeTimer(clock: Clock, onWake: () => void): WakeTimer {
  /** On the monotonic clock. */
  let armedFor = Infinity;
  let cancel: (() => void) | undefined;
  let isStopped = false;
  const fire = (): void => {
    armedFor = Infinity;
    onWake();
  };
  return {
    arm(atMs) {
      if (isStopped || atMs === undefined) return;
      const delayMs = Math.min(Math.max(0, atMs - clock.now()), MAX_SLEEP_MS);
      const deadline = clock.monotonic() + delayMs;
      // A wake-up too early costs one look at the wheel: an armed timer is never moved back, nor for less than a tick.
      if (deadline > armedFor - 1) return;
      cancel?.();
      armedFor = deadline;
      cancel = clock.setTimer(delayMs, fire);
    },
    stop() {
      isStopped = true;
      cancel?.();
    },
  };
}
