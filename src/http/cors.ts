// Cross-origin answers. In `dev` any origin may read; in `serve` only those of PYLON_CORS_ORIGIN.

import type { RouteAnswer } from "../plugin/route.ts";

export interface CorsOptions {
  /** `*`, or the allowed origins; empty allows none. */
  readonly origins: readonly string[];
}

const METHODS = "GET, POST, PATCH, PUT, DELETE, HEAD, OPTIONS";
const HEADERS = "Content-Type, Authorization, Idempotency-Key, X-Request-Id, X-Filename, If-None-Match";
const EXPOSED = "X-Request-Id, ETag, Retry-After, Idempotency-Replayed";
const MAX_AGE_SECS = "600";

export type Cors = (origin: string | null) => Readonly<Record<string, string>>;

/** Creates the function that gives the headers for a request's Origin; none for a same-origin request. */
export function createCors(options: CorsOptions): Cors {
  const any = options.origins.includes("*");
  const allowed = new Set(options.origins);
  return (origin) => {
    if (origin === null) return {};
    if (any) return { "access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED };
    if (!allowed.has(origin)) return { vary: "Origin" };
    return {
      "access-control-allow-origin": origin,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": EXPOSED,
      vary: "Origin",
    };
  };
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
