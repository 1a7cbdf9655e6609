// The job part of the Store contract in memory: transactions that roll back, keys in commit order, fenced settlements.
// Writers pass one after the other; entity rows are not part of it and say so.

import { storeError } from "../../src/store/store-errors.ts";
import type {
  Claim,
  Job,
  JobAttempt,
  JobQuery,
  JobState,
  LaneDue,
  NewJob,
  Settlement,
  Store,
  Tx,
} from "../../src/store/store.ts";

const FINISHED: ReadonlySet<JobState> = new Set(["done", "dead", "canceled"]);
const byDue = (a: Job, b: Job): number => a.dueAt - b.dueAt || a.seq - b.seq;

/** Jobs and the indexes over them; every change goes through `put`, which remembers what was there before. */
class JobTable {
  readonly #jobs: Map<number, Job> = new Map();
  readonly #seqs: Map<string, number> = new Map();
  readonly #readyByLane: Map<string, Set<number>> = new Map();
  readonly #openByKey: Map<string, Set<number>> = new Map();
  readonly #leased: Set<number> = new Set();
  readonly attempts: Map<string, readonly JobAttempt[]> = new Map();
  readonly meta: Map<string, string> = new Map();
  #undo: (() => void)[] = [];
  #touched: Map<number, JobState | undefined> = new Map();
  lastSeq = 0;

  begin(): void {
    this.#undo = [];
    this.#touched = new Map();
  }

  rollback(): void {
    for (const undo of this.#undo.reverse()) undo();
    this.begin();
  }

  /** The earliest due time per lane among jobs that this transaction made ready. */
  madeReady(): LaneDue[] {
    const lanes = new Map<string, number>();
    for (const [seq, before] of this.#touched) {
      const job = this.#jobs.get(seq);
      if (job?.state !== "ready" || before === "ready") continue;
      lanes.set(job.lane, Math.min(lanes.get(job.lane) ?? Infinity, job.dueAt));
    }
    return [...lanes].map(([lane, dueAt]) => ({ lane, dueAt }));
  }

  get(seq: number): Job | undefined {
    return this.#jobs.get(seq);
  }

  byId(id: string): Job | undefined {
    const seq = this.#seqs.get(id);
    return seq === undefined ? undefined : this.#jobs.get(seq);
  }

  all(): IterableIterator<Job> {
    return this.#jobs.values();
  }

  leased(): Job[] {
    return [...this.#leased].flatMap((seq) => this.#jobs.get(seq) ?? []);
  }

  ready(lane: string): Job[] {
    return [...(this.#readyByLane.get(lane) ?? [])].flatMap((seq) => this.#jobs.get(seq) ?? []);
  }

  readyLanes(): IterableIterator<string> {
    return this.#readyByLane.keys();
  }

  /** The unfinished job of a key that is first in line. */
  headOf(key: string): Job | undefined {
    const open = this.#openByKey.get(key);
    return open && open.size > 0 ? this.#jobs.get(Math.min(...open)) : undefined;
  }

  put(seq: number, next: Job | undefined): void {
    const before = this.#jobs.get(seq);
    if (!this.#touched.has(seq)) this.#touched.set(seq, before?.state);
    this.#undo.push(() => this.#set(seq, this.#jobs.get(seq), before));
    this.#set(seq, before, next);
  }

  setIn<V>(map: Map<string, V>, key: string, value: V | undefined): void {
    const before = map.get(key);
    this.#undo.push(() => (before === undefined ? map.delete(key) : map.set(key, before)));
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }

  #set(seq: number, before: Job | undefined, next: Job | undefined): void {
    if (before) this.#unindex(before);
    if (!next) {
      this.#jobs.delete(seq);
      return;
    }
    this.#jobs.set(seq, next);
    this.#seqs.set(next.id, seq);
    if (next.state === "leased") this.#leased.add(seq);
    if (next.state === "ready") this.#index(this.#readyByLane, next.lane, seq);
    if (next.key !== null && !FINISHED.has(next.state)) this.#index(this.#openByKey, next.key, seq);
  }

  #unindex(job: Job): void {
    this.#seqs.delete(job.id);
    this.#leased.delete(job.seq);
    const lane = this.#readyByLane.get(job.lane);
    lane?.delete(job.seq);
    if (lane?.size === 0) this.#readyByLane.delete(job.lane);
    if (job.key === null) return;
    const key = this.#openByKey.get(job.key);
    key?.delete(job.seq);
    if (key?.size === 0) this.#openByKey.delete(job.key);
  }

  #index(index: Map<string, Set<number>>, name: string, seq: number): void {
    const set = index.get(name);
    if (set) set.add(seq);
    else index.set(name, new Set([seq]));
  }
}

/** The job methods of a transaction, each at once. */
function createJobOperations(table: JobTable) {
  const release = (job: Job, state: "ready", change: Partial<Job> = {}): void =>
    table.put(job.seq, { ...job, state, leaseOwner: null, leaseUntil: null, ...change });
  const promote = (key: string | null): void => {
    const head = key === null ? undefined : table.headOf(key);
    if (head?.state === "blocked") table.put(head.seq, { ...head, state: "ready" });
  };
  const isHeld = (job: Job | undefined, owner: string): job is Job =>
    job?.state === "leased" && job.leaseOwner === owner;
  return {
    enqueueJob(job: NewJob): boolean {
      if (table.byId(job.id)) return false;
      const key = job.key ?? null;
      const state = key !== null && table.headOf(key) ? "blocked" : "ready";
      const seq = ++table.lastSeq;
      table.put(seq, {
        ...job,
        key,
        seq,
        state,
        attempt: job.attempt ?? 0,
        lost: 0,
        leaseOwner: null,
        leaseUntil: null,
        lastStatus: null,
        lastError: null,
        finishedAt: null,
      });
      return true;
    },
    claimJobs({ lane, limit, owner, now, leaseUntil }: Claim): Job[] {
      const due = table.ready(lane).filter((job) => job.dueAt <= now);
      return due
        .sort(byDue)
        .slice(0, limit)
        .map((job) => {
          const leased: Job = { ...job, state: "leased", attempt: job.attempt + 1, leaseOwner: owner, leaseUntil };
          table.put(job.seq, leased);
          return leased;
        });
    },
    settleJob({ seq, owner, attempt, next }: Settlement): boolean {
      const job = table.get(seq);
      if (!isHeld(job, owner) || job.attempt !== attempt.attempt) return false;
      table.setIn(table.attempts, job.id, [...(table.attempts.get(job.id) ?? []), attempt]);
      const last = { lastStatus: attempt.status, lastError: attempt.error, leaseOwner: null, leaseUntil: null };
      if (next.state === "ready") {
        table.put(seq, { ...job, ...last, state: "ready", dueAt: next.dueAt });
      } else {
        const finishedAt = attempt.startedAt + attempt.durationMs;
        table.put(seq, { ...job, ...last, state: next.state, finishedAt });
        promote(job.key);
      }
      return true;
    },
    extendLeases(owner: string, seqs: readonly number[], leaseUntil: number): number[] {
      return seqs.filter((seq) => {
        const job = table.get(seq);
        if (!isHeld(job, owner)) return false;
        table.put(seq, { ...job, leaseUntil });
        return true;
      });
    },
    releaseJobs(owner: string, seqs: readonly number[]): void {
      for (const seq of seqs) {
        const job = table.get(seq);
        if (isHeld(job, owner)) release(job, "ready", { attempt: job.attempt - 1 });
      }
    },
    expireLeases(now: number, limit: number): number {
      const over = table.leased().filter((job) => (job.leaseUntil ?? 0) <= now);
      for (const job of over.slice(0, limit)) release(job, "ready", { lost: job.lost + 1 });
      return Math.min(over.length, limit);
    },
    cancelJob(id: string, now: number): boolean {
      const job = table.byId(id);
      if (job?.state !== "ready" && job?.state !== "blocked") return false;
      table.put(job.seq, { ...job, state: "canceled", finishedAt: now });
      promote(job.key);
      return true;
    },
    requeueJob(id: string, dueAt: number): boolean {
      const job = table.byId(id);
      if (!job || !FINISHED.has(job.state)) return false;
      const state = job.key !== null && table.headOf(job.key) ? "blocked" : "ready";
      table.put(job.seq, { ...job, state, dueAt, attempt: 0, lost: 0, finishedAt: null });
      return true;
    },
    purgeJobs(finishedBefore: number, limit: number): number {
      const old = [...table.all()]
        .filter((job) => job.finishedAt !== null && job.finishedAt < finishedBefore)
        .sort((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0))
        .slice(0, limit);
      for (const job of old) {
        table.put(job.seq, undefined);
        table.setIn(table.attempts, job.id, undefined);
      }
      return old.length;
    },
    writeMeta: (key: string, value: string): void => table.setIn(table.meta, key, value),
    getJob: (id: string): Job | undefined => table.byId(id),
    listAttempts: (id: string): JobAttempt[] => [...(table.attempts.get(id) ?? [])],
    listJobs({ kind, states, tried, beforeSeq = Infinity, limit }: JobQuery): Job[] {
      return [...table.all()]
        .filter((job) => job.kind === kind && states.includes(job.state) && job.seq < beforeSeq)
        .filter((job) => tried === undefined || tried === job.attempt - job.lost > 0)
        .sort((a, b) => b.seq - a.seq)
        .slice(0, limit);
    },
    laneDue: (lane: string): number | undefined => table.ready(lane).sort(byDue)[0]?.dueAt,
    dueLanes(until: number, limit: number, afterLane = ""): LaneDue[] {
      return [...table.readyLanes()]
        .filter((lane) => lane > afterLane)
        .sort((a, b) => (a < b ? -1 : 1))
        .map((lane) => ({ lane, dueAt: table.ready(lane).sort(byDue)[0]?.dueAt ?? Infinity }))
        .filter(({ dueAt }) => dueAt <= until)
        .slice(0, limit);
    },
    countJobs(): Partial<Record<JobState, number>> {
      const counts: Partial<Record<JobState, number>> = {};
      for (const job of table.all()) counts[job.state] = (counts[job.state] ?? 0) + 1;
      return counts;
    },
    readMeta: (key: string): string | undefined => table.meta.get(key),
  };
}

const noRows = (): Promise<never> => Promise.reject(new Error("This store holds jobs, not rows"));
const ROW_METHODS = {
  get: noRows,
  find: noRows,
  count: noRows,
  insert: noRows,
  update: noRows,
  delete: noRows,
  deleteWhere: noRows,
};

type Operations = ReturnType<typeof createJobOperations>;

/** The operations as a transaction; once `isOpen` says no, each refuses. */
function toTx(operations: Operations, isOpen: () => boolean): Tx {
  const tx: Record<string, unknown> = { ...ROW_METHODS };
  for (const name in operations) {
    const run = operations[name as keyof Operations] as (...args: unknown[]) => unknown;
    tx[name] = async (...args: unknown[]) => {
      if (!isOpen()) throw storeError("TX_ENDED");
      return run(...args);
    };
  }
  return tx as unknown as Tx;
}

export interface MemoryStoreOptions {
  /** @default false */
  readonly openedAlone?: boolean;
}

/** Creates an empty store. */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const table = new JobTable();
  const operations = createJobOperations(table);
  const listeners = new Set<(due: readonly LaneDue[]) => void>();
  let tail: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  async function transact<T>(run: (tx: Tx) => Promise<T>): Promise<T> {
    let isOpen = true;
    table.begin();
    try {
      const result = await run(toTx(operations, () => isOpen));
      isOpen = false;
      const due = table.madeReady();
      table.begin();
      if (due.length > 0) for (const listener of [...listeners]) listener(due);
      return result;
    } catch (error) {
      isOpen = false;
      table.rollback();
      throw error;
    }
  }
  const unsupported = (): never => {
    throw new Error("This store holds jobs, not rows");
  };
  return {
    name: "memory (jobs only)",
    openedAlone: options.openedAlone ?? false,
    reader: toTx(operations, () => !isClosed),
    describe: unsupported,
    changeSchema: unsupported,
    write<T>(run: (tx: Tx) => Promise<T>): Promise<T> {
      if (isClosed) return Promise.reject(storeError("STORE_CLOSED"));
      const result = tail.then(() => transact(run));
      tail = result.catch(() => undefined);
      return result;
    },
    onDue(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ping: async () => undefined,
    async close() {
      isClosed = true;
      await tail;
    },
  };
}
