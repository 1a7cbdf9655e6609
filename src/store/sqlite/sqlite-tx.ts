// The Reader and the Tx of one SQLite connection. Calls run at once and answer through resolved promises, so a callback
// that awaits only its transaction never leaves the current turn of the event loop.

import { storeError } from "../store-errors.ts";
import type { Condition, LaneDue, Reader, Tx, UpdateOutcome, Value, InsertOutcome, Row } from "../store.ts";
import * as jobs from "./job-rows.ts";
import { selectSql, whereSql } from "./query-sql.ts";
import type { SqlValue } from "./sqlite-client.ts";
import { conflictOf, toStoreError } from "./sqlite-errors.ts";
import type { StatementCache } from "./statement-cache.ts";
import { quote, type TableCodec } from "./table-codec.ts";

export type CodecOf = (table: string) => TableCodec;

/** Wraps a synchronous call: a throw becomes a rejection with a coded error. */
type Guarded = <T>(call: () => T) => Promise<T>;

function settled<T>(call: () => T): Promise<T> {
  try {
    return Promise.resolve(call());
  } catch (error) {
    return Promise.reject(toStoreError(error));
  }
}

function readerOver(cache: StatementCache, codecOf: CodecOf, guarded: Guarded): Reader {
  return {
    get: (table, id) =>
      guarded(() => {
        const codec = codecOf(table);
        const raw = cache.get(codec.getSql, [id]);
        return raw && codec.decode(raw);
      }),
    find: (table, query) =>
      guarded(() => {
        const codec = codecOf(table);
        const { sql, values } = selectSql(codec, query);
        return cache.all(sql, values).map((raw) => codec.decode(raw));
      }),
    count: (table, where) =>
      guarded(() => {
        const values: SqlValue[] = [];
        const sql = `SELECT count(*) AS n FROM ${quote(table)}${whereSql(codecOf(table), where, values)}`;
        return Number(cache.get(sql, values)?.n ?? 0);
      }),
    getJob: (id) => guarded(() => jobs.getJob(cache, id)),
    listJobs: (query) => guarded(() => jobs.listJobs(cache, query)),
    listAttempts: (jobId) => guarded(() => jobs.listAttempts(cache, jobId)),
    dueLanes: (until, limit, afterLane) => guarded(() => jobs.dueLanes(cache, until, limit, afterLane ?? "")),
    laneDue: (lane) => guarded(() => jobs.laneDue(cache, lane)),
    countJobs: () => guarded(() => jobs.countJobs(cache)),
    readMeta: (key) =>
      guarded(() => cache.get(`SELECT value FROM _pylon_meta WHERE key = ?`, [key])?.value as string | undefined),
  };
}

/** Reads that see the last commit; after `isClosed`, each answers STORE_CLOSED. */
export function createReader(cache: StatementCache, codecOf: CodecOf, isClosed: () => boolean): Reader {
  return readerOver(cache, codecOf, (call) =>
    isClosed() ? Promise.reject(storeError("STORE_CLOSED")) : settled(call),
  );
}

/** One transaction's handle, and what its end needs. */
export interface OpenTx {
  readonly tx: Tx;
  /** Lanes that got ready work, for the listeners after the commit. */
  readonly due: LaneDue[];
  /** Every later call answers TX_ENDED. */
  end(): void;
  /** The error that made SQLite end the whole transaction, when one did. */
  fatal(): unknown;
}

function insertRow(cache: StatementCache, codec: TableCodec, row: Row): InsertOutcome {
  try {
    cache.run(codec.insertSql, codec.encodeRow(row));
    return { kind: "inserted" };
  } catch (error) {
    const conflict = conflictOf(error);
    if (conflict) return conflict;
    throw error;
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
    const conflict = conflictOf(error);
    if (conflict) return conflict;
    throw error;
  }
}

function deleteWhere(cache: StatementCache, codec: TableCodec, where: readonly Condition[], limit: number): number {
  const values: SqlValue[] = [];
  const table = quote(codec.spec.name);
  const rows = `SELECT "id" FROM ${table}${whereSql(codec, where, values)} LIMIT ?`;
  return cache.run(`DELETE FROM ${table} WHERE "id" IN (${rows})`, [...values, limit]);
}

/** `isOpen` tells whether the connection is still in the transaction. */
export function openTx(cache: StatementCache, codecOf: CodecOf, isOpen: () => boolean): OpenTx {
  let ended = false;
  let fatal: unknown;
  const due: LaneDue[] = [];
  const noteDue: jobs.NoteDue = (lane, dueAt) => {
    due.push({ lane, dueAt });
  };
  const guarded: Guarded = (call) => {
    if (ended) return Promise.reject(storeError("TX_ENDED"));
    try {
      return Promise.resolve(call());
    } catch (error) {
      const coded = toStoreError(error);
      // A full disk ends the transaction behind the caller's back: its next call would commit on its own.
      if (!isOpen()) [ended, fatal] = [true, coded];
      return Promise.reject(coded);
    }
  };
  const tx: Tx = {
    ...readerOver(cache, codecOf, guarded),
    insert: (table, row) => guarded(() => insertRow(cache, codecOf(table), row)),
    update: (table, id, patch) => guarded(() => updateRow(cache, codecOf(table), id, patch)),
    delete: (table, id) => guarded(() => cache.run(codecOf(table).deleteSql, [id]) > 0),
    deleteWhere: (table, where, limit) => guarded(() => deleteWhere(cache, codecOf(table), where, limit)),
    enqueueJob: (job) => guarded(() => jobs.enqueueJob(cache, job, noteDue)),
    claimJobs: (claim) => guarded(() => jobs.claimJobs(cache, claim)),
    settleJob: (settlement) => guarded(() => jobs.settleJob(cache, settlement, noteDue)),
    extendLeases: (owner, seqs, leaseUntil) => guarded(() => jobs.extendLeases(cache, owner, seqs, leaseUntil)),
    releaseJobs: (owner, seqs) => guarded(() => jobs.releaseJobs(cache, owner, seqs, noteDue)),
    expireLeases: (now, limit) => guarded(() => jobs.expireLeases(cache, now, limit, noteDue)),
    cancelJob: (id, now) => guarded(() => jobs.cancelJob(cache, id, now, noteDue)),
    requeueJob: (id, dueAt) => guarded(() => jobs.requeueJob(cache, id, dueAt, noteDue)),
    purgeJobs: (finishedBefore, limit) => guarded(() => jobs.purgeJobs(cache, finishedBefore, limit)),
    writeMeta: (key, value) =>
      guarded(() => {
        const sql = `INSERT INTO _pylon_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
        cache.run(sql, [key, value]);
      }),
  };
  return {
    tx,
    due,
    end() {
      ended = true;
    },
    fatal: () => fatal,
  };
}
