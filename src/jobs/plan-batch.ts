// When the engine's next transaction is worth its commit. Pure.

/** Batches that parts may fill: nobody waits for them but the job itself. */
export const PART_BATCHES = 2;

/** What decides when the next batch runs. */
export interface PumpLoad {
  /** Outcomes and releases waiting. */
  readonly waiting: number;
  /** Parts of outcomes waiting: nothing is free once they are recorded, so they wait for a full batch. */
  readonly parts: number;
  readonly active: number;
  /** What may still bring company: runs, but those that wait for a part to be recorded, and what they do in other lanes. */
  readonly underWay: number;
  readonly readyLanes: number;
  readonly capacity: number;
  readonly maxBatch: number;
}

/**
 * When to run a batch. At once when it would be half full, or when nothing else is under way to wait for; otherwise what
 * there is lingers for company, and what is only a part of an outcome lingers for longer.
 */
export function planBatch(load: PumpLoad): "now" | "soon" | "later" | "idle" {
  const half = Math.max(1, Math.floor(Math.min(load.maxBatch, load.capacity) / 2));
  const free = load.capacity - load.active;
  const canClaim = load.readyLanes > 0 && free > 0;
  if (load.waiting + load.parts === 0 && !canClaim) return "idle";
  if (
    load.waiting >= half ||
    load.parts >= load.maxBatch * PART_BATCHES ||
    load.underWay === 0 ||
    (canClaim && free >= half)
  )
    return "now";
  return load.waiting > 0 || canClaim ? "soon" : "later";
}
