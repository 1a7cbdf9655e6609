// What an attempt needs, as it is stored at the moment that it is made: an endpoint may have moved, been disabled or removed
// since the delivery was scheduled.

import type { WebhookSigner } from "../../crypto/sign-webhook.ts";
import type { Data } from "../../data/data.ts";
import type { Reader } from "../../store/store.ts";
import type { Endpoint } from "./endpoint-input.ts";
import type { EndpointLanes } from "./endpoint-lanes.ts";
import type { EndpointSecrets } from "./endpoint-secrets.ts";
import { ENDPOINT } from "./webhook-entities.ts";
import { readEvent, type WebhookEvent } from "./webhook-event.ts";
import { EVENTS } from "./webhook-tables.ts";

export interface Subject {
  readonly event: WebhookEvent | undefined;
  readonly endpoint: Endpoint | undefined;
  /** Of the endpoint's live secrets: none when no key opens them, undefined when there are none. */
  readonly signers: readonly WebhookSigner[] | undefined;
}

export interface SubjectSources {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly lanes: EndpointLanes;
  readonly secrets: EndpointSecrets;
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

/** Loads what the deliveries of one event to these endpoints need, in the order of the endpoints. */
export type LoadSubjects = (eventKey: string, endpointIds: readonly string[]) => Promise<Subject[]>;

export function createSubjectLoader({ data, reader, lanes, secrets }: SubjectSources): LoadSubjects {
  const eventOf = createEventReader(reader);
  const endpointsOf = async (ids: readonly string[]): Promise<ReadonlyMap<string, Endpoint>> => {
    const table = data().model.entity(ENDPOINT).table.name;
    const [first = "", ...others] = ids;
    const where = [{ column: "id", op: "in", values: ids }] as const;
    const rows =
      others.length > 0 ? await reader.find(table, { where, limit: ids.length }) : [await reader.get(table, first)];
    return new Map(rows.flatMap((row) => (row ? [[row.id, lanes.learn(row)]] : [])));
  };
  return async (eventKey, ids) => {
    const [event, endpoints, signers] = await Promise.all([
      eventOf(eventKey),
      endpointsOf(ids),
      secrets.signersOf(reader, ids),
    ]);
    return ids.map((id) => ({ event, endpoint: endpoints.get(id), signers: signers.get(id) }));
  };
}
