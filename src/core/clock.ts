// Where time enters. Everything that waits or reads time takes a Clock, so that a whole instance can run on virtual time.

/** A source of time. `now` may jump with the system's clock; `monotonic` never goes back. Both in milliseconds. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds since an arbitrary start; for measuring and for timers. */
  monotonic(): number;
  /** Calls `fire` once after `delayMs` (clamped to 0 … 2^31-1). Returns the function that cancels it. */
  setTimer(delayMs: number, fire: () => void): () => void;
}

/** The longest delay that `setTimeout` keeps; above it the platform fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function clampDelay(delayMs: number): number {
  return Number.isFinite(delayMs) ? Math.min(Math.max(0, delayMs), MAX_TIMER_MS) : MAX_TIMER_MS;
}

/** The platform's own time. Timers do not keep the process alive by themselves when the platform can say so. */
export function createSystemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimer(delayMs, fire) {
      const timer = setTimeout(fire, clampDelay(delayMs));
      return () => clearTimeout(timer);
    },
  };
}

/** Time that moves only when told to. */
export interface VirtualClock extends Clock {
  /** Moves time on by `ms`, firing timers in order of their due time; waits for what each one starts. */
  advance(ms: number): Promise<void>;
  /** Moves only the wall clock, as a clock correction does; timers keep their distance. */
  jump(ms: number): void;
  /** How many timers are waiting. */
  readonly pending: number;
}

interface VirtualTimer {
  readonly dueAt: number;
  readonly order: number;
  readonly fire: () => void;
}

/**
 * Creates a clock that starts at `startMs` (epoch milliseconds).
 *
 * `settle` waits for asynchronous work that a timer started; the default lets pending promises and one macrotask run.
 */
export function createVirtualClock(
  startMs: number = Date.UTC(2026, 0, 1),
  settle: () => Promise<void> = () => new Promise((resolve) => setTimeout(resolve, 0)),
): VirtualClock {
  let elapsed = 0;
  let offset = startMs;
  let order = 0;
  const timers = new Set<VirtualTimer>();
  const earliest = (limit: number): VirtualTimer | undefined => {
    let first: VirtualTimer | undefined;
    for (const timer of timers) {
      if (timer.dueAt > limit) continue;
      if (!first || timer.dueAt < first.dueAt || (timer.dueAt === first.dueAt && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  };
  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    get pending() {
      return timers.size;
    },
    setTimer(delayMs, fire) {
      const timer = { dueAt: elapsed + clampDelay(delayMs), order: order++, fire };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    jump(ms) {
      offset += ms;
    },
    async advance(ms) {
      const target = elapsed + ms;
      await settle();
      for (let timer = earliest(target); timer; timer = earliest(target)) {
        timers.delete(timer);
        elapsed = Math.max(elapsed, timer.dueAt);
        timer.fire();
        await settle();
      }
      elapsed = target;
      await settle();
    },
  };
}
