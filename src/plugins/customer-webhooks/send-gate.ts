// Bounds how many sends begin at once, fairly: applications take turns, however many sends one of them waits with. A send that
// takes long is not waited for: it gives its place to the next one and goes on by itself.

import type { Clock } from "../../core/clock.ts";

export interface SendGateOptions {
  /** Sends that are under way and not slow yet. */
  readonly places: number;
  /** After so many milliseconds a send does not count any more. */
  readonly slowMs: number;
  readonly clock: Clock;
}

export interface SendGate {
  /** Resolves with what gives the place back, when it is the application's turn and there is a place. */
  enter(applicationId: string): Promise<() => void>;
}

type Admit = (leave: () => void) => void;

/** A send that has a place. */
interface Entered {
  readonly atMs: number;
  isIn: boolean;
}

export function createSendGate({ places, slowMs, clock }: SendGateOptions): SendGate {
  let free = places;
  /** In the order in which they came, and some that have left. */
  let entered: Entered[] = [];
  /** Applications in turn, each with those of its sends that wait. */
  const waiting = new Map<string, Admit[]>();
  let isWatched = false;

  const release = (one: Entered): void => {
    if (!one.isIn) return;
    one.isIn = false;
    free++;
    admit();
  };
  const take = (): (() => void) => {
    const one = { atMs: clock.monotonic(), isIn: true };
    free--;
    if (entered.length >= places * 4) entered = entered.filter(({ isIn }) => isIn);
    entered.push(one);
    return () => release(one);
  };
  const admit = (): void => {
    const next = waiting.entries().next();
    if (next.done === true) return;
    const [applicationId, sends] = next.value;
    const first = sends.shift();
    // Behind the others, if it has more to send.
    waiting.delete(applicationId);
    if (sends.length > 0) waiting.set(applicationId, sends);
    first?.(take());
  };
  /** Takes their places from those that are slow, while somebody waits for one. */
  const watch = (): void => {
    const slowSince = clock.monotonic() - slowMs;
    for (const one of entered) if (one.atMs <= slowSince) release(one);
    entered = entered.filter(({ isIn }) => isIn);
    isWatched = waiting.size > 0;
    if (isWatched) clock.setTimer(Math.max(1, (entered[0]?.atMs ?? slowSince) - slowSince), watch);
  };
  return {
    enter(applicationId) {
      if (free > 0) return Promise.resolve(take());
      return new Promise((resolve) => {
        const sends = waiting.get(applicationId);
        if (sends) sends.push(resolve);
        else waiting.set(applicationId, [resolve]);
        if (!isWatched) watch();
      });
    },
  };
}
