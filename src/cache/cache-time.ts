// Time for code that asks for it at every call: reading a clock costs as much as looking an entry up. A reading is held for
// a moment and some uses, and only where being a little late cannot be noticed: an entry that has seconds to live is answered
// without asking what time it is, one that is about to end never is.

import type { Clock } from "../core/clock.ts";

export type TimeSource = Pick<Clock, "monotonic" | "setTimer">;

/** How long a reading is held; a synchronous run that takes longer holds it to its end. */
const HOLD_MS = 10;
/** How often it is used at most: a run that never ends reads the clock all the same. */
const MAX_USES = 64;
/** What is due later than this does not need the exact time. Far longer than any run of a process that answers. */
export const LAG_MS = 10_000;

export class CacheTime {
  readonly #source: TimeSource;
  readonly #maxUses: number;
  #heldMs = 0;
  #uses = 0;
  #isArmed = false;

  constructor(source: TimeSource, maxUses: number = MAX_USES) {
    this.#source = source;
    this.#maxUses = maxUses;
  }

  /** Milliseconds, read from the clock. */
  now(): number {
    this.#heldMs = this.#source.monotonic();
    if (this.#maxUses > 0) this.#hold();
    return this.#heldMs;
  }

  /** The time of the last reading while it is held. Never after `now`, never before an earlier answer. */
  recent(): number {
    if (this.#uses === 0) return this.now();
    this.#uses--;
    return this.#heldMs;
  }

  /** A moment that has not come yet; Infinity when only `now` can tell. */
  future(): number {
    if (this.#uses === 0) return Infinity;
    this.#uses--;
    return this.#heldMs + LAG_MS;
  }

  #hold(): void {
    this.#uses = this.#maxUses;
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#source.setTimer(HOLD_MS, this.#release);
  }

  readonly #release = (): void => {
    this.#isArmed = false;
    this.#uses = 0;
  };
}

/** Time that is read at every call. */
export function exactTime(now: () => number): CacheTime {
  return new CacheTime({ monotonic: now, setTimer: () => () => undefined }, 0);
}
