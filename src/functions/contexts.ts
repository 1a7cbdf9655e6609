// What a handler is given as `ctx`: the shapes that application code is written against.

import type { Env } from "../core/env.ts";
import type { PylonError } from "../core/errors.ts";
import type { Loose } from "./validators.ts";

/** Who called. A scheduled function runs as the identity that scheduled it. */
export interface FunctionAuth {
  readonly userId: string | null;
  readonly email: string | null;
  readonly roles: readonly string[];
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  readonly hasRole: (role: string) => boolean;
}

export interface PaginateOptions {
  /** Where the last page ended; null or absent for the first. */
  readonly cursor?: string | null;
  /** 1 to 1000. */
  readonly numItems: number;
  readonly filter?: Readonly<Record<string, unknown>>;
}

export interface DbPage<R> {
  readonly page: R[];
  readonly nextCursor: string | null;
  readonly isDone: boolean;
}

/**
 * Reads past policies: what a function may show is the function's decision. Rows are loosely typed unless the caller names
 * a type: `ctx.db.get<Invoice>("Invoice", id)`.
 */
export interface DbReader {
  get<R = Loose>(entity: string, id: string): Promise<R | null>;
  /** By id. @throws RESULT_TOO_LARGE above 10,000 rows: use `paginate` */
  list<R = Loose>(entity: string): Promise<R[]>;
  /** `{field: value}`, `{field: {$gt: 1}}`, `$order`, `$limit`, `$offset`. */
  query<R = Loose>(entity: string, filter?: Readonly<Record<string, unknown>>): Promise<R[]>;
  lookup<R = Loose>(entity: string, field: string, value: unknown): Promise<R | null>;
  paginate<R = Loose>(entity: string, options: PaginateOptions): Promise<DbPage<R>>;
}

export interface DbWriter extends DbReader {
  /** Answers the id. @throws VALIDATION_FAILED, CONFLICT */
  insert(entity: string, row: Readonly<Record<string, unknown>>): Promise<string>;
  /** Answers whether the row existed. @throws VALIDATION_FAILED, CONFLICT */
  update(entity: string, id: string, patch: Readonly<Record<string, unknown>>): Promise<boolean>;
  /** Answers whether the row existed. */
  delete(entity: string, id: string): Promise<boolean>;
}

/** Durable calls of mutations and actions. In a mutation they exist only if it commits. */
export interface Scheduler {
  /** Answers the job id. @throws FN_NOT_FOUND, VALIDATION_FAILED */
  runAfter(delayMs: number, name: string, args?: Readonly<Record<string, unknown>>): Promise<string>;
  /** `at` is epoch milliseconds. Answers the job id. @throws FN_NOT_FOUND, VALIDATION_FAILED */
  runAt(at: number, name: string, args?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Answers whether the call was still waiting. */
  cancel(jobId: string): Promise<boolean>;
}

/** The HTTP request that an action answers under `/api/webhooks/<name>`. */
export interface WebhookRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Exactly the bytes received, as UTF-8 text. */
  readonly rawBody: string;
}

interface BaseContext {
  readonly auth: FunctionAuth;
  readonly env: Env;
  /**
   * Makes an error that the caller sees as 400 with this code and message: `throw ctx.error("SOLD_OUT", "…")`. Nothing
   * happens unless it is thrown.
   */
  readonly error: (code: string, message: string) => PylonError;
}

export interface QueryContext extends BaseContext {
  readonly db: DbReader;
}

export interface MutationContext extends BaseContext {
  readonly db: DbWriter;
  readonly scheduler: Scheduler;
}

export interface ActionContext extends BaseContext {
  /** Each call commits by itself. */
  readonly db: DbWriter;
  readonly scheduler: Scheduler;
  readonly runQuery: <R = Loose>(name: string, args?: Readonly<Record<string, unknown>>) => Promise<R>;
  readonly runMutation: <R = Loose>(name: string, args?: Readonly<Record<string, unknown>>) => Promise<R>;
  /** Only when called through `/api/webhooks/<name>`. */
  readonly request?: WebhookRequest;
}
