// Reads the due index for lanes that no commit of this process told about: after a start, from other processes, or behind
// the horizon. Bounded per round; a round that does not reach the end goes on from there in the next.

import type { Clock } from "../core/clock.ts";
import type { LaneDue, Reader } from "../store/store.ts";

export interface LaneRefreshOptions {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly horizonMs: number;
  readonly pageSize: number;
  readonly maxPages: number;
  readonly onLanes: (due: readonly LaneDue[]) => void;
}

/** Creates the function that runs one round. It answers whether the round came to the end of the lanes. */
export function createLaneRefresh(options: LaneRefreshOptions): () => Promise<boolean> {
  const { reader, clock, pageSize } = options;
  let after: string | undefined;
  return async () => {
    for (let page = 0; page < options.maxPages; page++) {
      const due = await reader.dueLanes(Math.floor(clock.now()) + options.horizonMs, pageSize, after);
      options.onLanes(due);
      after = due.length < pageSize ? undefined : due.at(-1)?.lane;
      if (after === undefined) return true;
    }
    return false;
  };
}
