// What an attempt needs, as it is stored at the moment that it is made: an endpoint may have moved, been disabled or removed
// since the delivery was scheduled.

import type { Data } from "../../data/data.ts";
import type { Job, Reader, Row } from "../../store/store.ts";
import { type Delivery, deliveryOf, findAttempt } from "./delivery.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import type { Endpoint } from "./endpoint-input.ts";
import type { EndpointLanes } from "./endpoint-lanes.ts";
import { ATTEMPT, ENDPOINT } from "./webhook-entities.ts";
import { eventIdOf, readEvent, type WebhookEvent } from "./webhook-event.ts";
import { EVENTS } from "./webhook-tables.ts";

export interface Subject {
  readonly event: WebhookEvent | undefined;
  readonly endpoint: Endpoint | undefined;
  /** The row of this attempt; undefined when somebody removed it. */
  readonly pending: Row | undefined;
  /** Whether the attempts before it failed. */
  readonly isFailing: boolean;
}

export interface SubjectSources {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly lanes: EndpointLanes;
  readonly health: EndpointHealth;
}

export function createSubjectLoader({ data, reader, lanes, health }: SubjectSources): (job: Job) => Promise<Subject> {
  const tableOf = (entity: string): string => data().model.entity(entity).table.name;
  const findPending = async ({ attemptId, endpointId, eventKey }: Delivery): Promise<Row | undefined> => {
    const first = await reader.get(tableOf(ATTEMPT), attemptId);
    if (first?.status === "pending") return first;
    const query = { endpointId, eventId: eventIdOf(eventKey), status: "pending" };
    return findAttempt(reader, tableOf(ATTEMPT), query);
  };
  return async (job) => {
    const delivery = deliveryOf(job);
    const [endpoint, event, pending, isFailing] = await Promise.all([
      reader.get(tableOf(ENDPOINT), delivery.endpointId),
      reader.get(EVENTS, delivery.eventKey),
      findPending(delivery),
      health.isFailing(reader, delivery.endpointId),
    ]);
    return { event: event && readEvent(event), endpoint: endpoint && lanes.learn(endpoint), pending, isFailing };
  };
}
