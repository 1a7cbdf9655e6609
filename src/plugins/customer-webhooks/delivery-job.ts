// One attempt of one delivery: read the endpoint as it is now, sign with every live secret, send, and record what came of it
// together with what happens next. Every attempt is a row, the next one from the moment that it is planned.

import type { Clock } from "../../core/clock.ts";
import { isPylonError } from "../../core/errors.ts";
import { signedContent } from "../../crypto/sign-webhook.ts";
import type { Data } from "../../data/data.ts";
import { scheduleDelayMs } from "../../jobs/backoff.ts";
import type { JobContext, JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import { type AttemptResult, failedAttempt, judgeOutcome, triesOf } from "../../jobs/outbound-attempt.ts";
import type { GuardedClient } from "../../net/guarded-client.ts";
import type { Job, Reader, Row, Tx } from "../../store/store.ts";
import { deliveryOf, findAttempt, INTERNAL, writePending, type Delivery } from "./delivery.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import type { Endpoint } from "./endpoint-input.ts";
import { DELIVERY_KIND, type EndpointLanes } from "./endpoint-lanes.ts";
import type { EndpointSecrets } from "./endpoint-secrets.ts";
import { ATTEMPT, ENDPOINT } from "./webhook-entities.ts";
import { readEvent, type WebhookEvent } from "./webhook-event.ts";
import { EVENTS } from "./webhook-tables.ts";

/** Contract: 15 s per attempt, at most 16 KiB of a response read and 1 KiB kept. */
const LIMITS = { timeoutMs: 15_000, maxResponseBytes: 16_384, keepBytes: 1_024 } as const;
const GONE = 410;
const MAX_ERROR_CHARS = 500;

export interface DeliveryJobOptions {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly http: GuardedClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly secrets: EndpointSecrets;
  readonly lanes: EndpointLanes;
  readonly health: EndpointHealth;
  /** Milliseconds before attempts 2, 3, … */
  readonly scheduleMs: readonly number[];
}

/** What an attempt needs, as it is stored now. */
interface Subject {
  readonly delivery: Delivery;
  readonly event: WebhookEvent | undefined;
  readonly endpoint: Endpoint | undefined;
  /** The row of this attempt; undefined when somebody removed it. */
  readonly pending: Row | undefined;
  readonly isFailing: boolean;
}

/** The end of an attempt. */
interface Ended {
  readonly result: AttemptResult;
  readonly durationMs: number | null;
  readonly responseBody: string | null;
  /** Whether something was sent: only that says how the endpoint is doing. */
  readonly wasSent: boolean;
}

function unsent(error: string, final: boolean): Ended {
  return { result: failedAttempt(error, final), durationMs: null, responseBody: null, wasSent: false };
}

/** Text that every store takes, whatever a stranger's server answered. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** Why nothing may be sent. A delivery belongs to the tenant that its endpoint belongs to now. */
function whyNot({ event, endpoint }: Subject): Ended | undefined {
  if (!event) return unsent("EVENT_EXPIRED: The event is not stored any more", true);
  if (!endpoint || endpoint.applicationId !== event.applicationId) {
    return unsent("ENDPOINT_REMOVED: The endpoint does not exist any more", true);
  }
  return endpoint.disabled ? unsent("ENDPOINT_DISABLED: The endpoint is disabled", true) : undefined;
}

function signatureHeaders(id: string, timestamp: string, signature: string): Record<string, string> {
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
    "svix-id": id,
    "svix-timestamp": timestamp,
    "svix-signature": signature,
  };
}

export function createDeliveryJob(options: DeliveryJobOptions): JobHandler {
  const { data, reader, http, clock, random, secrets, lanes, health, scheduleMs } = options;
  const tableOf = (entity: string): string => data().model.entity(entity).table.name;

  const findPending = async (delivery: Delivery): Promise<Row | undefined> => {
    const first = await reader.get(tableOf(ATTEMPT), delivery.attemptId);
    if (first?.status === "pending") return first;
    const { endpointId, eventKey } = delivery;
    const eventId = eventKey.slice(eventKey.indexOf("/") + 1);
    return findAttempt(reader, tableOf(ATTEMPT), { endpointId, eventId, status: "pending" });
  };

  const load = async (job: Job): Promise<Subject> => {
    const delivery = deliveryOf(job);
    const [endpoint, event, pending, isFailing] = await Promise.all([
      reader.get(tableOf(ENDPOINT), delivery.endpointId),
      reader.get(EVENTS, delivery.eventKey),
      findPending(delivery),
      health.isFailing(reader, delivery.endpointId),
    ]);
    return {
      delivery,
      event: event && readEvent(event),
      endpoint: endpoint && lanes.learn(endpoint),
      pending,
      isFailing,
    };
  };

  const headersFor = async (endpoint: Endpoint, event: WebhookEvent): Promise<Record<string, string> | undefined> => {
    const signers = await secrets.signers(reader, endpoint.id);
    if (signers.length === 0) return undefined;
    const timestamp = String(Math.floor(clock.now() / 1_000));
    const content = signedContent(event.eventId, timestamp, event.body);
    const entries = await Promise.all(signers.map((signer) => signer.sign(content)));
    return { ...endpoint.headers, ...signatureHeaders(event.eventId, timestamp, entries.join(" ")) };
  };

  const send = async (endpoint: Endpoint, event: WebhookEvent, context: JobContext): Promise<Ended> => {
    const headers = await headersFor(endpoint, event);
    if (!headers) return unsent("SECRET_MISSING: The endpoint has no secret; rotate it", false);
    const outcome = await http.send({
      method: "POST",
      url: endpoint.url,
      headers,
      body: event.body,
      ...LIMITS,
      cancellation: context,
    });
    const result = judgeOutcome(outcome, clock.now());
    const responseBody = outcome.kind === "response" ? storable(new TextDecoder().decode(outcome.body)) : null;
    const durationMs = outcome.kind === "blocked" ? null : Math.round(outcome.durationMs);
    return {
      result: { ...result, final: result.final || result.status === GONE },
      durationMs,
      responseBody,
      wasSent: true,
    };
  };

  const attempt = async (subject: Subject, context: JobContext): Promise<Ended> => {
    const refused = whyNot(subject);
    const { endpoint, event } = subject;
    if (refused || !endpoint || !event) return refused ?? unsent("INTERNAL", false);
    try {
      return await send(endpoint, event, context);
    } catch (error) {
      if (isPylonError(error, "SECRET_UNREADABLE")) return unsent(`${error.code}: ${error.message}`, false);
      throw error;
    }
  };

  /** Milliseconds until the next attempt; undefined when there is none. */
  const nextDelayMs = (job: Job, { result }: Ended): number | undefined => {
    if (result.delivered || result.final) return undefined;
    const planned = scheduleDelayMs(scheduleMs, triesOf(job), random);
    return planned === undefined ? undefined : Math.max(planned, result.retryAfterMs ?? 0);
  };

  interface Recorded {
    readonly subject: Subject;
    readonly ended: Ended;
    readonly attempt: number;
    readonly status: "succeeded" | "failed" | "dead";
    readonly nextAt: number | null;
  }

  const record = async (tx: Tx, { subject, ended, attempt: number, status, nextAt }: Recorded): Promise<void> => {
    const { event, endpoint } = subject;
    const writer = data().within(INTERNAL, tx);
    const isoOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
    const { result, durationMs, responseBody, wasSent } = ended;
    // Nothing is left to describe an attempt with once its event is gone.
    const rowId =
      subject.pending?.id ??
      (event &&
        endpoint &&
        (await writePending(writer, { endpoint, event }, { attempt: number, scheduledAt: clock.now() })));
    if (rowId !== undefined) {
      await writer.update(ATTEMPT, rowId, {
        ...(endpoint ? { url: endpoint.url } : {}),
        status,
        httpStatus: result.status,
        error: result.error === null ? null : storable(result.error.slice(0, MAX_ERROR_CHARS)),
        durationMs,
        responseBody,
        deliveredAt: result.delivered ? isoOrNull(clock.now()) : null,
        nextAttemptAt: isoOrNull(nextAt),
      });
    }
    if (nextAt !== null && event && endpoint) {
      await writePending(writer, { endpoint, event }, { attempt: number + 1, scheduledAt: nextAt });
    }
    if (!wasSent || !endpoint) return;
    if (!result.delivered) await health.failed(tx, endpoint, result.status === GONE);
    else if (subject.isFailing) await health.succeeded(tx, endpoint.id);
  };

  const plan = (job: Job, subject: Subject, ended: Ended): JobOutcome => {
    const { result } = ended;
    const note = { status: result.status, error: result.error };
    const delayMs = nextDelayMs(job, ended);
    const nextAt = delayMs === undefined ? null : clock.now() + delayMs;
    const status = result.delivered ? "succeeded" : delayMs === undefined ? "dead" : "failed";
    const number = (subject.pending?.attempt as number | undefined) ?? triesOf(job);
    const settle = (tx: Tx): Promise<void> => record(tx, { subject, ended, attempt: number, status, nextAt });
    if (delayMs !== undefined) return { kind: "retry", delayMs, note, settle };
    return { kind: result.delivered ? "done" : "dead", note, settle };
  };

  return {
    kind: DELIVERY_KIND,
    laneConcurrency: lanes.concurrency,
    async run(job, context) {
      const subject = await load(job);
      return plan(job, subject, await attempt(subject, context));
    },
  };
}
