// Copies a SQLite database that other processes serve and write: one moment of it, compact, and checked. Writers do not wait
// for it; every commit before it began is in it.

import { storeError } from "../store-errors.ts";
import type { SqliteConnection, SqlitePlatform } from "./sqlite-client.ts";
import { toStoreError } from "./sqlite-errors.ts";

export interface CopyDatabaseOptions {
  readonly platform: Pick<SqlitePlatform, "open">;
  /** A database. */
  readonly from: string;
  /** An empty file. Not yet durable when this is done. */
  readonly to: string;
}

const BUSY_TIMEOUT_MS = 5_000;

function withConnection<T>(connection: SqliteConnection, use: (connection: SqliteConnection) => T): T {
  try {
    connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return use(connection);
  } finally {
    connection.close();
  }
}

function assertSound(copy: SqliteConnection): void {
  const [first] = copy.prepare("PRAGMA integrity_check(1)").all() as { readonly integrity_check: string }[];
  if (first?.integrity_check === "ok") return;
  throw storeError("STORE_FAILED", {
    message: "The copy is damaged, and so is the database or its disk",
    cause: new Error(first?.integrity_check),
  });
}

/**
 * Returns when the copy is complete and sound; the event loop waits.
 *
 * @throws STORE_FULL, STORE_BUSY, STORE_UNWRITABLE, STORE_FAILED; what is in `to` is then of no use
 */
export function copyDatabase({ platform, from, to }: CopyDatabaseOptions): void {
  try {
    withConnection(platform.open(from), (source) => source.prepare("VACUUM INTO ?").run(to));
    withConnection(platform.open(to), assertSound);
  } catch (error) {
    throw toStoreError(error);
  }
}
