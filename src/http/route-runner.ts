// Runs one route for one request: who asks, may they, do the inputs fit, what is the answer.

import { coreError, isPylonError } from "../core/errors.ts";
import { ANONYMOUS, type Identity } from "../core/identity.ts";
import { readWithSchema } from "../manifest/schema-problems.ts";
import type { Access, Receipt, Route, RouteAnswer, RouteRequest } from "../plugin/route.ts";
import { httpError } from "./http-errors.ts";
import type { Idempotency } from "./idempotency.ts";
import { parseJson, readBytes, readText, requireJsonType } from "./request-body.ts";
import type { ZodType } from "zod";

/** A request as the server hands it on. */
export interface Incoming {
  readonly raw: Request;
  readonly requestId: string;
  readonly params: Readonly<Record<string, string>>;
  readonly url: string;
  readonly peerOf: () => string | null;
}

export interface RouteRunnerOptions {
  /** @throws INVALID_TOKEN for a token that is not known. */
  identify(authorization: string | null, apiKey: string | null): Promise<Identity>;
  readonly maxBodyBytes: number;
  readonly idempotency: Idempotency;
}

const NO_BYTES = new Uint8Array(0);

function requireAccess(access: Access, identity: Identity): void {
  if (access === "anyone") return;
  if (identity.kind === "anonymous") throw coreError("AUTH_REQUIRED");
  if (access === "admin" && !identity.isAdmin) throw httpError("ADMIN_ONLY");
}

function parseInput(schema: ZodType, value: unknown): unknown {
  const read = readWithSchema(schema, value, { unknownKey: "Unknown field" });
  if (!read.ok) throw coreError("VALIDATION_FAILED", { details: read.problems });
  return read.value;
}

/** A repeated parameter becomes a list, which schemas refuse unless they ask for one. */
export function queryOf(url: string): Record<string, string | string[]> {
  const start = url.indexOf("?");
  if (start < 0) return {};
  const query = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(url.slice(start))) {
    const earlier = query.get(name);
    if (earlier === undefined) query.set(name, value);
    else if (typeof earlier === "string") query.set(name, [earlier, value]);
    else earlier.push(value);
  }
  // Not by assignment: a parameter named __proto__ would become something else.
  return Object.fromEntries(query);
}

/** Whether the request is one that is to be done once. */
function isKeyed(route: Route, { headers }: Request): boolean {
  return route.idempotency !== undefined && headers.has("idempotency-key");
}

interface Inputs {
  readonly query: unknown;
  readonly body: unknown;
  readonly bodyText: string;
  readonly rawBody: Uint8Array;
}

async function readInputs(route: Route, incoming: Incoming, maxBodyBytes: number): Promise<Inputs> {
  const query = route.query ? parseInput(route.query, queryOf(incoming.url)) : undefined;
  if (route.rawBody) {
    return { query, body: undefined, bodyText: "", rawBody: await readBytes(incoming.raw, maxBodyBytes) };
  }
  if (!route.body) {
    // What is not used still tells whether a key is sent again with another body.
    const bodyText = isKeyed(route, incoming.raw) ? await readText(incoming.raw, maxBodyBytes) : "";
    return { query, body: undefined, bodyText, rawBody: NO_BYTES };
  }
  requireJsonType(incoming.raw);
  const bodyText = await readText(incoming.raw, maxBodyBytes);
  return { query, body: parseInput(route.body, parseJson(bodyText)), bodyText, rawBody: NO_BYTES };
}

async function runWithKey(
  route: Route,
  request: RouteRequest,
  bodyText: string,
  idempotency: Idempotency,
): Promise<RouteAnswer> {
  const key = request.raw.headers.get("idempotency-key") ?? "";
  const handle = async (receipt: Receipt): Promise<RouteAnswer> => {
    if (route.idempotency === "recorded") await receipt.reserve();
    const answer = await route.handle(route.idempotency === "recorded" ? request : { ...request, receipt });
    if (answer instanceof Response) throw new TypeError("A route with idempotency answers plain values");
    return answer;
  };
  const { identity, raw } = request;
  const path = new URL(raw.url).pathname;
  return idempotency.run({ key, identity, method: raw.method, path, bodyText }, handle);
}

async function identifyFor(route: Route, headers: Headers, options: RouteRunnerOptions): Promise<Identity> {
  const identified = options.identify(headers.get("authorization"), headers.get("x-api-key"));
  if (!route.foreignAuthorization) return identified;
  try {
    return await identified;
  } catch (error) {
    if (isPylonError(error, "INVALID_TOKEN")) return ANONYMOUS;
    throw error;
  }
}

export type RunRoute = (route: Route, incoming: Incoming) => Promise<RouteAnswer | Response>;

export function createRouteRunner(options: RouteRunnerOptions): RunRoute {
  return async (route, incoming) => {
    const identity = await identifyFor(route, incoming.raw.headers, options);
    requireAccess(route.access, identity);
    const { bodyText, ...inputs } = await readInputs(route, incoming, options.maxBodyBytes);
    const { raw, requestId, params, peerOf } = incoming;
    const request: RouteRequest = { identity, requestId, params, raw, peerOf, receipt: null, ...inputs };
    if (isKeyed(route, raw)) {
      return runWithKey(route, request, bodyText, options.idempotency);
    }
    return route.handle(request);
  };
}
