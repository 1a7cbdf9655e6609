// Runs a callback as one transaction, again when the server undid it for another one's sake, and finds out what became of a
// commit whose answer was lost. What it answers is true: committed, or not.

import type { Clock } from "../../core/clock.ts";
import { storeError } from "../store-errors.ts";
import type { LaneDue, WriteOptions } from "../store.ts";
import { untilAborted } from "../until-aborted.ts";
import type { ConnectionPool, PooledConnection } from "./connection-pool.ts";
import { endsConnection, isRetryable, sqlState, toStoreError } from "./postgres-errors.ts";
import type { PostgresTx } from "./postgres-tx.ts";

/** Tries of a transaction that others keep undoing; with the pauses between them about ten seconds. */
const MAX_TRIES = 24;
const MAX_PAUSE_MS = 500;
/** How long the server is asked what became of a commit, and how often. */
const RESOLVE_MS = 10_000;
const RESOLVE_EVERY_MS = 200;
const INVALID_PARAMETER = "22023";

export interface Committed<T> {
  readonly value: T;
  readonly due: readonly LaneDue[];
  readonly owners: ReadonlySet<string>;
}

export interface TransactionsOptions {
  readonly pool: ConnectionPool;
  readonly clock: Clock;
  readonly random: () => number;
  /** Statements that begin a transaction. */
  readonly begin: string;
  readonly openTx: (connection: PooledConnection) => PostgresTx;
}

type Attempt<T> =
  | { readonly kind: "committed"; readonly done: Committed<T> }
  /** Nothing of it was done, and it can be tried again. */
  | { readonly kind: "undone"; readonly error: unknown }
  /** The connection went before the commit was sent. */
  | { readonly kind: "lost"; readonly error: unknown }
  /** The connection went while it committed. */
  | { readonly kind: "unknown"; readonly done: Committed<T>; readonly ticket: Ticket; readonly error: unknown }
  | { readonly kind: "failed"; readonly error: unknown };

/** By which the server is asked later what became of a transaction. */
interface Ticket {
  readonly transactionId: string;
  readonly era: string | undefined;
}

type Run<T> = (tx: PostgresTx) => Promise<T>;

/** Its number, by which the server knows later what became of it; asked for along with the beginning. */
const TRANSACTION_ID = "SELECT pg_current_xact_id()::text AS id";
/**
 * Changes when the server recovers from a crash: its statistics begin anew then. The number of a transaction that a crash
 * took back goes to another one, so a number means the same only within one era. A connection never outlives its own.
 */
const ERA = "extract(epoch FROM (SELECT stats_reset FROM pg_stat_bgwriter))::text AS era";
const eras = new WeakMap<PooledConnection, Promise<string | undefined>>();

function readEra(connection: PooledConnection): Promise<string | undefined> {
  let era = eras.get(connection);
  if (!era) {
    era = connection.query(`SELECT ${ERA}`).then(
      ({ rows }) => (rows[0]?.era === null ? undefined : String(rows[0]?.era)),
      () => undefined,
    );
    eras.set(connection, era);
  }
  return era;
}

function failed<T>(error: unknown, cause: unknown): Attempt<T> {
  if (isRetryable(cause)) return { kind: "undone", error: cause };
  if (endsConnection(cause)) return { kind: "lost", error: cause };
  return { kind: "failed", error };
}

async function rollBack(connection: PooledConnection): Promise<void> {
  try {
    await connection.query("ROLLBACK");
  } catch {
    // The server rolls back when the connection ends.
    connection.break();
  }
}

async function commit<T>(connection: PooledConnection, done: Committed<T>, ticket: Ticket): Promise<Attempt<T>> {
  try {
    const { command } = await connection.query("COMMIT");
    // A transaction in which a statement failed is rolled back by COMMIT, without an error.
    if (command === "COMMIT") return { kind: "committed", done };
    return { kind: "failed", error: storeError("STORE_FAILED", { message: "The transaction was rolled back" }) };
  } catch (error) {
    if (endsConnection(error)) return { kind: "unknown", done, ticket, error };
    return failed(error, error);
  }
}

async function attempt<T>(
  connection: PooledConnection,
  options: TransactionsOptions,
  run: Run<T>,
  signal: AbortSignal | undefined,
): Promise<Attempt<T>> {
  const tx = options.openTx(connection);
  const era = readEra(connection);
  // Sent ahead of the callback's own statements, and answered with the first of them.
  const begun = Promise.all([connection.query(options.begin), connection.query(TRANSACTION_ID)]);
  begun.catch(() => undefined);
  let value: T;
  try {
    value = await untilAborted(() => run(tx), signal);
    await tx.runSteps();
  } catch (error) {
    tx.end();
    await rollBack(connection);
    return signal?.aborted === true ? { kind: "failed", error } : failed(error, tx.failure ?? error);
  }
  tx.end();
  try {
    const [, { rows }] = await begun;
    if (tx.failure !== undefined) throw tx.failure;
    const ticket = { transactionId: String(rows[0]?.id), era: await era };
    return await commit(connection, { value, due: tx.due, owners: tx.owners }, ticket);
  } catch (error) {
    await rollBack(connection);
    return failed(error, error);
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, resolve));
}

/** `forgotten`: the server has crashed since, and may mean another transaction. */
type Outcome = "committed" | "aborted" | "forgotten";

/** What the server knows of a transaction; undefined while it cannot say. */
async function askOutcome(pool: ConnectionPool, { transactionId, era }: Ticket): Promise<Outcome | undefined> {
  try {
    const sql = `SELECT pg_xact_status($1::xid8) AS status, ${ERA}`;
    const { rows } = await pool.use((connection) => connection.query(sql, [transactionId]));
    const status = rows[0]?.status;
    if (status === "committed") return era !== undefined && rows[0]?.era === era ? "committed" : "forgotten";
    return status === "aborted" ? status : undefined;
  } catch (error) {
    // A server that came back from a crash may never have heard of it: then it was not committed.
    return sqlState(error) === INVALID_PARAMETER ? "aborted" : undefined;
  }
}

async function resolveOutcome(options: TransactionsOptions, ticket: Ticket): Promise<Outcome | undefined> {
  const { pool, clock } = options;
  const untilMs = clock.monotonic() + RESOLVE_MS;
  while (clock.monotonic() < untilMs) {
    const outcome = await askOutcome(pool, ticket);
    if (outcome) return outcome;
    await pause(clock, RESOLVE_EVERY_MS);
  }
  return undefined;
}

/** Longer with every try, and never the same for two that met: they would meet again. */
function pauseMs(tries: number, random: () => number): number {
  return Math.min(MAX_PAUSE_MS, 2 ** Math.min(tries, 10)) * (0.5 + random());
}

/** Runs `run` until it has committed or cannot. @throws coded errors, and whatever `run` throws */
export async function runTransaction<T>(
  options: TransactionsOptions,
  run: Run<T>,
  { signal }: WriteOptions,
): Promise<Committed<T>> {
  const { pool, clock, random } = options;
  for (let tries = 1, lost = 0; ; tries += 1) {
    signal?.throwIfAborted();
    const outcome = await pool.use((connection) => attempt(connection, options, run, signal));
    if (outcome.kind === "committed") return outcome.done;
    if (outcome.kind === "failed") throw toStoreError(outcome.error);
    if (outcome.kind === "unknown") {
      const became = await resolveOutcome(options, outcome.ticket);
      if (became === "committed") return outcome.done;
      if (became !== "aborted") throw storeError("STORE_UNCERTAIN", { cause: outcome.error, retryAfterSecs: 5 });
    }
    // Each of them was a connection that is not used again.
    if (outcome.kind === "lost") lost += 1;
    if (lost > pool.size || tries - lost >= MAX_TRIES) throw toStoreError(outcome.error);
    await pause(clock, pauseMs(tries - lost, random));
  }
}
