// The only place where an error becomes a response. A coded error answers its code; anything else answers INTERNAL and a
// request id, and its text goes to the log.

import { coreError, messageOf, PylonError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { RouteAnswer } from "../plugin/route.ts";
import { storeError } from "../store/store-errors.ts";

const STORE_MESSAGES: ReadonlyMap<string, string> = new Map(
  Object.entries(storeError.table).map(([code, { message }]) => [code, message]),
);

/** A store's own text is the database's and names tables, columns and files: it stays in the log. */
function messageFor({ code, message }: PylonError): string {
  return STORE_MESSAGES.get(code) ?? message;
}

/** `{"error":{"code","message","hint"?,"details"?}}` */
export function errorBody(error: PylonError): { readonly error: Readonly<Record<string, unknown>> } {
  return {
    error: {
      code: error.code,
      message: messageFor(error),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.details === undefined
        ? {}
        : { details: error.details.map(({ path, message }) => ({ path, message })) }),
    },
  };
}

function toPylonError(error: unknown, requestId: string, log: Log): PylonError {
  if (error instanceof PylonError) {
    // 503 is what a process says that stops or has too much to do: worth knowing, and nothing to be woken for.
    const level = error.status === 503 ? "warn" : "error";
    if (error.status >= 500) {
      const reason = error.cause === undefined ? undefined : messageOf(error.cause);
      const { code, message, hint } = error;
      log[level]("request.failed", { requestId, code, message, hint, reason });
    }
    return error;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  log.error("request.crashed", { requestId, message: messageOf(error), stack });
  return coreError("INTERNAL", { hint: `The log has the reason under request id ${requestId}` });
}

const DEFAULT_RETRY_AFTER_SECS = 1;

export function answerError(error: unknown, requestId: string, log: Log): RouteAnswer {
  const coded = toPylonError(error, requestId, log);
  const retryable = coded.status === 503 || coded.status === 429;
  const retryAfter = coded.retryAfterSecs ?? (retryable ? DEFAULT_RETRY_AFTER_SECS : undefined);
  return {
    status: coded.status,
    json: errorBody(coded),
    ...(retryAfter === undefined ? {} : { headers: { "retry-after": String(Math.ceil(retryAfter)) } }),
  };
}
