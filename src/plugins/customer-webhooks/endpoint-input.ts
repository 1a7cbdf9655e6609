// What a customer may write into an endpoint. Everything is judged when it is written, so that a delivery never meets an
// endpoint that cannot be read; problems never show a secret or a header's value.

import { z } from "zod";
import { isPylonError, type Problem } from "../../core/errors.ts";
import { readWithSchema } from "../../manifest/schema-problems.ts";
import { createWebhookSigner } from "../../crypto/sign-webhook.ts";
import { isHeaderName, isHeaderValue, RESERVED_HEADERS } from "../../net/outbound-headers.ts";
import { isTargetUrl, MAX_TARGET_CHARS } from "../../net/target-url.ts";
import type { Row, Value } from "../../store/store.ts";
import type { EventCatalogue } from "./event-catalogue.ts";
import { isSubscription, isWildcard } from "./event-type.ts";

export const DEFAULT_CONCURRENCY = 10;
const MAX_CONCURRENCY = 100;
const MAX_PER_SECOND = 10_000;
/** One a day: slower is not a rate. */
const MIN_PER_SECOND = 1 / 86_400;
const MAX_SUBSCRIPTIONS = 200;
const MAX_HEADERS = 50;
const MAX_PROBLEMS = 20;
const MAX_HEADER_CHARS = 4_096;
const MAX_APPLICATION_CHARS = 128;

/** Set by the delivery, or changing how its body is read; the connection's own come on top. */
const OWN_HEADERS: ReadonlySet<string> = new Set(["accept-encoding", "content-encoding", "content-type", "user-agent"]);
const OWN_PREFIXES: readonly string[] = ["webhook-", "svix-", "x-pylon-"];

/** An endpoint as deliveries need it. */
export interface Endpoint {
  readonly id: string;
  readonly applicationId: string;
  readonly url: string;
  readonly eventTypes: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly disabled: boolean;
  readonly maxPerSecond: number | null;
  readonly maxConcurrent: number;
  readonly ordered: boolean;
}

function isReserved(name: string): boolean {
  const lower = name.toLowerCase();
  return (
    RESERVED_HEADERS.has(lower) || OWN_HEADERS.has(lower) || OWN_PREFIXES.some((prefix) => lower.startsWith(prefix))
  );
}

const headersSchema = z.record(z.string(), z.string().max(MAX_HEADER_CHARS)).superRefine((headers, context) => {
  const names = Object.keys(headers);
  const refuse = (name: string, message: string): void => {
    context.addIssue({ code: "custom", path: [name.slice(0, 100)], message });
  };
  if (names.length > MAX_HEADERS) context.addIssue({ code: "custom", message: `At most ${MAX_HEADERS} headers` });
  const seen = new Set<string>();
  for (const name of names) {
    if (!isHeaderName(name)) refuse(name, "Not a header name");
    else if (isReserved(name)) refuse(name, "The delivery sets this header itself");
    else if (seen.has(name.toLowerCase())) refuse(name, "This header is given twice");
    if (!isHeaderValue(headers[name] ?? ""))
      refuse(name, "A header value can only have ASCII characters, and no line breaks");
    seen.add(name.toLowerCase());
  }
});

const subscriptionsSchema = z
  .array(z.string().refine(isSubscription, "Expected an event type such as invoice.paid, invoice.* or *"))
  .max(MAX_SUBSCRIPTIONS);

/** What a field of the entity's own type must be beyond it. Null stands for the default. */
const FIELDS: Readonly<Record<string, z.ZodType>> = {
  applicationId: z.string().min(1).max(MAX_APPLICATION_CHARS),
  url: z
    .string()
    .refine(isTargetUrl, `Expected an http(s) URL of at most ${MAX_TARGET_CHARS} characters without user information`),
  eventTypes: subscriptionsSchema,
  headers: headersSchema,
  maxPerSecond: z.number().min(MIN_PER_SECOND, "Expected at least one a day: 1/86400").max(MAX_PER_SECOND),
  maxConcurrent: z.number().int().min(1).max(MAX_CONCURRENCY),
};

/** Fields that are never null once written. */
const DEFAULTS: Readonly<Record<string, Value>> = { eventTypes: [], headers: {}, disabled: false, ordered: false };
/** Fields that may come as the text of their JSON. */
const JSON_FIELDS: readonly string[] = ["eventTypes", "headers"];

function fromText(value: Value): Value {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value) as Value;
  } catch {
    return value;
  }
}

function problemsOf(name: string, schema: z.ZodType, value: Value): Problem[] {
  const read = readWithSchema(schema, value, { at: [name], maxProblems: MAX_PROBLEMS });
  return read.ok ? [] : [...read.problems];
}

function unknownTypes(catalogue: EventCatalogue, subscriptions: Value | undefined): Problem[] {
  if (!Array.isArray(subscriptions)) return [];
  return (subscriptions as readonly unknown[]).flatMap((one, index) => {
    if (typeof one !== "string" || !isSubscription(one) || isWildcard(one) || catalogue.has(one)) return [];
    return [{ path: `eventTypes.${index}`, message: "There is no such event type" }];
  });
}

/** Why a secret cannot sign; null when it can. */
export function secretProblem(secret: string): string | null {
  try {
    createWebhookSigner(secret);
    return null;
  } catch (error) {
    if (isPylonError(error)) return error.message;
    throw error;
  }
}

/**
 * Brings the fields of a draft into the form in which they are stored, in place.
 *
 * @returns what is wrong with them.
 */
export function normalizeEndpoint(draft: Record<string, Value>, catalogue: EventCatalogue): Problem[] {
  for (const name of JSON_FIELDS) {
    if (draft[name] !== undefined) draft[name] = fromText(draft[name]);
  }
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (draft[name] === null) draft[name] = value;
  }
  const checked = Object.entries(FIELDS).flatMap(([name, schema]) => {
    const value = draft[name];
    return value === undefined || value === null ? [] : problemsOf(name, schema, value);
  });
  return [...checked, ...unknownTypes(catalogue, draft["eventTypes"])];
}

function textsOf(value: Value | undefined): readonly string[] {
  return Array.isArray(value) ? (value as readonly unknown[]).filter((item) => typeof item === "string") : [];
}

const NO_HEADERS: Readonly<Record<string, string>> = {};

function headersOf(value: Value | undefined): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Object.keys(value).length === 0) return NO_HEADERS;
  const parsed = headersSchema.safeParse(value);
  return parsed.success ? parsed.data : NO_HEADERS;
}

/** Reads a stored row. One that was written while the plugin was off may hold anything. */
export function readEndpoint(row: Row): Endpoint {
  const concurrency = Number(row.maxConcurrent ?? DEFAULT_CONCURRENCY);
  const perSecond = typeof row.maxPerSecond === "number" ? row.maxPerSecond : 0;
  return {
    id: row.id,
    applicationId: row.applicationId as string,
    url: row.url as string,
    eventTypes: textsOf(fromText(row.eventTypes ?? [])),
    headers: headersOf(fromText(row.headers ?? {})),
    disabled: row.disabled === true,
    maxPerSecond: perSecond >= MIN_PER_SECOND ? perSecond : null,
    maxConcurrent: concurrency >= 1 && concurrency <= MAX_CONCURRENCY ? Math.floor(concurrency) : DEFAULT_CONCURRENCY,
    ordered: row.ordered === true,
  };
}
