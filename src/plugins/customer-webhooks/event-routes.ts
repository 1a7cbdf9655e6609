// Events over HTTP: dispatch one, send one again, and recover the events of a window that an endpoint never took.

import { z } from "zod";
import { coreError } from "../../core/errors.ts";
import type { Data } from "../../data/data.ts";
import { normalizeDatetime } from "../../manifest/datetime-text.ts";
import { defineRoute, type Route } from "../../plugin/route.ts";
import type { Dispatched, ReadEvent } from "./dispatch.ts";
import { managedEndpoint, requireManager, visibleRow } from "./endpoint-access.ts";
import { ENDPOINT_PATH, TAG } from "./endpoint-routes.ts";
import type { FanOut } from "./fan-out.ts";
import type { Redelivery } from "./redelivery.ts";
import { ATTEMPT } from "./webhook-entities.ts";
import { customerWebhookError } from "./webhook-errors.ts";
import type { Clock } from "../../core/clock.ts";

export interface EventRoutesOptions {
  readonly data: () => Data;
  readonly clock: Clock;
  readonly readEvent: ReadEvent;
  readonly fanOut: FanOut;
  readonly redelivery: Redelivery;
}

const eventBody = z.strictObject({
  type: z.string(),
  data: z.unknown(),
  id: z.string().optional(),
  applicationId: z.string().optional(),
  occurredAt: z.string().optional(),
});

function dispatchRoute({ data, readEvent, fanOut }: EventRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: "/api/webhook-events",
    access: "user",
    tag: TAG,
    summary: "Send an event to the endpoints of an application",
    body: eventBody,
    idempotency: "transactional",
    answers: { 202: { description: "Scheduled" }, 404: { description: "No such application" } },
    async handle({ identity: actor, requestId, body, receipt }) {
      const event = readEvent(body, actor.tenantId);
      requireManager(data(), actor, event.applicationId);
      const json = await data().write({ actor, policies: true, requestId }, async ({ tx }): Promise<Dispatched> => {
        const scheduled = (await fanOut.write(tx, event)) ?? 0;
        const dispatched = { eventId: event.eventId, scheduled };
        await receipt?.commit(tx, { status: 202, json: dispatched });
        return dispatched;
      });
      return { status: 202, json };
    },
  });
}

function resendRoute({ data, redelivery }: EventRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: "/api/webhook-attempts/:id/resend",
    access: "user",
    tag: TAG,
    summary: "Send the event of an attempt to its endpoint again, now",
    idempotency: "transactional",
    answers: {
      202: { description: "Scheduled" },
      404: { description: "No such attempt" },
      409: { description: "The endpoint is disabled, or keeps its order" },
      410: { description: "The event is not stored any more" },
    },
    async handle({ identity, params, receipt }) {
      const attempt = await visibleRow(data(), identity, { entity: ATTEMPT, id: params.id ?? "" });
      const { id } = await managedEndpoint(data(), identity, attempt.endpointId as string);
      const eventId = attempt.eventId as string;
      const answer = { status: 202, json: { eventId } };
      const event = { applicationId: attempt.applicationId as string, eventId };
      await redelivery.resend(id, event, async (tx) => receipt?.commit(tx, answer));
      return answer;
    },
  });
}

const moment = z.string().transform((text, context) => {
  const iso = normalizeDatetime(text);
  if (iso !== undefined) return Date.parse(iso);
  context.addIssue({ code: "custom", message: "Expected an ISO 8601 date and time such as 2026-04-28T10:32:00Z" });
  return z.NEVER;
});
const recovery = z.strictObject({ since: moment, until: moment.optional() });

function recoverRoute({ data, clock, redelivery }: EventRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: `${ENDPOINT_PATH}/recover`,
    access: "user",
    tag: TAG,
    summary: "Send every event of a window that the endpoint never took, each once",
    body: recovery,
    idempotency: "recorded",
    answers: {
      202: { description: "How many were scheduled; next_since when the window holds more" },
      404: { description: "No such endpoint" },
      409: { description: "The endpoint is disabled" },
    },
    async handle({ identity, params, body: { since, until = clock.now() } }) {
      const { id, disabled } = await managedEndpoint(data(), identity, params.id ?? "");
      if (disabled === true) throw customerWebhookError("ENDPOINT_DISABLED");
      if (until < since) {
        throw coreError("VALIDATION_FAILED", { details: [{ path: "until", message: "It lies before since" }] });
      }
      const { scheduled, nextSinceMs } = await redelivery.recover({ endpointId: id, sinceMs: since, untilMs: until });
      const more = nextSinceMs === null ? {} : { next_since: new Date(nextSinceMs).toISOString() };
      return { status: 202, json: { scheduled, ...more } };
    },
  });
}

export function eventRoutes(options: EventRoutesOptions): Route[] {
  return [dispatchRoute, resendRoute, recoverRoute].map((route) => route(options));
}
