// An application's functions over HTTP: called by name with JSON, or, for actions, handed a request as it came so that a
// signature over its bytes can be checked.

import { z } from "zod";
import type { Json } from "../core/json.ts";
import type { DataWriter } from "../data/data.ts";
import type { WebhookRequest } from "../functions/contexts.ts";
import type { Caller, Functions } from "../functions/functions.ts";
import { defineRoute, type Route, type RouteAnswer, type RouteRequest } from "../plugin/route.ts";

export const FUNCTION_PATH = "/api/fn/:name";
export const WEBHOOK_PATH = "/api/webhooks/:name";

function callerOf({ identity, requestId }: RouteRequest): Caller {
  return { actor: identity, requestId };
}

/** Keeps a byte order mark: without it the text would not be the bytes that were signed. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The path with its query: senders that prove an address first put the challenge there, and some sign both. */
function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

function webhookRequestOf({ raw, rawBody }: RouteRequest): WebhookRequest {
  return {
    method: raw.method,
    path: pathOf(raw.url),
    headers: Object.fromEntries(raw.headers),
    rawBody: decoder.decode(rawBody),
  };
}

/** With an Idempotency-Key the answer of a mutation commits with it; other kinds have no transaction to commit it in. */
async function callOnce(functions: Functions, request: RouteRequest): Promise<RouteAnswer> {
  const name = request.params.name ?? "";
  const { receipt } = request;
  if (receipt && functions.kindOf(name) === "mutation") {
    const beforeCommit = (writer: DataWriter, result: Json): Promise<void> =>
      receipt.commit(writer.tx, { status: 200, json: result });
    const result = await functions.call(name, request.body, { ...callerOf(request), beforeCommit });
    return { status: 200, json: result };
  }
  await receipt?.reserve();
  return { status: 200, json: await functions.call(name, request.body, callerOf(request)) };
}

export function functionRoutes(functions: Functions): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: FUNCTION_PATH,
      access: "anyone",
      tag: "functions",
      summary: "Call a function with its arguments",
      body: z.unknown(),
      idempotency: "transactional",
      answers: {
        200: { description: "What the function returned", schema: {} },
        404: { description: "No such function" },
      },
      handle: (request) => callOnce(functions, request),
    }),
    defineRoute({
      method: "ALL",
      path: WEBHOOK_PATH,
      access: "anyone",
      foreignAuthorization: true,
      tag: "functions",
      summary: "Hand a request to an action",
      rawBody: true,
      answers: {
        200: { description: "What the action returned", schema: {} },
        400: { description: "The function is not an action, or refused the request" },
        404: { description: "No such function" },
      },
      async handle(request) {
        const name = request.params.name ?? "";
        return { status: 200, json: await functions.callWebhook(name, webhookRequestOf(request), callerOf(request)) };
      },
    }),
  ];
}
