// Endpoints over HTTP, where the entity's own routes do not suffice: creating one shows its secret once, and whoever manages
// it can read and rotate the secret or ask for a test event.

import { z } from "zod";
import { coreError } from "../../core/errors.ts";
import { isObject } from "../../core/json.ts";
import { generateWebhookSecret } from "../../crypto/webhook-secret.ts";
import type { Data, DataWriter } from "../../data/data.ts";
import { defineRoute, type Route, type RouteAnswer, type RouteRequest } from "../../plugin/route.ts";
import type { Reader } from "../../store/store.ts";
import type { ReadEvent } from "./dispatch.ts";
import { managedEndpoint } from "./endpoint-access.ts";
import { secretProblem } from "./endpoint-input.ts";
import type { EndpointSecrets } from "./endpoint-secrets.ts";
import { TEST_TYPE } from "./event-type.ts";
import type { FanOut } from "./fan-out.ts";
import { ENDPOINT } from "./webhook-entities.ts";
import { customerWebhookError } from "./webhook-errors.ts";

export const TAG = "customer webhooks";
export const ENDPOINT_PATH = "/api/webhook-endpoints/:id";
const MAX_GRACE_SECS = 30 * 86_400;
const NO_STORE = { "cache-control": "no-store" };

export interface EndpointRoutesOptions {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly secrets: EndpointSecrets;
  readonly readEvent: ReadEvent;
  readonly fanOut: FanOut;
}

function withSecret(body: unknown, secret: string, tenantId: string | null): unknown {
  if (!isObject(body)) return body;
  const { applicationId = tenantId ?? undefined, ...fields } = body;
  return { ...fields, ...(applicationId === undefined ? {} : { applicationId }), secret };
}

/** In place of the entity's own route. An answer that is kept for an Idempotency-Key is kept without the secret. */
async function createEndpoint({ data }: EndpointRoutesOptions, request: RouteRequest): Promise<RouteAnswer> {
  const { identity: actor, requestId, body, receipt } = request;
  const given = isObject(body) ? body["secret"] : undefined;
  const secret = given === undefined || given === null ? generateWebhookSecret() : given;
  const input = withSecret(body, secret as string, actor.tenantId);
  const { codec } = data().model.entity(ENDPOINT);
  const row = await data().write({ actor, policies: true, requestId }, async (writer) => {
    const created = codec.toJson(await writer.insert(ENDPOINT, input));
    await receipt?.commit(writer.tx, { status: 201, json: created });
    return created;
  });
  return { status: 201, json: { ...row, secret }, headers: NO_STORE };
}

function createRoute(options: EndpointRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: `/api/entities/${ENDPOINT}`,
    access: "anyone",
    tag: TAG,
    summary: "Create an endpoint; its secret is shown in this answer alone",
    body: z.unknown(),
    idempotency: "transactional",
    answers: { 201: { description: "The endpoint with its secret" } },
    handle: (request) => createEndpoint(options, request),
  });
}

function secretRoute({ data, reader, secrets }: EndpointRoutesOptions): Route {
  return defineRoute({
    method: "GET",
    path: `${ENDPOINT_PATH}/secret`,
    access: "user",
    tag: TAG,
    summary: "Read the current secret of an endpoint",
    answers: { 200: { description: "The secret" }, 404: { description: "No such endpoint" } },
    async handle({ identity, params }) {
      const { id } = await managedEndpoint(data(), identity, params.id ?? "");
      const secret = await secrets.current(reader, id);
      if (secret === undefined)
        throw coreError("NOT_FOUND", { message: "The endpoint has no secret", hint: "Rotate it" });
      return { status: 200, json: { secret }, headers: NO_STORE };
    },
  });
}

/** No body asks for what an empty one does. */
const rotation = z
  .strictObject({
    secret: z.string().optional(),
    /** Seconds for which the secrets before still sign. */
    graceSecs: z.number().min(0).max(MAX_GRACE_SECS).default(86_400),
  })
  .prefault({});

async function rotateSecret(
  options: EndpointRoutesOptions,
  request: RouteRequest<unknown, z.infer<typeof rotation>>,
): Promise<RouteAnswer> {
  const { data, secrets } = options;
  const { identity: actor, params, requestId, body, receipt } = request;
  const { id } = await managedEndpoint(data(), actor, params.id ?? "");
  const secret = body.secret ?? generateWebhookSecret();
  const reason = secretProblem(secret);
  if (reason !== null) throw coreError("VALIDATION_FAILED", { details: [{ path: "secret", message: reason }] });
  const sealed = await secrets.seal(secret);
  const change = { secret: sealed, graceMs: body.graceSecs * 1_000 };
  const answer: RouteAnswer = { status: 200, json: { secret }, headers: NO_STORE, secret: true };
  await data().write({ actor, policies: true, requestId }, async (writer: DataWriter) => {
    // A write of the row as well: the policy is asked in the transaction, and whoever watches the entity hears of it.
    const row = await writer.get(ENDPOINT, id);
    const updated = row && (await writer.update(ENDPOINT, id, { url: row.url }));
    if (!updated) throw coreError("NOT_FOUND", { message: `There is no such ${ENDPOINT}` });
    await secrets.rotate(writer.tx, id, change);
    await receipt?.commit(writer.tx, answer);
  });
  return answer;
}

function rotateRoute(options: EndpointRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: `${ENDPOINT_PATH}/rotate-secret`,
    access: "user",
    tag: TAG,
    summary: "Give an endpoint a new secret; the one before signs beside it until the grace ends",
    body: rotation,
    idempotency: "transactional",
    answers: {
      200: { description: "The new secret" },
      404: { description: "No such endpoint" },
      409: { description: "Too many secrets still sign" },
    },
    handle: (request) => rotateSecret(options, request),
  });
}

function testRoute({ data, readEvent, fanOut }: EndpointRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: `${ENDPOINT_PATH}/test`,
    access: "user",
    tag: TAG,
    summary: "Send a test event to one endpoint, whatever it subscribes to",
    idempotency: "transactional",
    answers: {
      202: { description: "Scheduled" },
      404: { description: "No such endpoint" },
      409: { description: "The endpoint is disabled" },
    },
    async handle({ identity: actor, params, requestId, receipt }) {
      const row = await managedEndpoint(data(), actor, params.id ?? "");
      if (row.disabled === true) throw customerWebhookError("ENDPOINT_DISABLED");
      const input = { type: TEST_TYPE, data: { endpointId: row.id }, applicationId: row.applicationId };
      const event = readEvent(input, null, row.id);
      const answer = { status: 202, json: { eventId: event.eventId } };
      await data().write({ actor, policies: true, requestId }, async ({ tx }) => {
        await fanOut.write(tx, event);
        await receipt?.commit(tx, answer);
      });
      return answer;
    },
  });
}

export function endpointRoutes(options: EndpointRoutesOptions): Route[] {
  return [createRoute, secretRoute, rotateRoute, testRoute].map((route) => route(options));
}
