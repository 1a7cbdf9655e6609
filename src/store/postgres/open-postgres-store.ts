// Opens a Postgres database as a Store. Connections are kept apart by purpose, so that slow mutations cannot keep the job
// engine from settling, nor either of them keep readers waiting.

import type { Clock } from "../../core/clock.ts";
import { isPylonError, messageOf } from "../../core/errors.ts";
import { createDueListeners, earliestPerLane } from "../lane-due.ts";
import { storeError } from "../store-errors.ts";
import type { SchemaSteps, Store, TableSpec, Tx, WriteOptions } from "../store.ts";
import { type ConnectionPool, createConnectionPool, createReachability, type Reachability } from "./connection-pool.ts";
import { createEngineMembers, type EngineMembers } from "./engine-members.ts";
import type { ConnectOptions, PostgresConnection, PostgresPlatform, SqlResult, SqlValue } from "./postgres-client.ts";
import { endsConnection, sqlState, toStoreError } from "./postgres-errors.ts";
import { createReader, PostgresTx } from "./postgres-tx.ts";
import { openReplicaChannel, type ReplicaChannel } from "./replica-channel.ts";
import { nameOf } from "./postgres-url.ts";
import { prepareDatabase, SCHEMA_LOCK } from "./prepare-database.ts";
import { stepSql } from "./schema-sql.ts";
import { createTableCodec, type TableCodec } from "./table-codec.ts";
import { type Committed, runTransaction, type TransactionsOptions } from "./transactions.ts";

export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  readonly platform: PostgresPlatform;
  readonly clock: Clock;
  /** Connections for writers; readers get half as many, the job engine two, and one listens. @default 10 */
  readonly connections?: number;
  /** The longest that a write or a read waits for a connection. @default 5000 */
  readonly connectionWaitMs?: number;
  /** The longest that a statement waits for a row that another transaction holds. @default 10000 */
  readonly lockTimeoutMs?: number;
  /**
   * A transaction that stands still for longer is ended by the server, so that a process which does not run any more holds
   * no rows. @default 60000
   */
  readonly idleTransactionMs?: number;
  /** How long a server that is away at the start is waited for. @default 0 */
  readonly startWaitMs?: number;
  /** Told before each new try of the start. */
  readonly onWaiting?: (news: { readonly reason: string; readonly nextTryMs: number }) => void;
  /** Dice for pauses. @default Math.random */
  readonly random?: () => number;
}

const DEFAULT_CONNECTIONS = 10;
const JOB_CONNECTIONS = 2;
const DEFAULT_WAIT_MS = 5_000;
const STATEMENT_MS = 30_000;
const DEFAULT_LOCK_MS = 10_000;
/** Beyond the server's own bound on a statement the connection is dead. */
const SILENCE_MS = STATEMENT_MS + 10_000;
const DEFAULT_IDLE_MS = 60_000;
const FIRST_START_PAUSE_MS = 250;
const MAX_START_PAUSE_MS = 5_000;
/** What another replica's news can be about when its names were not told. */
const GAP_HORIZON_MS = 60_000;
const GAP_LANES = 1_000;
/** Leases of owners that are gone, freed at a time: a beat later there are more. */
const GONE_LEASES = 1_000;

const SESSION = {
  application_name: "pylon",
  statement_timeout: STATEMENT_MS,
  lock_timeout: DEFAULT_LOCK_MS,
  // Tables here are read through their indexes. A plan made while a table was small would read all of it ever after, and
  // under SERIALIZABLE a scan of a whole table conflicts with every writer of it.
  enable_seqscan: "off",
  jit: "off",
  client_min_messages: "warning",
} as const;
/** Schema changes may wait for others' locks and rewrite large tables. */
const SCHEMA_SESSION = { ...SESSION, statement_timeout: 0, lock_timeout: 60_000 } as const;

class PostgresStore {
  readonly name: string;
  readonly reader: Store["reader"];
  readonly #options: PostgresStoreOptions;
  readonly #codecs = new Map<string, TableCodec>();
  readonly #listeners = createDueListeners();
  readonly #reachability: Reachability;
  readonly #writers: ConnectionPool;
  readonly #jobs: ConnectionPool;
  readonly #readers: ConnectionPool;
  readonly #schema: ConnectionPool;
  readonly #engines: EngineMembers;
  #channel: ReplicaChannel | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: PostgresStoreOptions) {
    this.#options = options;
    this.name = nameOf(options.url);
    this.#reachability = createReachability(options.clock);
    this.#engines = createEngineMembers({ clock: options.clock, random: this.#random });
    const size = options.connections ?? DEFAULT_CONNECTIONS;
    this.#writers = this.#createPool("writing", size, SESSION);
    this.#jobs = this.#createPool("jobs", JOB_CONNECTIONS, SESSION);
    this.#readers = this.#createPool("reading", Math.max(2, Math.ceil(size / 2)), SESSION);
    this.#schema = this.#createPool("schema changes", 1, SCHEMA_SESSION);
    this.reader = createReader(this.#codecOf, (sql, values) => this.#read(sql, values));
  }

  get openedAlone(): boolean {
    return this.#channel?.openedAlone === true;
  }

  /** What others see of it. */
  contract(): Store {
    return {
      name: this.name,
      openedAlone: this.openedAlone,
      writesConcurrently: true,
      reader: this.reader,
      describe: (tables) => this.describe(tables),
      write: (run, options) => this.write(run, options),
      changeSchema: (steps, run) => this.changeSchema(steps, run),
      onDue: (listener) => this.#listeners.add(listener),
      joinEngines: (onChange) => this.#engines.join(onChange),
      ping: () => this.ping(),
      close: () => this.close(),
    };
  }

  /** Connects, checks the server and makes what is missing. */
  async open(): Promise<void> {
    const connection = await this.#connect(SCHEMA_SESSION, { onClosed: () => undefined });
    try {
      await prepareDatabase(connection);
    } finally {
      connection.destroy();
    }
    this.#channel = await openReplicaChannel({
      clock: this.#options.clock,
      random: this.#random,
      engines: this.#engines,
      connect: (events) => this.#connect(SESSION, events),
      onDue: (due) => this.#listeners.tell(due),
      onGap: () => void this.#lookAround(),
      onGone: () => void this.#freeLeases(),
    });
  }

  describe(tables: readonly TableSpec[]): void {
    for (const table of tables) this.#codecs.set(table.name, createTableCodec(table));
  }

  async write<T>(run: (tx: Tx) => Promise<T>, options: WriteOptions = {}): Promise<T> {
    const isLoose = options.isolation === "read-committed";
    const begin = `BEGIN ISOLATION LEVEL ${isLoose ? "READ COMMITTED" : "SERIALIZABLE"}`;
    return this.#finish(
      await runTransaction(this.#transactions(isLoose ? this.#jobs : this.#writers, begin), run, options),
    );
  }

  async changeSchema<T>(steps: SchemaSteps, run: (tx: Tx) => Promise<T>): Promise<T> {
    const transactions = this.#transactions(this.#schema, `BEGIN; ${SCHEMA_LOCK}`);
    const change = async (tx: PostgresTx): Promise<T> => {
      const decided = typeof steps === "function" ? await steps(tx) : steps;
      if (decided.length > 0) await tx.script(decided.flatMap(stepSql).join(";\n"));
      return run(tx);
    };
    return this.#finish(await runTransaction(transactions, change, {}));
  }

  async ping(): Promise<void> {
    // Asked of a writer's connection: a server that can only be read is not ready.
    await this.#jobs
      .use((connection) => connection.query("SELECT 1"))
      .catch((error: unknown) => {
        throw toStoreError(error);
      });
  }

  close(): Promise<void> {
    this.#closing ??= this.#release();
    return this.#closing;
  }

  /** A connection that died while it was idle is found out by its next use: what only reads is asked again on another. */
  async #read(sql: string, values?: readonly SqlValue[]): Promise<SqlResult> {
    for (let lost = 0; ; lost += 1) {
      try {
        return await this.#readers.use((connection) => connection.query(sql, values));
      } catch (error) {
        if (!endsConnection(error) || lost > this.#readers.size) throw toStoreError(error);
      }
    }
  }

  async #release(): Promise<void> {
    await Promise.all([this.#writers.close(), this.#jobs.close(), this.#readers.close(), this.#schema.close()]);
    await this.#channel?.close();
  }

  readonly #codecOf = (table: string): TableCodec => {
    const codec = this.#codecs.get(table);
    if (codec) return codec;
    throw storeError("STORE_FAILED", { message: `There is no table "${table}"` });
  };

  readonly #random = (): number => (this.#options.random ?? Math.random)();

  #connect(
    settings: ConnectOptions["settings"],
    events: Pick<ConnectOptions, "onClosed" | "onNotify">,
  ): Promise<PostgresConnection> {
    const { url, platform, idleTransactionMs = DEFAULT_IDLE_MS, lockTimeoutMs } = this.#options;
    const session = {
      ...settings,
      ...(lockTimeoutMs === undefined ? {} : { lock_timeout: lockTimeoutMs }),
      idle_in_transaction_session_timeout: idleTransactionMs,
    };
    return platform.connect(url, { settings: session, ...events });
  }

  #createPool(name: string, size: number, settings: ConnectOptions["settings"]): ConnectionPool {
    return createConnectionPool({
      name,
      size,
      waitMs: this.#options.connectionWaitMs ?? DEFAULT_WAIT_MS,
      silenceMs: settings.statement_timeout === 0 ? Number.POSITIVE_INFINITY : SILENCE_MS,
      clock: this.#options.clock,
      reachability: this.#reachability,
      connect: (onClosed) => this.#connect(settings, { onClosed }),
    });
  }

  #transactions(pool: ConnectionPool, begin: string): TransactionsOptions {
    const goneOwners = (): readonly string[] => this.#channel?.goneOwners() ?? [];
    return {
      pool,
      begin,
      clock: this.#options.clock,
      random: this.#random,
      openTx: (connection) => new PostgresTx(this.#codecOf, connection, goneOwners),
    };
  }

  #finish<T>({ value, due, owners }: Committed<T>): T {
    if (owners.size > 0) this.#channel?.hold(owners);
    if (due.length > 0) {
      const earliest = earliestPerLane(due);
      this.#listeners.tell(earliest);
      this.#channel?.publish(earliest);
    }
    return value;
  }

  /** Of owners that are gone alone: what has ended by its time is the engines' to judge, who keep their own first. */
  async #freeLeases(): Promise<void> {
    try {
      await this.write((tx) => tx.expireLeases(0, GONE_LEASES), { isolation: "read-committed" });
    } catch {
      // The next beat, or an engine's next round, finds them again.
    }
  }

  /** Tells the listeners what the store itself knows to be due. */
  async #lookAround(): Promise<void> {
    try {
      const due = await this.reader.dueLanes(Math.floor(this.#options.clock.now()) + GAP_HORIZON_MS, GAP_LANES);
      if (due.length > 0) this.#listeners.tell(due);
    } catch {
      // Whoever polls finds it.
    }
  }
}

/** Waiting helps: the server is not there yet, or has no room yet. */
function isWorthWaiting(error: unknown): boolean {
  if (isPylonError(error)) return error.code === "STORE_UNAVAILABLE";
  return endsConnection(error) || sqlState(error)?.startsWith("53") === true;
}

/**
 * Opens a store, and makes Pylon's own tables when they are missing.
 *
 * @throws STORE_UNAVAILABLE when the server cannot be reached in time, STORE_REFUSED when it does not let us in, STORE_TOO_OLD,
 * STORE_NEWER, STORE_UNWRITABLE when it does not fit.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { clock, startWaitMs = 0 } = options;
  const untilMs = clock.monotonic() + startWaitMs;
  for (let pauseMs = FIRST_START_PAUSE_MS; ; pauseMs = Math.min(MAX_START_PAUSE_MS, pauseMs * 2)) {
    const store = new PostgresStore(options);
    try {
      await store.open();
      return store.contract();
    } catch (error) {
      await store.close();
      const coded = toStoreError(error);
      if (!isWorthWaiting(error) || clock.monotonic() + pauseMs > untilMs) {
        throw isPylonError(coded, "STORE_UNAVAILABLE")
          ? storeError("STORE_UNAVAILABLE", {
              message: `Cannot reach the database ${nameOf(options.url)}: ${messageOf(error)}`,
              hint: "Start it, or set DATABASE_URL to where it is",
              cause: error,
            })
          : coded;
      }
      options.onWaiting?.({ reason: messageOf(error), nextTryMs: pauseMs });
      await new Promise<void>((resolve) => clock.setTimer(pauseMs, resolve));
    }
  }
}
