// What an attempt needs, as it is stored at the moment that it is made: an endpoint may have moved, been disabled or removed
// since the delivery was scheduled.

import type { Data } from "../../data/data.ts";
import type { Reader } from "../../store/store.ts";
import type { Delivery } from "./delivery.ts";
import type { Endpoint } from "./endpoint-input.ts";
import type { EndpointLanes } from "./endpoint-lanes.ts";
import { ENDPOINT } from "./webhook-entities.ts";
import { readEvent, type WebhookEvent } from "./webhook-event.ts";
import { EVENTS } from "./webhook-tables.ts";

export interface Subject {
  readonly event: WebhookEvent | undefined;
  readonly endpoint: Endpoint | undefined;
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

export function createSubjectLoader({ data, reader, lanes }: SubjectSources): (delivery: Delivery) => Promise<Subject> {
  const eventOf = createEventReader(reader);
  return async ({ endpointId, eventKey }) => {
    const { table } = data().model.entity(ENDPOINT);
    const [endpoint, event] = await Promise.all([reader.get(table.name, endpointId), eventOf(eventKey)]);
    return { event, endpoint: endpoint && lanes.learn(endpoint) };
  };
}
