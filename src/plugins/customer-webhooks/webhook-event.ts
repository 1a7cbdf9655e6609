// An event: what an application says happened, as the exact bytes that every endpoint will be sent. Its id is unique within
// its application.

import type { Problem } from "../../core/errors.ts";
import { isObject, type Json } from "../../core/json.ts";
import { toJson } from "../../core/to-json.ts";
import { normalizeDatetime } from "../../manifest/datetime-text.ts";
import type { Row } from "../../store/store.ts";
import type { EventCatalogue } from "./event-catalogue.ts";
import { isEventType } from "./event-type.ts";
import { customerWebhookError } from "./webhook-errors.ts";

/** UTF-16 units of the body. */
export const MAX_EVENT_CHARS = 1_048_576;
const TOO_LARGE = `The event is larger than ${MAX_EVENT_CHARS} characters as it is sent`;
const MAX_APPLICATION_CHARS = 128;
/** No full stop: it would end the id in what is signed (Standard Webhooks, "msg_id"). */
const EVENT_ID = /^[A-Za-z0-9_:-]{1,128}$/;
const KEYS: ReadonlySet<string> = new Set(["type", "data", "id", "applicationId", "occurredAt"]);

/** What application code dispatches. */
export interface EventInput {
  readonly type: string;
  /** Any JSON value. */
  readonly data: unknown;
  /** @default a new one */
  readonly id?: string | undefined;
  /** @default the caller's tenant */
  readonly applicationId?: string | undefined;
  /** ISO 8601 or a Date. @default now */
  readonly occurredAt?: string | Date | undefined;
}

export interface WebhookEvent {
  readonly applicationId: string;
  readonly eventId: string;
  readonly type: string;
  readonly body: string;
  /** The only endpoint that it is for; null for all that want it. */
  readonly target: string | null;
  /** Epoch milliseconds. */
  readonly createdAt: number;
}

export interface EventFacts {
  readonly catalogue: EventCatalogue;
  readonly tenantId: string | null;
  readonly nowMs: number;
  readonly newId: () => string;
  readonly target?: string;
}

/** Names an event within the instance: no application id can make it mean another's event. */
export function eventKeyOf(applicationId: string, eventId: string): string {
  return `${encodeURIComponent(applicationId)}/${eventId}`;
}

/** The event's own id: it cannot hold what stands between the two. */
export function eventIdOf(eventKey: string): string {
  return eventKey.slice(eventKey.lastIndexOf("/") + 1);
}

function momentOf(value: unknown, nowMs: number): string | undefined {
  if (value === undefined) return new Date(nowMs).toISOString();
  const text = value instanceof Date && Number.isFinite(value.getTime()) ? value.toISOString() : value;
  return typeof text === "string" ? normalizeDatetime(text) : undefined;
}

function isApplicationId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_APPLICATION_CHARS && value.isWellFormed();
}

function checkInput(input: Readonly<Record<string, unknown>>, occurredAt: string | undefined): Problem[] {
  const problems: Problem[] = Object.keys(input)
    .filter((key) => !KEYS.has(key))
    .map((path) => ({ path: path.slice(0, 64), message: "Unknown key" }));
  const { type, id } = input;
  if (typeof type !== "string" || !isEventType(type)) {
    problems.push({ path: "type", message: "Expected an event type such as invoice.paid" });
  }
  if (id !== undefined && (typeof id !== "string" || !EVENT_ID.test(id))) {
    problems.push({ path: "id", message: 'Expected 1 to 128 letters, digits, "_", "-" or ":"' });
  }
  if (occurredAt === undefined) problems.push({ path: "occurredAt", message: "Expected an ISO 8601 date and time" });
  return problems;
}

function readData(data: unknown): Json {
  const copied = toJson(data ?? null);
  if (copied.ok) return copied.value;
  const path = copied.path === "" ? "data" : `data.${copied.path}`;
  throw customerWebhookError("EVENT_INVALID", { details: [{ path, message: `Not JSON: ${copied.message}` }] });
}

function applicationOf(given: unknown, tenantId: string | null): string {
  const applicationId = given ?? tenantId;
  if (applicationId === null) throw customerWebhookError("NO_APPLICATION");
  if (isApplicationId(applicationId)) return applicationId;
  const message = `Expected a string of 1 to ${MAX_APPLICATION_CHARS} characters`;
  throw customerWebhookError("EVENT_INVALID", { details: [{ path: "applicationId", message }] });
}

/** @throws EVENT_INVALID, EVENT_TYPE_UNKNOWN, EVENT_TOO_LARGE, NO_APPLICATION */
export function planEvent(input: unknown, facts: EventFacts): WebhookEvent {
  if (!isObject(input)) throw customerWebhookError("EVENT_INVALID", { message: "Expected an event: {type, data}" });
  const occurredAt = momentOf(input["occurredAt"], facts.nowMs);
  const problems = checkInput(input, occurredAt);
  if (problems.length > 0) throw customerWebhookError("EVENT_INVALID", { details: problems });
  const type = input["type"] as string;
  const data = readData(input["data"]);
  if (!facts.catalogue.has(type))
    throw customerWebhookError("EVENT_TYPE_UNKNOWN", { message: `There is no event type "${type}"` });
  const misfits = facts.catalogue.check(type, data);
  if (misfits.length > 0) throw customerWebhookError("EVENT_INVALID", { details: misfits });
  const applicationId = applicationOf(input["applicationId"], facts.tenantId);
  const eventId = (input["id"] as string | undefined) ?? facts.newId();
  // A lone surrogate has no UTF-8: what is stored would not be what is signed.
  const body = JSON.stringify({ id: eventId, type, occurredAt, data }).toWellFormed();
  if (body.length > MAX_EVENT_CHARS) throw customerWebhookError("EVENT_TOO_LARGE", { message: TOO_LARGE });
  return { applicationId, eventId, type, body, target: facts.target ?? null, createdAt: facts.nowMs };
}

/** Reads a row of the table of events. */
export function readEvent(row: Row): WebhookEvent {
  return {
    applicationId: row.applicationId as string,
    eventId: row.eventId as string,
    type: row.type as string,
    body: row.body as string,
    target: row.target as string | null,
    createdAt: row.createdAt as number,
  };
}
