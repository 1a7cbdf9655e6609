// What an HTTP route is: its inputs as schemas, its answer, and who may call it. The server, the validation and the
// OpenAPI document are all made from this, so a route cannot be served and left undocumented.

import type { ZodType } from "zod";
import type { Identity } from "../core/identity.ts";
import type { Json } from "../core/json.ts";
import type { Tx } from "../store/store.ts";

export type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE" | "ALL";

/** `anyone` includes anonymous callers; `user` refuses them with 401; `admin` refuses others with 403. */
export type Access = "anyone" | "user" | "admin";

export interface RouteRequest<Query = unknown, Body = unknown> {
  readonly identity: Identity;
  readonly requestId: string;
  /** Path parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** The request itself. Its body is already read when the route declares `body` or `rawBody`. */
  readonly raw: Request;
  /** The body's bytes, when the route declares `rawBody`. */
  readonly rawBody: Uint8Array;
  /** The caller's address, for sign-in limits; null when it is not known. */
  readonly peerOf: () => string | null;
  /** Given when the caller sent an Idempotency-Key and the route is `transactional`. */
  readonly receipt: Receipt | null;
}

/** Remembers a write's answer for its Idempotency-Key. */
export interface Receipt {
  /** Stores the answer in the write's own transaction: both commit, or neither. */
  commit(tx: Tx, answer: RouteAnswer): Promise<void>;
  /** Marks the key as running, for a route that has no transaction of its own. */
  reserve(): Promise<void>;
}

/** JSON by default; `text` and `headers` for the rest. `json: undefined` answers no body. */
export interface RouteAnswer {
  /** It holds a secret: it is not kept for an Idempotency-Key, and a repetition is told so with 409. */
  readonly secret?: true;
  readonly status: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route<Query = unknown, Body = unknown> {
  readonly method: Method;
  /** Hono syntax: `/api/admin/deliveries/:deliveryId`. */
  readonly path: string;
  readonly access: Access;
  /**
   * The Authorization header may be somebody else's (a sender of webhooks, a probe): one that Pylon does not know makes the
   * caller anonymous instead of being refused.
   */
  readonly foreignAuthorization?: boolean;
  /** One line for the OpenAPI document. */
  readonly summary: string;
  /** Groups routes in the OpenAPI document. */
  readonly tag: string;
  readonly query?: ZodType<Query>;
  /** A JSON body; absent means that none is read. */
  readonly body?: ZodType<Body>;
  /** Hands the bytes over unparsed instead. */
  readonly rawBody?: boolean;
  /**
   * How an Idempotency-Key is honoured: `transactional` routes call `receipt.commit` in their transaction, `recorded`
   * ones have their answer stored behind them, absent ignores the key. Every route that writes has one of the two.
   */
  readonly idempotency?: "transactional" | "recorded";
  /** What it answers. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema?: Json }>>;
  handle(request: RouteRequest<Query, Body>): Promise<RouteAnswer | Response>;
}

/** Keeps a route's inferred types and forgets them for the table that holds all routes. */
export function defineRoute<Query, Body>(route: Route<Query, Body>): Route {
  return route;
}
