// What the Store conformance tests share: how a store under test is opened, the tables they use, and small askers.

import assert from "node:assert/strict";
import { it } from "node:test";

import { PylonError } from "../../src/core/errors.ts";
import type { Job, NewJob, Query, Row, Store, TableSpec, Tx, Value } from "../../src/store/store.ts";

/** An empty store, and what its kind of database can do beside it. */
export interface OpenedStore {
  readonly store: Store;
  /** Closes every store of these data and opens one again. */
  readonly reopen?: () => Promise<Store>;
  /** Another process's view: one more store over the same data. */
  readonly second?: () => Promise<Store>;
  /** Closes whatever is still open and removes the data. */
  readonly cleanup: () => Promise<void>;
}
export type OpenStore = () => Promise<OpenedStore>;

/** A busy machine may take this long over one test; a hanging one still ends. */
const TEST_TIMEOUT_MS = 60_000;

export type StoreTest = (name: string, run: (opened: OpenedStore) => Promise<void>) => void;

/** `it` with a store of its own per test. */
export function createStoreTest(open: OpenStore): StoreTest {
  return (name, run) => {
    it(name, { timeout: TEST_TIMEOUT_MS }, async () => {
      const opened = await open();
      try {
        await run(opened);
      } finally {
        await opened.cleanup();
      }
    });
  };
}

/** One column of each type. */
export const NOTE: TableSpec = {
  name: "Note",
  columns: [
    { name: "title", type: "text" },
    { name: "size", type: "int" },
    { name: "ratio", type: "real" },
    { name: "open", type: "bool" },
    { name: "tags", type: "json" },
    { name: "body", type: "blob" },
  ],
  indexes: [{ name: "Note_size", columns: ["size"], unique: false }],
};

/** Names that are words of SQL, one unique column, and one unique pair. */
export const ORDER: TableSpec = {
  name: "Order",
  columns: [
    { name: "number", type: "text" },
    { name: "group", type: "text" },
    { name: "select", type: "int" },
    { name: "total", type: "int" },
  ],
  indexes: [
    { name: "Order_number", columns: ["number"], unique: true },
    { name: "Order_group_select", columns: ["group", "select"], unique: true },
  ],
};

const NO_NOTE = { title: null, size: null, ratio: null, open: null, tags: null, body: null };
const NO_ORDER = { number: null, group: null, select: null, total: null };

export function note(id: string, values: Readonly<Record<string, Value>> = {}): Row {
  return { id, ...NO_NOTE, ...values };
}

export function order(id: string, values: Readonly<Record<string, Value>> = {}): Row {
  return { id, ...NO_ORDER, ...values };
}

export async function createTables(store: Store, tables: readonly TableSpec[] = [NOTE, ORDER]): Promise<void> {
  store.describe(tables);
  await store.changeSchema(
    tables.map((table) => ({ kind: "create-table" as const, table })),
    async () => undefined,
  );
}

export async function insertAll(store: Store, table: string, rows: readonly Row[]): Promise<void> {
  await store.write(async (tx) => {
    for (const row of rows) assert.deepEqual(await tx.insert(table, row), { kind: "inserted" });
  });
}

export async function findIds(store: Store, table: string, query: Partial<Query> = {}): Promise<string[]> {
  return (await store.reader.find(table, { limit: 1_000, ...query })).map((row) => row.id);
}

/** For `assert.rejects`: the code decides, the prose may change. */
export function hasCode(code: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof PylonError, `not a coded error: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

/** A promise, and the function that resolves it. */
export function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Lets whatever could run now run: some turns of the event loop. */
export async function letOthersRun(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Times in the tests are small numbers of milliseconds after this one. */
export const T0 = 1_760_000_000_000;

export function newJob(id: string, values: Partial<NewJob> = {}): NewJob {
  return { id, kind: "mail", lane: "mail", payload: `payload of ${id}`, dueAt: T0, createdAt: T0, ...values };
}

export function enqueue(store: Store, ...jobs: NewJob[]): Promise<boolean[]> {
  return store.write(async (tx) => {
    const added: boolean[] = [];
    for (const job of jobs) added.push(await tx.enqueueJob(job));
    return added;
  });
}

export interface ClaimWish {
  readonly lane?: string;
  readonly limit?: number;
  readonly owner?: string;
  readonly now?: number;
  readonly leaseMs?: number;
}

export function claim(store: Store, wish: ClaimWish = {}): Promise<Job[]> {
  const now = wish.now ?? T0;
  return store.write((tx) =>
    tx.claimJobs({
      lane: wish.lane ?? "mail",
      limit: wish.limit ?? 10,
      owner: wish.owner ?? "a",
      now,
      leaseUntil: now + (wish.leaseMs ?? 60_000),
    }),
  );
}

export interface SettleWish {
  readonly owner?: string;
  readonly state?: "done" | "dead" | "ready";
  readonly dueAt?: number;
  readonly startedAt?: number;
  readonly durationMs?: number;
  readonly status?: number | null;
  readonly error?: string | null;
}

/** Settles in `tx` the attempt that `job` was claimed for. */
export function settleIn(tx: Tx, job: Job, wish: SettleWish = {}): Promise<boolean> {
  const { state = "done" } = wish;
  return tx.settleJob({
    seq: job.seq,
    key: job.key,
    lane: job.lane,
    owner: wish.owner ?? "a",
    attempt: {
      attempt: job.attempt,
      startedAt: wish.startedAt ?? T0,
      durationMs: wish.durationMs ?? 5,
      ok: state === "done",
      status: wish.status ?? null,
      error: wish.error ?? null,
    },
    next: state === "ready" ? { state, dueAt: wish.dueAt ?? T0 } : { state },
  });
}

export function settle(store: Store, job: Job, wish: SettleWish = {}): Promise<boolean> {
  return store.write((tx) => settleIn(tx, job, wish));
}

export async function jobOf(store: Store, id: string): Promise<Job> {
  const job = await store.reader.getJob(id);
  assert.ok(job, `there is no job ${id}`);
  return job;
}

export async function statesOf(store: Store, ...ids: string[]): Promise<string[]> {
  const states: string[] = [];
  for (const id of ids) states.push((await jobOf(store, id)).state);
  return states;
}
