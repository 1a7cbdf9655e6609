// The Store contract: rows, transactions and durable jobs. Everything above this room speaks only this, so SQLite and
// Postgres are interchangeable; `test/conformance/store.ts` is what an implementation must pass.

import type { Json } from "../core/json.ts";

export type ColumnType = "text" | "int" | "real" | "bool" | "json" | "blob";

/**
 * A value in a row. `int` columns take safe integers and bigints of 64 bits; a stored integer outside ±(2^53-1) comes
 * back as a bigint, never rounded. `json` columns take and give JSON values. Everything but `id` may be null.
 */
export type Value = Json | bigint | Uint8Array;
/** A row as stored: `id` and every column of the table's spec, nulls included. */
export type Row = { readonly id: string; readonly [column: string]: Value };

export interface ColumnSpec {
  readonly name: string;
  readonly type: ColumnType;
}

export interface IndexSpec {
  /** Unique within the database; `<table>_<…>` by convention. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
}

/** A table: its primary key is always `id` (text), which `columns` does not repeat. */
export interface TableSpec {
  readonly name: string;
  readonly columns: readonly ColumnSpec[];
  readonly indexes: readonly IndexSpec[];
  /**
   * An int column that a unique index is over. A store that can keeps the rows in its order, and needs no index for it; a row
   * without a value there gets one (SQLite, for a table that it makes).
   */
  readonly clusteredBy?: string;
}

/** `eq null` is "is null"; `ne v` includes nulls. `contains` is a literal substring, ASCII case ignored. */
export type Comparison = "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "contains";
export type Condition =
  | { readonly column: string; readonly op: Comparison; readonly value: Value }
  /** An empty list matches nothing. */
  | { readonly column: string; readonly op: "in"; readonly values: readonly Value[] };

export interface Order {
  readonly column: string;
  readonly descending: boolean;
}

export interface Query {
  /** All must hold. */
  readonly where?: readonly Condition[];
  /** `id` ascending is always the last key, so an order is total. Text orders by code point, nulls first. */
  readonly order?: Order;
  readonly limit: number;
  readonly offset?: number;
  /** Continue behind this row: its value of the order column (ignored without `order`) and its id. */
  readonly after?: { readonly value: Value; readonly id: string };
}

/** A unique index already holds these values. A value, not an error: callers answer 409 with it. */
export interface Conflict {
  readonly kind: "conflict";
  /** The columns of the index; `["id"]` for the primary key. */
  readonly columns: readonly string[];
}

export type InsertOutcome = { readonly kind: "inserted" } | Conflict;
export type UpdateOutcome = { readonly kind: "updated" } | { readonly kind: "missing" } | Conflict;

/** `blocked` waits for an earlier job of the same key; `canceled`, `done` and `dead` are final. */
export type JobState = "ready" | "leased" | "blocked" | "done" | "dead" | "canceled";

export interface NewJob {
  readonly id: string;
  /** Names the handler. */
  readonly kind: string;
  /** Jobs of one lane share a concurrency limit; lanes do not delay each other. */
  readonly lane: string;
  /**
   * Jobs of one key run one after the other: the one whose transaction had committed before the other's began first. Of
   * transactions that ran at the same time, a store with several writers may take either first.
   */
  readonly key?: string | null;
  readonly payload: string;
  readonly dueAt: number;
  readonly createdAt: number;
  /** Attempts that were made before there was a job. @default 0 */
  readonly attempt?: number;
}

/** A job as stored. Times are epoch milliseconds. `seq` grows in commit order. */
export interface Job extends Required<NewJob> {
  readonly seq: number;
  readonly state: JobState;
  /** How often it was claimed since it was enqueued or requeued by hand: the fence of a lease. */
  readonly attempt: number;
  /**
   * How many of these claims ended without an outcome, because their owner died: `attempt - lost` is how often the job was
   * really tried.
   */
  readonly lost: number;
  readonly leaseOwner: string | null;
  readonly leaseUntil: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly finishedAt: number | null;
}

/** One finished attempt. */
export interface JobAttempt {
  readonly attempt: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly ok: boolean;
  readonly status: number | null;
  readonly error: string | null;
}

export interface Claim {
  readonly lane: string;
  readonly limit: number;
  readonly owner: string;
  /** Epoch milliseconds; jobs due at or before it are claimed, oldest due first. */
  readonly now: number;
  readonly leaseUntil: number;
}

/** The end of one attempt. Refused (false) unless the job is still leased to `owner` with this `attempt`. */
export interface Settlement {
  readonly seq: number;
  /** Of the job, as the claim gave them. */
  readonly key: string | null;
  readonly lane: string;
  readonly owner: string;
  readonly attempt: JobAttempt;
  readonly next: { readonly state: "done" | "dead" } | { readonly state: "ready"; readonly dueAt: number };
}

/** The earliest due time of a lane that has ready jobs. */
export interface LaneDue {
  readonly lane: string;
  readonly dueAt: number;
}

export interface JobQuery {
  readonly kind: string;
  readonly states: readonly JobState[];
  /** Only jobs with `attempt` = 0 (never tried), or > 0. */
  readonly tried?: boolean;
  /** Newest first, continuing below this `seq`. */
  readonly beforeSeq?: number;
  readonly limit: number;
}

/** Reads. Outside a transaction each call sees the last commit. */
export interface Reader {
  get(table: string, id: string): Promise<Row | undefined>;
  find(table: string, query: Query): Promise<Row[]>;
  count(table: string, where: readonly Condition[]): Promise<number>;
  getJob(id: string): Promise<Job | undefined>;
  listJobs(query: JobQuery): Promise<Job[]>;
  /** Oldest first. */
  listAttempts(jobId: string): Promise<JobAttempt[]>;
  /** Lanes with a ready job due at or before `until`, by lane name, behind `afterLane`. */
  dueLanes(until: number, limit: number, afterLane?: string): Promise<LaneDue[]>;
  /** The earliest due time among a lane's ready jobs. */
  laneDue(lane: string): Promise<number | undefined>;
  /** Jobs per state; for metrics. */
  countJobs(): Promise<Partial<Record<JobState, number>>>;
  readMeta(key: string): Promise<string | undefined>;
}

/**
 * What several writes do together at the end of the physical transaction that commits them, such as extending one hash
 * tree by the entries of all. Known by its identity.
 */
export interface CommitStep<Item = unknown> {
  /**
   * Runs once as the last thing before COMMIT, with the items of the writes that share it, in the order in which they were
   * given. Awaits only `tx`. A throw rolls back the writes that gave items; their neighbours are committed without them.
   */
  run(tx: Tx, items: readonly Item[]): Promise<void>;
}

/** A transaction. Use only inside the callback that got it, and await nothing there but its own methods. */
export interface Tx extends Reader {
  /** Hands `item` to a step of the commit. A write that rolls back takes its items with it. */
  atCommit<Item>(step: CommitStep<Item>, item: Item): void;
  insert(table: string, row: Row): Promise<InsertOutcome>;
  /** Inserts all of them, for less than one by one. After a conflict some are there: the transaction must not commit. */
  insertMany(table: string, rows: readonly Row[]): Promise<InsertOutcome>;
  /** Sets the given columns and leaves the others. */
  update(table: string, id: string, patch: Readonly<Record<string, Value>>): Promise<UpdateOutcome>;
  /** Whether the row existed. */
  delete(table: string, id: string): Promise<boolean>;
  /** Deletes at most `limit` rows, answers how many. */
  deleteWhere(table: string, where: readonly Condition[], limit: number): Promise<number>;
  /** A job with an `id` that exists is not added again; answers whether it was. */
  enqueueJob(job: NewJob): Promise<boolean>;
  claimJobs(claim: Claim): Promise<Job[]>;
  settleJob(settlement: Settlement): Promise<boolean>;
  /** Moves the leases that `owner` still holds; answers the seqs that it does hold. */
  extendLeases(owner: string, seqs: readonly number[], leaseUntil: number): Promise<number[]>;
  /** Gives back a claim as if it had not happened. */
  releaseJobs(owner: string, seqs: readonly number[]): Promise<void>;
  /** Leases that ended at or before `now` become ready again; answers how many (at most `limit`). */
  expireLeases(now: number, limit: number): Promise<number>;
  /** Cancels a job that is neither running nor finished. */
  cancelJob(id: string, now: number): Promise<boolean>;
  /** Makes a finished job ready again, attempts counted from 0. False when there is none or it is not finished. */
  requeueJob(id: string, dueAt: number): Promise<boolean>;
  /** Removes finished jobs and their attempts, oldest first; answers how many. */
  purgeJobs(finishedBefore: number, limit: number): Promise<number>;
  writeMeta(key: string, value: string): Promise<void>;
}

export interface WriteOptions {
  /**
   * The callback may wait for things other than the transaction (an application's mutation): it gets a physical
   * transaction of its own, for which a store with one writer lets every other one wait. Default false: it may share one
   * commit with its neighbours.
   */
  readonly exclusive?: boolean;
  /**
   * `serializable`: as if transactions ran one after the other; a store that finds out otherwise runs the callback again.
   * `read-committed`: each statement sees what has committed before it, and nothing is run again for what others did; for
   * callers whose every step is safe by itself, such as the job engine. A store with one writer is always the former.
   *
   * @default "serializable"
   */
  readonly isolation?: "serializable" | "read-committed";
  /** Rolls back when aborted before the callback has ended. */
  readonly signal?: AbortSignal;
}

/** A step of a schema change. */
export type SchemaStep =
  | { readonly kind: "create-table"; readonly table: TableSpec }
  | { readonly kind: "drop-table"; readonly table: string }
  | { readonly kind: "add-column"; readonly table: string; readonly column: ColumnSpec }
  | { readonly kind: "drop-column"; readonly table: string; readonly column: string }
  /** Keeps the values, converted: any type to text, int to real. */
  | { readonly kind: "convert-column"; readonly table: string; readonly column: ColumnSpec; readonly from: ColumnType }
  | { readonly kind: "create-index"; readonly table: string; readonly index: IndexSpec }
  | { readonly kind: "drop-index"; readonly table: string; readonly index: string };

/** The steps, or how to find them under the lock. */
export type SchemaSteps = readonly SchemaStep[] | ((reader: Reader) => Promise<readonly SchemaStep[]>);

/**
 * The engines of all processes on one store, among which lanes are divided, as one of them sees it. A lane is owned by one
 * engine at a time; for some seconds behind a change of members by none.
 */
export interface EngineGroup {
  /** Whether this engine owns the lane now. */
  owns(lane: string): boolean;
  /** Owns nothing from now on, and lets the others know. Never rejects; safe to repeat. */
  leave(): Promise<void>;
}

export interface Store {
  /** For logs and `/readyz`: never holds a password. */
  readonly name: string;
  /**
   * Whether no other process had this store open when it was opened: then every lease in it was left behind by a process
   * that is gone.
   */
  readonly openedAlone: boolean;
  /** Whether transactions of several writers run at the same time, so that a row which all of them change makes them queue. */
  readonly writesConcurrently?: boolean;
  readonly reader: Reader;
  /** Tells the store about tables. A table must be described before it is used; describing is not creating. */
  describe(tables: readonly TableSpec[]): void;
  /**
   * Runs `run` in one transaction: committed and durable when the promise resolves, rolled back when `run` throws. A store
   * may run it more than once; what counts is the run that commits, so it has no effects outside of the transaction.
   *
   * @throws STORE_CLOSED after `close`; STORE_BUSY, STORE_FULL, STORE_UNAVAILABLE or STORE_FAILED when the database refuses;
   * STORE_UNCERTAIN when the connection was lost during the commit and nobody can be asked what became of it.
   */
  write<T>(run: (tx: Tx) => Promise<T>, options?: WriteOptions): Promise<T>;
  /**
   * Changes the schema and whatever `run` writes in one transaction. Idempotent per step. One at a time, however many
   * processes ask: a function decides on the steps when its turn has come, from what it reads then.
   */
  changeSchema<T>(steps: SchemaSteps, run: (tx: Tx) => Promise<T>): Promise<T>;
  /** Called after a commit that made jobs ready, with the earliest due time per lane. Answers the unsubscriber. */
  onDue(listener: (due: readonly LaneDue[]) => void): () => void;
  /**
   * Adds an engine to the group. Alone it owns every lane as soon as the database has answered; beside others its share, once
   * they know of it. It owns nothing while it cannot tell who else is there. `onChange` is called, not from within, after
   * `owns` may have come to answer otherwise. Missing where one process serves the store: its engine owns every lane.
   */
  joinEngines?(onChange: () => void): EngineGroup;
  /** @throws when the database cannot answer. */
  ping(): Promise<void>;
  /** Waits for writes under way, then releases the file or the connections. Safe to repeat. */
  close(): Promise<void>;
}
