// What a server has to be, and what a database has to have, before it is used as a store.

import { storeError } from "../store-errors.ts";
import type { PostgresConnection } from "./postgres-client.ts";
import { SYSTEM_SQL, SYSTEM_VERSION } from "./schema-sql.ts";

const OLDEST_VERSION = 130_000;
/** Serialises schema changes and the start of replicas. */
export const SCHEMA_LOCK = "SELECT pg_advisory_xact_lock(1349152843, 1)";

async function checkServer(connection: PostgresConnection): Promise<void> {
  const { rows } = await connection.query(
    `SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() AS standby`,
  );
  const { version, encoding, standby } = rows[0] ?? {};
  if (Number(version) < OLDEST_VERSION) {
    throw storeError("STORE_TOO_OLD", { message: `Postgres 13 or newer is needed: ${String(version)}` });
  }
  if (encoding !== "UTF8") {
    throw storeError("STORE_UNWRITABLE", {
      message: `The database's encoding is ${String(encoding)}`,
      hint: "Create it with ENCODING 'UTF8' TEMPLATE template0",
    });
  }
  if (standby === true) {
    throw storeError("STORE_UNAVAILABLE", { message: "The server is a standby that takes no writes" });
  }
}

/** Pylon's own tables, made by whoever comes first. A database of a newer version is left alone. */
async function createSystemTables(connection: PostgresConnection): Promise<void> {
  await connection.query("BEGIN");
  try {
    await connection.query(SCHEMA_LOCK);
    const known = await connection.query(`SELECT to_regclass('_pylon_meta')::text AS found`);
    const hasMeta = known.rows[0]?.found !== null;
    const version = hasMeta
      ? await connection.query(`SELECT value FROM _pylon_meta WHERE key = 'system-version'`)
      : undefined;
    const written = Number(version?.rows[0]?.value ?? 0);
    if (written > SYSTEM_VERSION) {
      throw storeError("STORE_NEWER", {
        message: `The database has system version ${written}, this Pylon knows ${SYSTEM_VERSION}`,
      });
    }
    if (written < SYSTEM_VERSION) {
      await connection.script(SYSTEM_SQL);
      await connection.query(
        `INSERT INTO _pylon_meta (key, value) VALUES ('system-version', $1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        [String(SYSTEM_VERSION)],
      );
    }
    await connection.query("COMMIT");
  } catch (error) {
    await connection.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/**
 * Checks the server and makes Pylon's own tables when they are missing.
 *
 * @throws STORE_TOO_OLD, STORE_NEWER, STORE_UNWRITABLE, STORE_UNAVAILABLE when it does not fit
 */
export async function prepareDatabase(connection: PostgresConnection): Promise<void> {
  await checkServer(connection);
  await createSystemTables(connection);
}
