// Reads and transactions over one connection. Reads outside of a transaction and inside of one are the same calls; they
// differ in which connection they use and in when they stop to work.

import { runCommitSteps, type StepItem } from "../commit-steps.ts";
import { storeError } from "../store-errors.ts";
import type {
  Claim,
  CommitStep,
  Condition,
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
import { findConflict } from "./conflicts.ts";
import type { PooledConnection } from "./connection-pool.ts";
import * as reads from "./job-reads.ts";
import * as writes from "./job-writes.ts";
import type { SqlResult, SqlValue } from "./postgres-client.ts";
import { SerializationFailure, toStoreError, violatedIndex } from "./postgres-errors.ts";
import { Bindings, selectSql, whereSql } from "./query-sql.ts";
import { createSettleBatch } from "./settle-batch.ts";
import { type TableCodec } from "./table-codec.ts";
import { quote } from "../table-columns.ts";

type CodecOf = (table: string) => TableCodec;

abstract class PostgresReader implements Reader {
  protected readonly codecOf: CodecOf;

  constructor(codecOf: CodecOf) {
    this.codecOf = codecOf;
  }

  /** Sends a statement; failures are coded. */
  protected abstract readonly run: reads.RunSql;

  async get(table: string, id: string): Promise<Row | undefined> {
    const codec = this.codecOf(table);
    const { rows } = await this.run(codec.getSql, [id]);
    return rows[0] && codec.decode(rows[0]);
  }

  async find(table: string, query: Query): Promise<Row[]> {
    const codec = this.codecOf(table);
    const bindings = new Bindings();
    const sql = selectSql(codec, query, bindings);
    return (await this.run(sql, bindings.values)).rows.map((raw) => codec.decode(raw));
  }

  async count(table: string, where: readonly Condition[]): Promise<number> {
    const bindings = new Bindings();
    const sql = `SELECT count(*) AS n FROM ${quote(table)}${whereSql(this.codecOf(table), where, bindings)}`;
    return Number((await this.run(sql, bindings.values)).rows[0]?.n ?? 0);
  }

  async getJob(id: string): Promise<Job | undefined> {
    return reads.getJob(this.run, id);
  }

  async listJobs(query: JobQuery): Promise<Job[]> {
    return reads.listJobs(this.run, query);
  }

  async listAttempts(jobId: string): Promise<JobAttempt[]> {
    return reads.listAttempts(this.run, jobId);
  }

  async dueLanes(until: number, limit: number, afterLane = ""): Promise<LaneDue[]> {
    return reads.dueLanes(this.run, until, limit, afterLane);
  }

  async laneDue(lane: string): Promise<number | undefined> {
    return reads.laneDue(this.run, lane);
  }

  async countJobs(): Promise<Partial<Record<JobState, number>>> {
    return reads.countJobs(this.run);
  }

  async readMeta(key: string): Promise<string | undefined> {
    const { rows } = await this.run(`SELECT value FROM _pylon_meta WHERE key = $1`, [key]);
    return rows[0]?.value as string | undefined;
  }
}

class CommittedReader extends PostgresReader {
  protected readonly run: reads.RunSql;

  constructor(codecOf: CodecOf, run: reads.RunSql) {
    super(codecOf);
    this.run = run;
  }
}

/** Reads that see the last commit, through `run`. */
export function createReader(codecOf: CodecOf, run: reads.RunSql): Reader {
  return new CommittedReader(codecOf, run);
}

/** One transaction's handle, and what its end needs. */
export class PostgresTx extends PostgresReader implements Tx {
  /** Lanes that got ready work, for the listeners after the commit. */
  readonly due: LaneDue[] = [];
  /** Who took leases: their presence is to be held. */
  readonly owners = new Set<string>();
  /** What the server said when it gave the transaction up; whatever the callback makes of it, there is nothing to commit. */
  failure: unknown;
  readonly #stepItems: StepItem[] = [];
  #ended = false;
  readonly #connection: PooledConnection;
  readonly #goneOwners: () => readonly string[];
  readonly #settles = createSettleBatch((batch) => writes.settleJobs(this.#raw, batch, this.#noteDue));

  constructor(codecOf: CodecOf, connection: PooledConnection, goneOwners: () => readonly string[]) {
    super(codecOf);
    this.#connection = connection;
    this.#goneOwners = goneOwners;
  }

  /** Every later call answers TX_ENDED. */
  end(): void {
    this.#ended = true;
  }

  atCommit<Item>(step: CommitStep<Item>, item: Item): void {
    if (this.#ended) throw storeError("TX_ENDED");
    this.#stepItems.push({ step, item });
  }

  /** Does what was left for the end; nothing but COMMIT may follow. */
  async runSteps(): Promise<void> {
    if (this.#stepItems.length > 0) await runCommitSteps(this, this.#stepItems);
  }

  /** Sends a statement behind the ones before it. */
  readonly #raw: reads.RunSql = async (sql, values) => {
    if (this.#ended) throw storeError("TX_ENDED");
    try {
      return await this.#connection.query(sql, values);
    } catch (error) {
      this.failure ??= error;
      throw toStoreError(error);
    }
  };

  /** Statements of a schema change. */
  async script(sql: string): Promise<void> {
    try {
      await this.#connection.script(sql);
    } catch (error) {
      this.failure ??= error;
      throw toStoreError(error);
    }
  }

  protected readonly run: reads.RunSql = (sql, values) => {
    this.#settles.flush();
    return this.#raw(sql, values);
  };

  readonly #noteDue: writes.NoteDue = (lane, dueAt) => {
    this.due.push({ lane, dueAt });
  };

  async insert(table: string, row: Row): Promise<InsertOutcome> {
    const codec = this.codecOf(table);
    const { count } = await this.run(codec.insertSql, codec.encodeRow(row));
    return count > 0 ? { kind: "inserted" } : this.#conflict(codec, row);
  }

  /** Sent together, so that they take one round trip. */
  async insertMany(table: string, rows: readonly Row[]): Promise<InsertOutcome> {
    const outcomes = await Promise.all(rows.map((row) => this.insert(table, row)));
    return outcomes.find(({ kind }) => kind === "conflict") ?? { kind: "inserted" };
  }

  /** Why a row could not be added. */
  async #conflict(codec: TableCodec, row: Row): Promise<InsertOutcome> {
    const conflict = await findConflict(this.run, codec, row);
    if (conflict) return conflict;
    // Whoever held the values has gone in the meantime.
    this.failure ??= new SerializationFailure();
    throw toStoreError(this.failure);
  }

  async update(table: string, id: string, patch: Readonly<Record<string, Value>>): Promise<UpdateOutcome> {
    const codec = this.codecOf(table);
    const columns = Object.keys(patch);
    if (columns.length === 0) return { kind: (await this.get(table, id)) ? "updated" : "missing" };
    const sql = codec.updateSql(columns);
    const values = [...columns.map((column) => codec.encode(column, patch[column] ?? null)), id];
    if (codec.isUnique(columns)) return this.#updateUnique(codec, sql, values);
    return { kind: (await this.run(sql, values)).count > 0 ? "updated" : "missing" };
  }

  /** A violated index ends a transaction, except behind a savepoint. */
  async #updateUnique(codec: TableCodec, sql: string, values: readonly SqlValue[]): Promise<UpdateOutcome> {
    this.#settles.flush();
    const saving = this.#raw("SAVEPOINT conflict");
    const [outcome] = await Promise.all([this.#updateBehindSavepoint(sql, values), saving]);
    if ("count" in outcome) {
      await this.#raw("RELEASE SAVEPOINT conflict");
      return { kind: outcome.count > 0 ? "updated" : "missing" };
    }
    await this.#raw("ROLLBACK TO SAVEPOINT conflict");
    await this.#raw("RELEASE SAVEPOINT conflict");
    const conflict = await findConflict(this.run, codec, outcome.violated);
    if (conflict) return conflict;
    throw storeError("STORE_FAILED", { message: `There is no index "${outcome.violated}"` });
  }

  async #updateBehindSavepoint(
    sql: string,
    values: readonly SqlValue[],
  ): Promise<SqlResult | { readonly violated: string }> {
    if (this.#ended) throw storeError("TX_ENDED");
    try {
      return await this.#connection.query(sql, values);
    } catch (error) {
      const violated = violatedIndex(error);
      if (violated !== undefined) return { violated };
      this.failure ??= error;
      throw toStoreError(error);
    }
  }

  async delete(table: string, id: string): Promise<boolean> {
    return (await this.run(this.codecOf(table).deleteSql, [id])).count > 0;
  }

  async deleteWhere(table: string, where: readonly Condition[], limit: number): Promise<number> {
    const bindings = new Bindings();
    const codec = this.codecOf(table);
    const rows = `SELECT "id" FROM ${quote(table)}${whereSql(codec, where, bindings)} LIMIT ${bindings.bind(String(limit))}`;
    return (await this.run(`DELETE FROM ${quote(table)} WHERE "id" IN (${rows})`, bindings.values)).count;
  }

  async enqueueJob(job: NewJob): Promise<boolean> {
    return writes.enqueueJob(this.run, job, this.#noteDue);
  }

  async claimJobs(claim: Claim): Promise<Job[]> {
    this.owners.add(claim.owner);
    return claim.limit > 0 ? writes.claimJobs(this.run, claim, this.#noteDue) : this.#nothing();
  }

  async settleJob(settlement: Settlement): Promise<boolean> {
    if (this.#ended) throw storeError("TX_ENDED");
    return this.#settles.add(settlement);
  }

  async extendLeases(owner: string, seqs: readonly number[], leaseUntil: number): Promise<number[]> {
    this.owners.add(owner);
    return writes.extendLeases(this.run, owner, seqs, leaseUntil);
  }

  async releaseJobs(owner: string, seqs: readonly number[]): Promise<void> {
    return writes.releaseJobs(this.run, owner, seqs, this.#noteDue);
  }

  async expireLeases(now: number, limit: number): Promise<number> {
    return writes.expireLeases(this.run, { now, limit, goneOwners: this.#goneOwners() }, this.#noteDue);
  }

  async cancelJob(id: string, now: number): Promise<boolean> {
    return writes.cancelJob(this.run, id, now, this.#noteDue);
  }

  async requeueJob(id: string, dueAt: number): Promise<boolean> {
    return writes.requeueJob(this.run, id, dueAt, this.#noteDue);
  }

  async purgeJobs(finishedBefore: number, limit: number): Promise<number> {
    return writes.purgeJobs(this.run, finishedBefore, limit);
  }

  async writeMeta(key: string, value: string): Promise<void> {
    const sql = `INSERT INTO _pylon_meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
    await this.run(sql, [key, value]);
  }

  #nothing(): never[] {
    if (this.#ended) throw storeError("TX_ENDED");
    return [];
  }
}
