// The HTTP application: every request gets an id, an answer and a line in the log, whatever happens inside.

import { Hono, type Context } from "hono";
import type { Clock } from "../core/clock.ts";
import { coreError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Route, RouteAnswer } from "../plugin/route.ts";
import { answerPreflight, isPreflight, type Cors } from "./cors.ts";
import { answerError } from "./error-response.ts";
import { httpError } from "./http-errors.ts";
import { loggedPath } from "./logged-path.ts";
import type { Metrics } from "./metrics.ts";
import { createRequestIds } from "./request-id.ts";
import type { RunRoute } from "./route-runner.ts";

export interface HttpServerOptions {
  readonly routes: readonly Route[];
  readonly run: RunRoute;
  readonly cors: Cors;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  /** One log line per request. */
  readonly logRequests: boolean;
}

export interface HttpServer {
  /** Answers one request; never rejects. `peerOf` gives the caller's address to the few routes that ask for it. */
  fetch(request: Request, peerOf?: () => string | null): Promise<Response>;
  /** From now on requests answer 503 DRAINING, apart from `/health`. */
  drain(): void;
  readonly isDraining: boolean;
  /** Requests that have no answer yet. */
  readonly inFlight: number;
}

const ALWAYS: Readonly<Record<string, string>> = { "x-content-type-options": "nosniff" };

/** An answer that varies by something of its own still varies by the origin. */
function withVary(answer: RouteAnswer, headers: Readonly<Record<string, string>>): RouteAnswer["headers"] {
  if (answer.headers?.vary === undefined || headers.vary === undefined) return answer.headers;
  return { ...answer.headers, vary: `${headers.vary}, ${answer.headers.vary}` };
}

function toResponse(answer: RouteAnswer | Response, headers: Readonly<Record<string, string>>): Response {
  if (answer instanceof Response) {
    const response = new Response(answer.body, answer);
    for (const [name, value] of Object.entries(headers)) {
      if (name === "vary") response.headers.append(name, value);
      else response.headers.set(name, value);
    }
    return response;
  }
  const own = withVary(answer, headers);
  if (answer.text !== undefined) {
    const type = { "content-type": "text/plain; charset=utf-8" };
    return new Response(answer.text, { status: answer.status, headers: { ...type, ...headers, ...own } });
  }
  if (answer.json === undefined) {
    return new Response(null, { status: answer.status, headers: { ...headers, ...own } });
  }
  const type = { "content-type": "application/json" };
  return new Response(JSON.stringify(answer.json), {
    status: answer.status,
    headers: own ? { ...type, ...headers, ...own } : { ...type, ...headers },
  });
}

/** A request, for its line in the log. */
interface Asked {
  readonly route: Route;
  readonly request: Request;
  readonly requestId: string;
  readonly startedMs: number;
}

interface Env {
  readonly Bindings: { readonly peerOf: () => string | null; readonly requestId: string };
}

const UNKNOWN_ROUTE: Route = {
  method: "ALL",
  path: "*",
  access: "anyone",
  tag: "system",
  summary: "Anything else",
  answers: {},
  handle: () =>
    Promise.reject(
      coreError("NOT_FOUND", { message: "There is no such route", hint: "GET /api/openapi.json lists all of them" }),
    ),
};

const noPeer = (): null => null;

/** What may still be asked of a process that is shutting down. */
const WHILE_DRAINING: ReadonlySet<string> = new Set(["/health", "/readyz", "/metrics"]);

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { cors, log, metrics, clock } = options;
  const nextRequestId = createRequestIds();
  let draining = false;
  let inFlight = 0;

  const finish = ({ route, request, requestId, startedMs }: Asked, { status }: Response): void => {
    const { method, url } = request;
    const durationMs = clock.monotonic() - startedMs;
    metrics.observe({ method, route: route.path, status, durationMs });
    if (!options.logRequests) return;
    const ms = Math.round(durationMs * 1_000) / 1_000;
    log.info("request", { requestId, method, path: loggedPath(route, url), status, ms });
  };

  const answer = async (route: Route, context: Context<Env>): Promise<Response> => {
    const startedMs = clock.monotonic();
    const { raw } = context.req;
    const { peerOf, requestId } = context.env;
    const headers = { ...ALWAYS, ...cors(raw.headers.get("origin")), "x-request-id": requestId };
    inFlight += 1;
    let response: Response;
    try {
      if (draining && !WHILE_DRAINING.has(route.path)) throw httpError("DRAINING", { retryAfterSecs: 1 });
      const params = context.req.param() as Record<string, string>;
      const result = await options.run(route, { raw, requestId, params, url: raw.url, peerOf });
      response = toResponse(result, headers);
    } catch (error) {
      response = toResponse(
        answerError(error, requestId, log),
        draining ? { ...headers, connection: "close" } : headers,
      );
    } finally {
      inFlight -= 1;
    }
    finish({ route, request: raw, requestId, startedMs }, response);
    return response;
  };

  const preflight = (context: Context<Env>): Response => {
    const headers = { ...cors(context.req.raw.headers.get("origin")), "x-request-id": context.env.requestId };
    return toResponse(answerPreflight(), headers);
  };
  const app = new Hono<Env>({ strict: false });
  for (const route of options.routes) {
    if (route.method === "ALL") {
      // A browser asks before it sends: the question must not run what it asks about.
      app.all(route.path, (context) => (isPreflight(context.req.raw) ? preflight(context) : answer(route, context)));
    } else app.on(route.method, route.path, (context) => answer(route, context));
  }
  app.options("*", preflight);
  app.notFound((context) => answer(UNKNOWN_ROUTE, context));
  app.onError((error, context) =>
    toResponse(answerError(error, context.env.requestId, log), { ...ALWAYS, "x-request-id": context.env.requestId }),
  );

  return {
    fetch(request, peerOf = noPeer) {
      const requestId = nextRequestId(request.headers.get("x-request-id"));
      return Promise.resolve(app.fetch(request, { peerOf, requestId }));
    },
    drain() {
      draining = true;
    },
    get isDraining() {
      return draining;
    },
    get inFlight() {
      return inFlight;
    },
  };
}
