// The OpenFeature Remote Evaluation Protocol (open-feature/protocol, OpenAPI 0.3.0): one flag, all flags, and the stream
// that tells a client to evaluate again. Answers and errors are the protocol's, not ours.

import { z } from "zod";
import { authError } from "../../auth/auth-errors.ts";
import type { Clock } from "../../core/clock.ts";
import type { Identity } from "../../core/identity.ts";
import { defineRoute, type Route, type RouteAnswer } from "../../plugin/route.ts";
import { type Announcement, announcementAt } from "./announcement.ts";
import type { ChangeStreams, StreamTokens } from "./change-streams.ts";
import { isUnchanged } from "./entity-tag.ts";
import type { FlagContext } from "./evaluation.ts";
import type { LiveFlags } from "./live-flags.ts";
import { type ContextResult, parseContext, subjectOf } from "./ofrep-context.ts";
import { answerAll, answerFlag } from "./served-flags.ts";

export interface OfrepRoutesOptions {
  readonly live: LiveFlags;
  readonly streams: ChangeStreams;
  readonly tokens: StreamTokens;
  readonly clock: Clock;
  /** What stands before the path where a proxy serves Pylon below a folder; empty or `/folder`. */
  readonly basePath: string;
}

const TAG = "ofrep";
const EVENTS_PATH = "/ofrep/v1/events";
const JSON_TYPE = { "content-type": "application/json" };
const NO_STORE = { "cache-control": "no-store" };
/** How long a hidden page keeps its stream, in seconds. */
const INACTIVITY_SECS = 120;

type Read = Extract<ContextResult, { ok: true }>;

function contextFor(identity: Identity, { context }: Read, clock: Clock): FlagContext {
  return { ...subjectOf(identity, context), nowMs: clock.now() };
}

function singleRoute({ live, clock }: OfrepRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: "/ofrep/v1/evaluate/flags/:key{.+}",
    access: "anyone",
    tag: TAG,
    summary: "Evaluate one flag for a context (OFREP)",
    rawBody: true,
    answers: {
      200: { description: "key, value, variant, reason, metadata" },
      400: { description: "key, errorCode, errorDetails", schema: {} },
      404: { description: "key and errorCode FLAG_NOT_FOUND", schema: {} },
    },
    async handle({ identity, params, rawBody }): Promise<RouteAnswer> {
      const key = params.key ?? "";
      const read = parseContext(rawBody);
      if (!read.ok) return { status: 400, json: { key, ...read.failure } };
      await live.fresh();
      const served = live.current.byName.get(key);
      if (!served) {
        return { status: 404, json: { key, errorCode: "FLAG_NOT_FOUND", errorDetails: "There is no such flag" } };
      }
      const { index } = answerFlag(served, contextFor(identity, read, clock));
      return { status: 200, text: served.remote[index] as string, headers: { ...JSON_TYPE, ...NO_STORE } };
    },
  });
}

/** The same text until there is something to announce, so that a client keeps its stream when it evaluates again. */
function streamsFor(token: string, since: Announcement, basePath: string): string {
  const requestUri = `${basePath}${EVENTS_PATH}?token=${token}&since=${since.version}`;
  return JSON.stringify([{ type: "sse", endpoint: { requestUri }, inactivityDelaySec: INACTIVITY_SECS }]);
}

function bulkRoute({ live, tokens, clock, basePath }: OfrepRoutesOptions): Route {
  return defineRoute({
    method: "POST",
    path: "/ofrep/v1/evaluate/flags",
    access: "anyone",
    tag: TAG,
    summary: "Evaluate all flags for a context (OFREP)",
    rawBody: true,
    answers: {
      200: { description: "flags, metadata, eventStreams" },
      304: { description: "The flags are what If-None-Match names" },
      400: { description: "errorCode, errorDetails", schema: {} },
    },
    async handle({ identity, raw, rawBody }): Promise<RouteAnswer> {
      const read = parseContext(rawBody);
      if (!read.ok) return { status: 400, json: read.failure };
      await live.fresh();
      const token = await tokens.current();
      const set = live.current;
      const context = contextFor(identity, read, clock);
      const { parts, tag } = answerAll(set, "remote", context);
      // With the token's window: whoever is answered 304 still holds a token that opens the stream.
      const etag = `"${tag}-${token.slice(0, token.indexOf("."))}"`;
      const headers = { ...NO_STORE, vary: "Authorization", etag };
      if (isUnchanged(raw, etag)) return { status: 304, headers };
      const metadata = JSON.stringify({ version: set.version });
      const eventStreams = streamsFor(token, announcementAt(set, context.nowMs), basePath);
      return {
        status: 200,
        text: `{"flags":[${parts.join(",")}],"metadata":${metadata},"eventStreams":${eventStreams}}`,
        headers: { ...headers, ...JSON_TYPE },
      };
    },
  });
}

const eventsQuery = z.strictObject({ token: z.string().max(100), since: z.string().max(100).optional() });

function eventsRoute({ live, streams, tokens }: OfrepRoutesOptions): Route {
  return defineRoute({
    method: "GET",
    path: EVENTS_PATH,
    access: "anyone",
    tag: TAG,
    summary: "Server-sent events that say when to evaluate again; the address comes with an evaluation of all flags",
    query: eventsQuery,
    answers: {
      200: {
        description: "refetchEvaluation events",
        schema: { type: "string", contentMediaType: "text/event-stream" },
      },
      401: { description: "The token has expired: evaluate again for a new address" },
    },
    async handle({ query, raw }) {
      if (!(await tokens.isValid(query.token))) throw authError("INVALID_TOKEN", { hint: "Evaluate all flags again" });
      const seen = raw.headers.get("last-event-id") ?? query.since ?? null;
      return new Response(streams.open(seen, live.current), {
        headers: { ...NO_STORE, "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" },
      });
    },
  });
}

export function ofrepRoutes(options: OfrepRoutesOptions): Route[] {
  return [singleRoute(options), bulkRoute(options), eventsRoute(options)];
}
