// How many calls are under way. A platform takes only so many of them well; one more waits a moment for another to end, which
// in a healthy crowd is soon, and goes ahead when none does, because what hangs must not hold up the others.
import type { Clock } from "../core/clock.ts";

/** Longer than a healthy answer takes to come, and short beside what anybody notices. Milliseconds. */
const WAIT_MS = 10;

export interface Crowd {
  /** Takes a place, at once or soon. Answers how many are taken then, this one included. */
  enter(): number | Promise<number>;
  /** Gives a place back. */
  leave(): void;
}

/** @param comfortable calls that need not wait. */
export function createCrowd(clock: Clock, comfortable: number): Crowd {
  let taken = 0;
  /** In the order in which they came. */
  const waiting = new Set<() => void>();
  return {
    enter() {
      if (taken < comfortable) return ++taken;
      return new Promise((resolve) => {
        const go = (): void => {
          waiting.delete(go);
          cancel();
          resolve(++taken);
        };
        const cancel = clock.setTimer(WAIT_MS, go);
        waiting.add(go);
      });
    },
    leave() {
      taken--;
      if (taken >= comfortable) return;
      for (const go of waiting) return go();
    },
  };
}
