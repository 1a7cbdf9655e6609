// Lanes of endpoints: one each, so that what one receiver does to its deliveries delays no other. What an endpoint allows is
// asked for synchronously, so it is remembered here; of an endpoint that is not known yet one delivery runs at first.

import type { Row } from "../../store/store.ts";
import { type Endpoint, readEndpoint } from "./endpoint-input.ts";

/** The kind of a delivery's job, and the first part of its lane. */
export const DELIVERY_KIND = "customer-webhook";
const MAX_REMEMBERED = 50_000;

export function laneOf(endpointId: string): string {
  return `${DELIVERY_KIND}:${endpointId}`;
}

interface LaneSettings {
  readonly maxConcurrent: number;
  /** Between two deliveries; 0 when the endpoint asks for none. Milliseconds. */
  readonly intervalMs: number;
}

export interface EndpointLanes {
  learn(row: Row): Endpoint;
  forget(endpointId: string): void;
  concurrency(lane: string): number;
  intervalMs(lane: string): number;
}

/** Longer than it takes to read the endpoint of the first delivery. */
const UNKNOWN: LaneSettings = { maxConcurrent: 1, intervalMs: 100 };

export function createEndpointLanes(): EndpointLanes {
  const byLane = new Map<string, LaneSettings>();
  return {
    learn(row) {
      const endpoint = readEndpoint(row);
      const { maxConcurrent, maxPerSecond } = endpoint;
      if (byLane.size >= MAX_REMEMBERED) byLane.clear();
      byLane.set(laneOf(row.id), { maxConcurrent, intervalMs: maxPerSecond === null ? 0 : 1_000 / maxPerSecond });
      return endpoint;
    },
    forget(endpointId) {
      byLane.delete(laneOf(endpointId));
    },
    concurrency: (lane) => (byLane.get(lane) ?? UNKNOWN).maxConcurrent,
    intervalMs: (lane) => (byLane.get(lane) ?? UNKNOWN).intervalMs,
  };
}
