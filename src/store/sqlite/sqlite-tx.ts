// The Reader and the Tx of one SQLite connection. Calls run at once and answer through resolved promises, so a callback
// that awaits only its transaction never leaves the current turn of the event loop.

import { storeError } from "../store-errors.ts";
import type {
  Claim,
  CommitStep,
  Condition,
  Conflict,
  InsertOutcome,
  Job,
  JobAttempt,
  JobQuery,
  JobState,
  LaneDue,
  NewJob,
  Query,
  Reader,
  Row,
  Settlement,
  Tx,
  UpdateOutcome,
  Value,
} from "../store.ts";
import * as jobs from "./job-rows.ts";
import { selectSql, whereSql } from "./query-sql.ts";
import type { SqlValue } from "./sqlite-client.ts";
import { conflictOf, toStoreError } from "./sqlite-errors.ts";
import type { StepItem } from "../commit-steps.ts";
import type { StatementCache } from "./statement-cache.ts";
import { type TableCodec } from "./table-codec.ts";
import { quote } from "../table-columns.ts";

export type CodecOf = (table: string) => TableCodec;

/** Reads over one connection. Calls of a reader run at once; how their failures are told is the subclass's. */
abstract class SqliteReader implements Reader {
  protected readonly cache: StatementCache;
  protected readonly codecOf: CodecOf;

  constructor(cache: StatementCache, codecOf: CodecOf) {
    this.cache = cache;
    this.codecOf = codecOf;
  }

  /** A throw becomes a rejection with a coded error. */
  protected abstract guarded<T>(call: () => T): Promise<T>;

  get(table: string, id: string): Promise<Row | undefined> {
    return this.guarded(() => {
      const codec = this.codecOf(table);
      const raw = this.cache.get(codec.getSql, [id]);
      return raw && codec.decode(raw);
    });
  }

  find(table: string, query: Query): Promise<Row[]> {
    return this.guarded(() => {
      const codec = this.codecOf(table);
      const { sql, values } = selectSql(codec, query);
      return this.cache.all(sql, values).map((raw) => codec.decode(raw));
    });
  }

  count(table: string, where: readonly Condition[]): Promise<number> {
    return this.guarded(() => {
      const values: SqlValue[] = [];
      const sql = `SELECT count(*) AS n FROM ${quote(table)}${whereSql(this.codecOf(table), where, values)}`;
      return Number(this.cache.get(sql, values)?.n ?? 0);
    });
  }

  getJob(id: string): Promise<Job | undefined> {
    return this.guarded(() => jobs.getJob(this.cache, id));
  }

  listJobs(query: JobQuery): Promise<Job[]> {
    return this.guarded(() => jobs.listJobs(this.cache, query));
  }

  listAttempts(jobId: string): Promise<JobAttempt[]> {
    return this.guarded(() => jobs.listAttempts(this.cache, jobId));
  }

  dueLanes(until: number, limit: number, afterLane = ""): Promise<LaneDue[]> {
    return this.guarded(() => jobs.dueLanes(this.cache, until, limit, afterLane));
  }

  laneDue(lane: string): Promise<number | undefined> {
    return this.guarded(() => jobs.laneDue(this.cache, lane));
  }

  countJobs(): Promise<Partial<Record<JobState, number>>> {
    return this.guarded(() => jobs.countJobs(this.cache));
  }

  readMeta(key: string): Promise<string | undefined> {
    const sql = `SELECT value FROM _pylon_meta WHERE key = ?`;
    return this.guarded(() => this.cache.get(sql, [key])?.value as string | undefined);
  }
}

class CommittedReader extends SqliteReader {
  readonly #isClosed: () => boolean;

  constructor(cache: StatementCache, codecOf: CodecOf, isClosed: () => boolean) {
    super(cache, codecOf);
    this.#isClosed = isClosed;
  }

  protected guarded<T>(call: () => T): Promise<T> {
    if (this.#isClosed()) return Promise.reject(storeError("STORE_CLOSED"));
    try {
      return Promise.resolve(call());
    } catch (error) {
      return Promise.reject(toStoreError(error));
    }
  }
}

/** Reads that see the last commit; after `isClosed`, each answers STORE_CLOSED. */
export function createReader(cache: StatementCache, codecOf: CodecOf, isClosed: () => boolean): Reader {
  return new CommittedReader(cache, codecOf, isClosed);
}

function conflictOrThrow(error: unknown): Conflict {
  const conflict = conflictOf(error);
  if (conflict) return conflict;
  throw error;
}

function insertRow(cache: StatementCache, codec: TableCodec, row: Row): InsertOutcome {
  try {
    cache.run(codec.insertSql, codec.encodeRow(row));
    return { kind: "inserted" };
  } catch (error) {
    return conflictOrThrow(error);
  }
}

/** More in one statement make it no cheaper. */
const ROWS_AT_ONCE = 8;

function insertRows(cache: StatementCache, codec: TableCodec, rows: readonly Row[]): InsertOutcome {
  try {
    for (let start = 0; start < rows.length; start += ROWS_AT_ONCE) {
      const together = rows.slice(start, start + ROWS_AT_ONCE);
      const values: SqlValue[] = [];
      for (const row of together) codec.encodeRow(row, values);
      cache.run(codec.insertManySql(together.length), values);
    }
    return { kind: "inserted" };
  } catch (error) {
    return conflictOrThrow(error);
  }
}

function updateRow(
  cache: StatementCache,
  codec: TableCodec,
  id: string,
  patch: Readonly<Record<string, Value>>,
): UpdateOutcome {
  const columns = Object.keys(patch);
  if (columns.length === 0) return cache.get(codec.getSql, [id]) ? { kind: "updated" } : { kind: "missing" };
  const values = columns.map((column) => codec.encode(column, patch[column] ?? null));
  try {
    return { kind: cache.run(codec.updateSql(columns), [...values, id]) > 0 ? "updated" : "missing" };
  } catch (error) {
    return conflictOrThrow(error);
  }
}

function deleteWhere(cache: StatementCache, codec: TableCodec, where: readonly Condition[], limit: number): number {
  const values: SqlValue[] = [];
  const table = quote(codec.spec.name);
  const rows = `SELECT "id" FROM ${table}${whereSql(codec, where, values)} LIMIT ?`;
  return cache.run(`DELETE FROM ${table} WHERE "id" IN (${rows})`, [...values, limit]);
}

/** One transaction's handle, and what its end needs. One is made per write, so its methods are on the prototype. */
class SqliteTx extends SqliteReader implements Tx {
  /** Lanes that got ready work, for the listeners after the commit. */
  readonly due: LaneDue[] = [];
  /** What the write left for the end of the commit; most leave nothing. */
  commitItems: StepItem[] | undefined;
  /** The error that made SQLite end the whole transaction, when one did. */
  fatal: unknown;
  #ended = false;
  readonly #isOpen: () => boolean;

  constructor(cache: StatementCache, codecOf: CodecOf, isOpen: () => boolean) {
    super(cache, codecOf);
    this.#isOpen = isOpen;
  }

  /** Every later call answers TX_ENDED. */
  end(): void {
    this.#ended = true;
  }

  protected guarded<T>(call: () => T): Promise<T> {
    if (this.#ended) return Promise.reject(storeError("TX_ENDED"));
    try {
      return Promise.resolve(call());
    } catch (error) {
      const coded = toStoreError(error);
      // A full disk ends the transaction behind the caller's back: its next call would commit on its own.
      if (!this.#isOpen()) [this.#ended, this.fatal] = [true, coded];
      return Promise.reject(coded);
    }
  }

  readonly #noteDue: jobs.NoteDue = (lane, dueAt) => {
    this.due.push({ lane, dueAt });
  };

  atCommit<Item>(step: CommitStep<Item>, item: Item): void {
    if (this.#ended) throw storeError("TX_ENDED");
    (this.commitItems ??= []).push({ step, item });
  }

  insert(table: string, row: Row): Promise<InsertOutcome> {
    return this.guarded(() => insertRow(this.cache, this.codecOf(table), row));
  }

  insertMany(table: string, rows: readonly Row[]): Promise<InsertOutcome> {
    return this.guarded(() => insertRows(this.cache, this.codecOf(table), rows));
  }

  update(table: string, id: string, patch: Readonly<Record<string, Value>>): Promise<UpdateOutcome> {
    return this.guarded(() => updateRow(this.cache, this.codecOf(table), id, patch));
  }

  delete(table: string, id: string): Promise<boolean> {
    return this.guarded(() => this.cache.run(this.codecOf(table).deleteSql, [id]) > 0);
  }

  deleteWhere(table: string, where: readonly Condition[], limit: number): Promise<number> {
    return this.guarded(() => deleteWhere(this.cache, this.codecOf(table), where, limit));
  }

  enqueueJob(job: NewJob): Promise<boolean> {
    return this.guarded(() => jobs.enqueueJob(this.cache, job, this.#noteDue));
  }

  claimJobs(claim: Claim): Promise<Job[]> {
    return this.guarded(() => jobs.claimJobs(this.cache, claim));
  }

  settleJob(settlement: Settlement): Promise<boolean> {
    return this.guarded(() => jobs.settleJob(this.cache, settlement, this.#noteDue));
  }

  extendLeases(owner: string, seqs: readonly number[], leaseUntil: number): Promise<number[]> {
    return this.guarded(() => jobs.extendLeases(this.cache, owner, seqs, leaseUntil));
  }

  releaseJobs(owner: string, seqs: readonly number[]): Promise<void> {
    return this.guarded(() => jobs.releaseJobs(this.cache, owner, seqs, this.#noteDue));
  }

  expireLeases(now: number, limit: number): Promise<number> {
    return this.guarded(() => jobs.expireLeases(this.cache, now, limit, this.#noteDue));
  }

  cancelJob(id: string, now: number): Promise<boolean> {
    return this.guarded(() => jobs.cancelJob(this.cache, id, now, this.#noteDue));
  }

  requeueJob(id: string, dueAt: number): Promise<boolean> {
    return this.guarded(() => jobs.requeueJob(this.cache, id, dueAt, this.#noteDue));
  }

  purgeJobs(finishedBefore: number, limit: number): Promise<number> {
    return this.guarded(() => jobs.purgeJobs(this.cache, finishedBefore, limit));
  }

  writeMeta(key: string, value: string): Promise<void> {
    const sql = `INSERT INTO _pylon_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
    return this.guarded(() => {
      this.cache.run(sql, [key, value]);
    });
  }
}

export type OpenTx = Pick<SqliteTx, "due" | "commitItems" | "fatal" | "end"> & Tx;

/** `isOpen` tells whether the connection is still in the transaction. */
export function openTx(cache: StatementCache, codecOf: CodecOf, isOpen: () => boolean): OpenTx {
  return new SqliteTx(cache, codecOf, isOpen);
}
