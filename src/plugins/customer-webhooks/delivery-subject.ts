// What an attempt needs, as it is stored at the moment that it is made: an endpoint may have moved, been disabled or removed
// since the delivery was scheduled.

import type { Data } from "../../data/data.ts";
import type { Job, Reader, Row } from "../../store/store.ts";
import { type Delivery, deliveryOf, findAttempt } from "./delivery.ts";
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
}

export interface SubjectSources {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly lanes: EndpointLanes;
}

/** Events that a fan-out to many endpoints has just read, and characters of a body that is worth keeping. */
const MAX_KEPT_EVENTS = 100;
const MAX_KEPT_CHARS = 65_536;

/** Reads events, which never change, and keeps the latest: a thousand deliveries of one event read it once. */
function createEventReader(reader: Reader): (eventKey: string) => Promise<WebhookEvent | undefined> {
  const kept = new Map<string, WebhookEvent>();
  return async (eventKey) => {
    const known = kept.get(eventKey);
    if (known) return known;
    const row = await reader.get(EVENTS, eventKey);
    const event = row && readEvent(row);
    if (event && event.body.length <= MAX_KEPT_CHARS) kept.set(eventKey, event);
    const oldest = kept.size > MAX_KEPT_EVENTS ? kept.keys().next() : undefined;
    if (oldest?.done === false) kept.delete(oldest.value);
    return event;
  };
}

export function createSubjectLoader({ data, reader, lanes }: SubjectSources): (job: Job) => Promise<Subject> {
  const tableOf = (entity: string): string => data().model.entity(entity).table.name;
  const eventOf = createEventReader(reader);
  const findPending = async ({ attemptId, endpointId, eventKey }: Delivery): Promise<Row | undefined> => {
    const first = await reader.get(tableOf(ATTEMPT), attemptId);
    if (first?.status === "pending") return first;
    const query = { endpointId, eventId: eventIdOf(eventKey), status: "pending" };
    return findAttempt(reader, tableOf(ATTEMPT), query);
  };
  return async (job) => {
    const delivery = deliveryOf(job);
    const [endpoint, event, pending] = await Promise.all([
      reader.get(tableOf(ENDPOINT), delivery.endpointId),
      eventOf(delivery.eventKey),
      findPending(delivery),
    ]);
    return { event, endpoint: endpoint && lanes.learn(endpoint), pending };
  };
}
