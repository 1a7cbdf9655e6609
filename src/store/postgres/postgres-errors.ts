// Turns what Postgres and its driver throw into the store's codes. A transaction that the server undid so that another one
// could go on is told apart: it is run again.

import { PylonError, type ErrorOptions } from "../../core/errors.ts";
import { storeError } from "../store-errors.ts";

type StoreCode = keyof typeof storeError.table;

/** SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html), or the first two characters: its class. */
const CODES: Readonly<Record<string, StoreCode>> = {
  "08": "STORE_UNAVAILABLE",
  "25006": "STORE_UNWRITABLE",
  "28": "STORE_REFUSED",
  "3D": "STORE_REFUSED",
  "40": "STORE_BUSY",
  "53": "STORE_BUSY",
  "53100": "STORE_FULL",
  "53300": "STORE_UNAVAILABLE",
  "55P03": "STORE_BUSY",
  "57014": "STORE_BUSY",
  "57P": "STORE_UNAVAILABLE",
};
const UNIQUE_VIOLATION = "23505";
/** Serialization failure, deadlock. */
const RETRIED: ReadonlySet<string> = new Set(["40001", "40P01"]);

/** The server's five-character code, when `error` came from the server. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  return /^[0-9A-Z]{5}$/.test(error.code) && "severity" in error ? error.code : undefined;
}

/** A statement was meant for a connection that is gone: it was not sent. */
export class ConnectionLost extends Error {
  override readonly name: string = "ConnectionLost";
  readonly code: string = "CONNECTION_LOST";

  constructor() {
    super("The connection is gone");
  }
}

/** An error that the driver raised about its connection: a socket's code, or one of its own. */
function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof PylonError || !("code" in error)) return false;
  return typeof error.code === "string" && sqlState(error) === undefined;
}

/** The statement failed because the connection did: nothing that follows on it can be believed. */
export function endsConnection(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined ? isConnectionError(error) : state.startsWith("57P") || state.startsWith("08");
}

/** The name of the violated unique index, when that is what `error` says. */
export function violatedIndex(error: unknown): string | undefined {
  if (sqlState(error) !== UNIQUE_VIOLATION) return undefined;
  const name: unknown = (error as { readonly constraint_name?: unknown }).constraint_name;
  return typeof name === "string" ? name : undefined;
}

/** Raised where the server would have said 40001, had it seen what we see. */
export class SerializationFailure extends Error {
  override readonly name: string = "SerializationFailure";
}

/** Running the whole transaction again can succeed: nothing of it was done, and what stood against it is over. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof SerializationFailure) return true;
  const state = sqlState(error);
  if (state === undefined) return false;
  // A statement that was prepared before a migration: the driver prepares it anew the next time.
  const isStalePlan =
    state === "0A000" && (error as { readonly routine?: unknown }).routine === "RevalidateCachedQuery";
  return RETRIED.has(state) || isStalePlan;
}

const RETRY_AFTER: Readonly<Partial<Record<StoreCode, ErrorOptions>>> = {
  STORE_BUSY: { retryAfterSecs: 1 },
  STORE_UNAVAILABLE: { retryAfterSecs: 2 },
};

/** A coded error for anything that the driver threw; others pass unchanged. The server's own words stay in the cause. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof PylonError) return error;
  if (error instanceof SerializationFailure) return storeError("STORE_BUSY", { cause: error, retryAfterSecs: 1 });
  const state = sqlState(error);
  if (state === undefined && !isConnectionError(error)) return error;
  const code =
    state === undefined
      ? "STORE_UNAVAILABLE"
      : (CODES[state] ?? CODES[state.slice(0, 3)] ?? CODES[state.slice(0, 2)] ?? "STORE_FAILED");
  return storeError(code, { ...RETRY_AFTER[code], cause: error });
}
