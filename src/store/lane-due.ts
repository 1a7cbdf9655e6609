// Hints about lanes, put together before they are told.

import type { LaneDue } from "./store.ts";

/** One entry per lane: its earliest due time. */
export function earliestPerLane(due: readonly LaneDue[]): LaneDue[] {
  const earliest = new Map<string, number>();
  for (const { lane, dueAt } of due) earliest.set(lane, Math.min(dueAt, earliest.get(lane) ?? dueAt));
  return Array.from(earliest, ([lane, dueAt]) => ({ lane, dueAt }));
}

export interface DueListeners {
  add(listener: (due: readonly LaneDue[]) => void): () => void;
  tell(due: readonly LaneDue[]): void;
}

/** Who wants to hear of ready work. One that throws harms neither the writer nor the others: it finds the jobs when it looks. */
export function createDueListeners(): DueListeners {
  const listeners = new Set<(due: readonly LaneDue[]) => void>();
  return {
    add(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tell(due) {
      for (const listener of listeners) {
        try {
          listener(due);
        } catch {
          // A hint is all that is lost.
        }
      }
    },
  };
}
