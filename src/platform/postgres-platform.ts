// Postgres through `postgres` (porsager), which runs on Bun and Deno: one connection per client, so that a connection that is
// gone is known as gone. Left to itself the driver would open another one and send the rest of a transaction there.

import postgres from "postgres";
import { decodeHex } from "../crypto/hex.ts";
import { createSystemClock } from "../core/clock.ts";
import { openPostgresStore, type PostgresStoreOptions } from "../store/postgres/open-postgres-store.ts";
import { ConnectionLost } from "../store/postgres/postgres-errors.ts";
import type {
  ConnectOptions,
  PostgresConnection,
  PostgresPlatform,
  SqlResult,
  SqlValue,
} from "../store/postgres/postgres-client.ts";
import type { Store } from "../store/store.ts";

const CONNECT_SECS = 5;
const KEEP_ALIVE_SECS = 15;
/** Type numbers of the server (`pg_type.oid`). */
const [BOOL, BYTEA, INT8, INT4, INT2, FLOAT4, FLOAT8] = [16, 17, 20, 23, 21, 700, 701];

const asText = (text: string): string => text;

function parseInteger(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** `\\x` and two digits a byte. */
function parseBytes(text: string): Uint8Array {
  return decodeHex(text.slice(2)) ?? new Uint8Array(0);
}

/** Values go as text, already in the form in which the server reads them, and come back exact. */
const TYPES = {
  bool: { to: BOOL, from: [BOOL], serialize: asText, parse: (text: string) => text === "t" },
  bytea: { to: BYTEA, from: [BYTEA], serialize: asText, parse: parseBytes },
  int8: { to: INT8, from: [INT8], serialize: asText, parse: parseInteger },
  float: { to: FLOAT8, from: [INT2, INT4, FLOAT4, FLOAT8], serialize: asText, parse: Number },
};

type Driver = postgres.Sql;

function toResult(rows: postgres.RowList<readonly postgres.Row[]>): SqlResult {
  return { rows: rows, count: rows.count, command: rows.command };
}

function createConnection(driver: Driver, state: { isClosed: boolean }): PostgresConnection {
  const assertOpen = (): void => {
    if (state.isClosed) throw new ConnectionLost();
  };
  return {
    async query(sql, values: readonly SqlValue[] = []) {
      assertOpen();
      return toResult(await driver.unsafe(sql, values as never[], { prepare: values.length > 0 }));
    },
    async script(sql) {
      assertOpen();
      await driver.unsafe(sql).simple();
    },
    destroy() {
      state.isClosed = true;
      driver.end({ timeout: 0 }).catch(() => undefined);
    },
  };
}

async function connect(url: string, { settings, onNotify, onClosed }: ConnectOptions): Promise<PostgresConnection> {
  const state = { isClosed: false };
  const driver = postgres(url, {
    max: 1,
    idle_timeout: 0,
    // Connections are kept until they fail; the default would end each one after half an hour.
    max_lifetime: null,
    connect_timeout: CONNECT_SECS,
    keep_alive: KEEP_ALIVE_SECS,
    fetch_types: false,
    types: TYPES,
    connection: settings,
    onnotice: () => undefined,
    ...(onNotify ? { onnotify: onNotify } : {}),
    onclose() {
      if (state.isClosed) return;
      state.isClosed = true;
      onClosed();
    },
  });
  const connection = createConnection(driver, state);
  try {
    await connection.query("SELECT 1");
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

export const postgresPlatform: PostgresPlatform = { connect };

/** Opens a Postgres database as a store, with this driver and the system's time. */
export function openDatabaseServer(options: Omit<PostgresStoreOptions, "platform" | "clock">): Promise<Store> {
  return openPostgresStore({ ...options, platform: postgresPlatform, clock: createSystemClock() });
}
