// Settlements that are asked for together go to the server as one statement. A batch is sent when the turn of the event loop
// that began it ends, or before whatever the transaction does next.

import type { Settlement } from "../store.ts";

interface Waiting {
  readonly settlement: Settlement;
  readonly resolve: (settled: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export interface SettleBatch {
  add(settlement: Settlement): Promise<boolean>;
  /** Sends what waits, now. */
  flush(): void;
}

export function createSettleBatch(send: (settlements: readonly Settlement[]) => Promise<boolean[]>): SettleBatch {
  let waiting = new Map<number, Waiting>();
  const flush = (): void => {
    if (waiting.size === 0) return;
    const batch = [...waiting.values()];
    waiting = new Map();
    send(batch.map(({ settlement }) => settlement)).then(
      (settled) => batch.forEach(({ resolve }, place) => resolve(settled[place] === true)),
      (error: unknown) => batch.forEach(({ reject }) => reject(error)),
    );
  };
  return {
    flush,
    add(settlement) {
      // The second settlement of a job has to see what the first one did.
      if (waiting.has(settlement.seq)) flush();
      if (waiting.size === 0) queueMicrotask(flush);
      return new Promise((resolve, reject) => waiting.set(settlement.seq, { settlement, resolve, reject }));
    },
  };
}
