// Finds the handler of a job by its kind, and of a lane by its name. A lane is named `<kind>` or `<kind>:<anything>`: so
// its concurrency is known before a job of it has been seen.

import type { JobHandler } from "./job-handler.ts";

export interface HandlerTable {
  ofKind(kind: string): JobHandler | undefined;
  /** By the longest part of the name in front of a colon that is a kind. */
  ofLane(lane: string): JobHandler | undefined;
  /** Whether runs of the kind go on where the one before ended. */
  goesOn(kind: string): boolean;
  /** Whether there are lanes that are served by one engine at a time, and whether this is one. */
  readonly hasLanesAlone: boolean;
  isLaneAlone(lane: string): boolean;
  /** Jobs of the lane that may run at once. */
  laneLimit(lane: string): number;
  /** Milliseconds between the starts of two jobs of the lane; 0 for none. */
  laneIntervalMs(lane: string): number;
}

const MAX_REMEMBERED_LANES = 10_000;
/** For a lane whose name tells no kind. */
const DEFAULT_LANE_LIMIT = 10;

/** @throws TypeError when two handlers have one kind. */
export function createHandlerTable(handlers: readonly JobHandler[]): HandlerTable {
  const byKind = new Map<string, JobHandler>();
  for (const handler of handlers) {
    if (byKind.has(handler.kind)) throw new TypeError(`Cannot handle a kind twice: "${handler.kind}"`);
    byKind.set(handler.kind, handler);
  }
  const findOfLane = (lane: string): JobHandler | undefined => {
    let name = lane;
    for (;;) {
      const handler = byKind.get(name);
      if (handler) return handler;
      const colon = name.lastIndexOf(":");
      if (colon < 0) return undefined;
      name = name.slice(0, colon);
    }
  };
  /** Asked several times for every job. */
  const ofLanes = new Map<string, JobHandler | undefined>();
  const ofLane = (lane: string): JobHandler | undefined => {
    if (ofLanes.has(lane)) return ofLanes.get(lane);
    if (ofLanes.size >= MAX_REMEMBERED_LANES) ofLanes.clear();
    const handler = findOfLane(lane);
    ofLanes.set(lane, handler);
    return handler;
  };
  return {
    ofKind: (kind) => byKind.get(kind),
    ofLane,
    hasLanesAlone: handlers.some(({ laneAlone }) => laneAlone === true),
    goesOn: (kind) => byKind.get(kind)?.goesOn === true,
    isLaneAlone: (lane) => ofLane(lane)?.laneAlone === true,
    laneLimit(lane) {
      const limit = ofLane(lane)?.laneConcurrency ?? DEFAULT_LANE_LIMIT;
      return typeof limit === "function" ? limit(lane) : limit;
    },
    laneIntervalMs: (lane) => ofLane(lane)?.laneIntervalMs?.(lane) ?? 0,
  };
}
