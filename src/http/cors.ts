// Cross-origin answers. In `dev` any origin may read; in `serve` only those of PYLON_CORS_ORIGIN.

import type { RouteAnswer } from "../plugin/route.ts";

export interface CorsOptions {
  /** `*`, or the allowed origins; empty allows none. */
  readonly origins: readonly string[];
}

const METHODS = "GET, POST, PATCH, PUT, DELETE, HEAD, OPTIONS";
const HEADERS = "Content-Type, Authorization, X-API-Key, Idempotency-Key, X-Request-Id, X-Filename, If-None-Match";
const EXPOSED = "X-Request-Id, ETag, Retry-After, Idempotency-Replayed";
const MAX_AGE_SECS = "600";

export type Cors = (origin: string | null) => Readonly<Record<string, string>>;

/** Creates the function that gives the headers for a request's Origin; none for a same-origin request. */
export function createCors(options: CorsOptions): Cors {
  const any = options.origins.includes("*");
  const allowed = new Set(options.origins);
  // Also without an Origin: a cache must not hand that answer to a page that has one.
  const otherwise: Readonly<Record<string, string>> = any || allowed.size === 0 ? {} : { vary: "Origin" };
  return (origin) => {
    if (origin === null) return otherwise;
    if (any) return { "access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED };
    if (!allowed.has(origin)) return otherwise;
    return {
      "access-control-allow-origin": origin,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": EXPOSED,
      vary: "Origin",
    };
  };
}

/** Whether a browser asks for permission (Fetch standard, CORS-preflight request); other OPTIONS requests are just that. */
export function isPreflight({ method, headers }: Request): boolean {
  return method === "OPTIONS" && headers.has("origin") && headers.has("access-control-request-method");
}

/** The answer to a preflight. */
export function answerPreflight(): RouteAnswer {
  return {
    status: 204,
    headers: {
      "access-control-allow-methods": METHODS,
      "access-control-allow-headers": HEADERS,
      "access-control-max-age": MAX_AGE_SECS,
    },
  };
}
