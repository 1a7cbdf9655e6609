// Opens a SQLite file as a Store: WAL, synchronous FULL, one writing connection behind group commit and one for reads.

import { isPylonError, messageOf } from "../../core/errors.ts";
import { storeError } from "../store-errors.ts";
import { createDueListeners } from "../lane-due.ts";
import type { SchemaSteps, Store, TableSpec, Tx } from "../store.ts";
import { createGroupCommit } from "./group-commit.ts";
import { readPresentSchema, stepSql, SYSTEM_SQL, SYSTEM_VERSION } from "./schema-sql.ts";
import type { SqliteConnection, SqlitePlatform } from "./sqlite-client.ts";
import { toStoreError } from "./sqlite-errors.ts";
import { createReader, openTx } from "./sqlite-tx.ts";
import { chooseCache, createStatementCache } from "./statement-cache.ts";
import { createTableCodec, type TableCodec } from "./table-codec.ts";

export interface SqliteStoreOptions {
  /** A file; its folder is made when missing. */
  readonly path: string;
  readonly platform: SqlitePlatform;
  /** Milliseconds that a connection waits for another process's lock. @default 5000 */
  readonly busyTimeoutMs?: number;
}

/** WAL databases of older libraries can be damaged when two connections checkpoint (https://sqlite.org/wal.html). */
const OLDEST_SQLITE = "3.51.3";

/** What SQLite says of a file that cannot be opened, is not a database, or is in a folder that cannot be written. */
const UNWRITABLE: ReadonlySet<string> = new Set(["STORE_UNWRITABLE", "STORE_FAILED"]);

function versionNumber(version: string): number {
  return version.split(".").reduce((sum, part, place) => sum + Number(part) * 1_000 ** (2 - place), 0);
}

function checkVersions(connection: SqliteConnection): void {
  const { version } = connection.prepare("SELECT sqlite_version() AS version").get() as { version: string };
  if (versionNumber(version) < versionNumber(OLDEST_SQLITE)) {
    throw storeError("STORE_TOO_OLD", { message: `SQLite ${OLDEST_SQLITE} or newer is needed: ${version}` });
  }
  const { user_version: written } = connection.prepare("PRAGMA user_version").get() as { user_version: number };
  if (written > SYSTEM_VERSION) {
    throw storeError("STORE_NEWER", {
      message: `The database has system version ${written}, this Pylon knows ${SYSTEM_VERSION}`,
    });
  }
}

/** busy_timeout comes before every other pragma: switching to WAL takes a lock that a dying process may still hold. */
function configure(connection: SqliteConnection, busyTimeoutMs: number): void {
  connection.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
  connection.exec("PRAGMA journal_mode = WAL");
  connection.exec("PRAGMA synchronous = FULL");
  connection.exec("PRAGMA trusted_schema = OFF");
  connection.exec("PRAGMA cache_size = -16000");
  // 16 MB of log between two checkpoints: pages that many commits change are copied once.
  connection.exec("PRAGMA wal_autocheckpoint = 4000");
}

/** The version is written with the tables, so one that is there says that they are; a restart then writes nothing. */
function createSystemTables(connection: SqliteConnection): void {
  const { user_version: written } = connection.prepare("PRAGMA user_version").get() as { user_version: number };
  if (written === SYSTEM_VERSION) return;
  for (const sql of SYSTEM_SQL) connection.exec(sql);
  connection.exec(`PRAGMA user_version = ${SYSTEM_VERSION}`);
}

/**
 * Everyone holds a shared lock on a file of its own for as long as the store is open, so whoever could take it
 * exclusively for a moment knows that all leases are left-overs. Called under the writer's lock: with two at once, each
 * could mistake the other's exclusive moment for somebody at work, or find itself alone before the other has its share.
 */
function lockPresence(lock: SqliteConnection): boolean {
  lock.exec("PRAGMA busy_timeout = 0");
  let alone = true;
  try {
    lock.exec("BEGIN EXCLUSIVE");
    lock.exec("ROLLBACK");
  } catch {
    alone = false;
  }
  lock.exec("BEGIN");
  // A transaction takes its shared lock with its first read.
  lock.exec("SELECT count(*) FROM sqlite_schema");
  return alone;
}

interface Opened {
  readonly writer: SqliteConnection;
  /** Holds this process's presence. */
  readonly lock: SqliteConnection;
  readonly alone: boolean;
}

function openWriter(options: SqliteStoreOptions): Opened {
  let writer: SqliteConnection | undefined;
  let lock: SqliteConnection | undefined;
  try {
    writer = options.platform.open(options.path);
    writer.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMs ?? 5_000}`);
    checkVersions(writer);
    configure(writer, options.busyTimeoutMs ?? 5_000);
    writer.exec("BEGIN IMMEDIATE");
    createSystemTables(writer);
    lock = options.platform.open(`${options.path}-alone`);
    const alone = lockPresence(lock);
    writer.exec("COMMIT");
    return { writer, lock, alone };
  } catch (error) {
    lock?.close();
    writer?.close();
    const coded = toStoreError(error);
    if (isPylonError(coded) && !UNWRITABLE.has(coded.code)) throw coded;
    throw storeError("STORE_UNWRITABLE", {
      message: `Cannot open the database "${options.path}": ${messageOf(error)}`,
      hint: "Check that its folder exists and can be written, or set PYLON_DB_PATH",
      cause: error,
    });
  }
}

/**
 * Opens (and creates) a store.
 *
 * @throws STORE_UNWRITABLE when the file cannot be opened for writing, STORE_BUSY when another process holds its lock,
 * STORE_TOO_OLD and STORE_NEWER when the versions do not fit.
 */
export function openSqliteStore(options: SqliteStoreOptions): Store {
  const { writer, lock, alone } = openWriter(options);
  const readConnection = options.platform.open(options.path);
  readConnection.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMs ?? 5_000}`);
  readConnection.exec("PRAGMA query_only = ON");
  const cache = createStatementCache(writer);
  let closed = false;
  const readCache = createStatementCache(readConnection);
  const reader = createReader(
    // Every commit empties what another connection has read, so the writer's own memory of the pages is the warm one.
    chooseCache(() => (writer.isTransaction ? readCache : cache)),
    (table) => codecOf(table),
    () => closed,
  );
  const codecs = new Map<string, TableCodec>();
  const listeners = createDueListeners();
  const codecOf = (table: string): TableCodec => {
    const codec = codecs.get(table);
    if (!codec) throw storeError("STORE_FAILED", { message: `There is no table "${table}"` });
    return codec;
  };
  const group = createGroupCommit({
    connection: writer,
    openTx: () => openTx(cache, codecOf, () => writer.isTransaction),
    defer: (task) => options.platform.defer(task),
    monotonicMs: () => performance.now(),
    onDue: (due) => listeners.tell(due),
  });
  const present = readPresentSchema(writer);
  let closing: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    await group.close();
    closed = true;
    readConnection.close();
    writer.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    writer.close();
    lock.close();
  };
  return {
    name: `sqlite:${options.path}`,
    openedAlone: alone,
    reader,
    describe(tables: readonly TableSpec[]) {
      for (const table of tables) codecs.set(table.name, createTableCodec(table));
    },
    write: (run, writeOptions = {}) => group.write(run, writeOptions),
    changeSchema: <T>(steps: SchemaSteps, run: (tx: Tx) => Promise<T>): Promise<T> =>
      group.write(
        async (tx) => {
          for (const step of typeof steps === "function" ? await steps(tx) : steps)
            for (const sql of stepSql(step, present)) writer.exec(sql);
          return run(tx);
        },
        { exclusive: true },
      ),
    onDue: (listener) => listeners.add(listener),
    ping: async () => {
      await reader.readMeta("ping");
    },
    close() {
      closing ??= release();
      return closing;
    },
  };
}
