// Turns what SQLite throws into the store's codes, and unique violations into values.

import { messageOf, PylonError } from "../../core/errors.ts";
import { storeError } from "../store-errors.ts";
import type { Conflict } from "../store.ts";

const PRIMARY_CODES: Readonly<Record<number, "STORE_BUSY" | "STORE_FULL" | "STORE_UNWRITABLE">> = {
  5: "STORE_BUSY",
  6: "STORE_BUSY",
  8: "STORE_UNWRITABLE",
  13: "STORE_FULL",
  14: "STORE_UNWRITABLE",
};
const CONSTRAINT_PRIMARYKEY = 1555;
const CONSTRAINT_UNIQUE = 2067;

/** Deno leaves the number out when `exec` or opening fails; SQLite's own words (sqlite3_errstr) stand for it. */
const CODE_BY_MESSAGE: readonly (readonly [start: string, code: number])[] = [
  ["database is locked", 5],
  ["database table is locked", 6],
  ["attempt to write a readonly database", 8],
  ["database or disk is full", 13],
  ["unable to open database file", 14],
];
const GENERIC_ERROR = 1;

/** SQLite's extended result code (https://sqlite.org/rescode.html), when `error` has one. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const code: unknown = "errcode" in error ? error.errcode : undefined;
  if (typeof code === "number") return code;
  if (!("code" in error) || error.code !== "ERR_SQLITE_ERROR") return undefined;
  return CODE_BY_MESSAGE.find(([start]) => error.message.startsWith(start))?.[1] ?? GENERIC_ERROR;
}

/** The violated index's columns, from "UNIQUE constraint failed: Order.number, Order.tenantId". */
export function conflictOf(error: unknown): Conflict | undefined {
  const code = resultCode(error);
  if (code !== CONSTRAINT_UNIQUE && code !== CONSTRAINT_PRIMARYKEY) return undefined;
  const message = messageOf(error);
  const list = message.slice(message.indexOf(":") + 1);
  const columns = list.split(",").map((part) => part.slice(part.lastIndexOf(".") + 1).trim());
  return { kind: "conflict", columns };
}

/** A coded error for anything that SQLite threw; coded errors pass unchanged. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof PylonError) return error;
  const code = resultCode(error);
  if (code === undefined) return error;
  const name = PRIMARY_CODES[code & 0xff] ?? "STORE_FAILED";
  // SQLite's own text names tables and columns: it stays in the cause, for the log.
  return storeError(name, { cause: error });
}
