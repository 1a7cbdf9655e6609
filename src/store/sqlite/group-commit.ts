// The one writer of a SQLite file. Transactions that wait together run as savepoints of one physical transaction and are
// acknowledged after its COMMIT, so a durable commit costs one fsync per batch instead of one per write.

import { runCommitSteps, type StepItem } from "../commit-steps.ts";
import { storeError } from "../store-errors.ts";
import type { LaneDue, Tx, WriteOptions } from "../store.ts";
import { earliestPerLane } from "../lane-due.ts";
import { untilAborted } from "../until-aborted.ts";
import type { SqliteConnection } from "./sqlite-client.ts";
import { toStoreError } from "./sqlite-errors.ts";
import type { OpenTx } from "./sqlite-tx.ts";

/** A batch ends at either bound, so that the first of it does not wait long for its acknowledgement. */
const MAX_BATCH = 256;
const MAX_BATCH_MS = 4;
/** How long a batch waits for more while more keeps coming. */
const MAX_GATHER_MS = 1;

interface Waiting {
  readonly run: (tx: Tx) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly exclusive: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A transaction that ran and waits for the COMMIT. */
interface Finished {
  readonly waiting: Waiting;
  readonly value: unknown;
  readonly due: readonly LaneDue[];
  /** What it left for the end of the commit. */
  readonly items: readonly StepItem[] | undefined;
}

export interface GroupCommit {
  write<T>(run: (tx: Tx) => Promise<T>, options: WriteOptions): Promise<T>;
  /** Resolves when nothing is waiting; further writes answer STORE_CLOSED. */
  close(): Promise<void>;
}

export interface GroupCommitOptions {
  readonly connection: SqliteConnection;
  readonly openTx: () => OpenTx;
  /** A macrotask hop, so that what waits in the same turn shares a batch. */
  readonly defer: (task: () => void) => void;
  readonly monotonicMs: () => number;
  /** Called after each COMMIT that made work ready. */
  readonly onDue: (due: readonly LaneDue[]) => void;
}

/**
 * Where SQLite keeps what undoes a savepoint, and what it sorts. A write that shares its commit is small: in memory it costs no
 * file. What a write of its own changes, or a read between two commits sorts, may be larger than memory.
 */
function keepScratchIn(connection: SqliteConnection, place: "MEMORY" | "FILE"): void {
  connection.exec(`PRAGMA temp_store = ${place}`);
}

function rollBack(connection: SqliteConnection): void {
  if (connection.isTransaction) connection.exec("ROLLBACK");
}

/** Runs one callback; its writes stay in the open transaction, or are undone when it throws. */
function createSavepointRunner({
  connection,
  openTx,
}: GroupCommitOptions): (waiting: Waiting) => Promise<Finished | undefined> {
  const [savepoint, releaseSavepoint] = [connection.prepare("SAVEPOINT write"), connection.prepare("RELEASE write")];
  return async (waiting) => {
    const open = openTx();
    savepoint.run();
    try {
      const value = await untilAborted(() => waiting.run(open), waiting.signal);
      open.end();
      releaseSavepoint.run();
      return { waiting, value, due: open.due, items: open.commitItems };
    } catch (error) {
      open.end();
      // Some errors (disk full, I/O) end the whole transaction: then there is no savepoint, and the batch is lost.
      if (!connection.isTransaction) throw open.fatal ?? error;
      connection.exec("ROLLBACK TO write; RELEASE write");
      waiting.reject(toStoreError(error));
      return undefined;
    }
  };
}

/** Runs what the writes left for the end of the commit. Answers the lanes that it made due. */
async function runSteps(openTx: () => OpenTx, finished: readonly Finished[]): Promise<readonly LaneDue[]> {
  const items = finished.flatMap((one) => one.items ?? []);
  if (items.length === 0) return [];
  const open = openTx();
  try {
    await runCommitSteps(open, items);
    return open.due;
  } finally {
    open.end();
  }
}

/** A step failed: who gave it items hears of it. Answers the others, whose savepoints are gone with it. */
function separate(finished: readonly Finished[], error: unknown): Waiting[] {
  const coded = toStoreError(error);
  for (const { waiting, items } of finished) if (items) waiting.reject(coded);
  return finished.filter(({ items }) => !items).map(({ waiting }) => waiting);
}

/**
 * Takes another turn of the event loop for as long as each one brings more writes: whoever was answered by the last commit is
 * often about to ask for the next, and the more share one, the less each pays for it. Alone, a write waits one turn.
 */
async function gather(queue: readonly Waiting[], { defer, monotonicMs }: GroupCommitOptions): Promise<void> {
  const startedAtMs = monotonicMs();
  let known: number;
  do {
    known = queue.length;
    // Always one, however many wait: what else the process does has its turn between two commits.
    await new Promise<void>((resolve) => defer(resolve));
    if (queue[0]?.exclusive || monotonicMs() - startedAtMs > MAX_GATHER_MS) return;
  } while (queue.length > known && queue.length < MAX_BATCH);
}

export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { connection } = options;
  const queue: Waiting[] = [];
  const idle: (() => void)[] = [];
  let draining = false;
  let closed = false;

  const [begin, commit] = [connection.prepare("BEGIN IMMEDIATE"), connection.prepare("COMMIT")];
  const runInSavepoint = createSavepointRunner(options);

  /** Takes what may share the next commit: one exclusive writer, or as many others as wait. */
  const takeNext = (taken: number, startedAtMs: number): Waiting | undefined => {
    const next = queue[0];
    if (!next || (taken > 0 && next.exclusive)) return undefined;
    if (taken >= MAX_BATCH || options.monotonicMs() - startedAtMs > MAX_BATCH_MS) return undefined;
    return queue.shift();
  };

  const runBatch = async (): Promise<void> => {
    const startedAtMs = options.monotonicMs();
    const taken: Waiting[] = [];
    const finished: Finished[] = [];
    let due: readonly LaneDue[] = [];
    const isShared = queue[0]?.exclusive === false;
    try {
      if (isShared) keepScratchIn(connection, "MEMORY");
      begin.run();
      for (let next = takeNext(0, startedAtMs); next; next = takeNext(taken.length, startedAtMs)) {
        taken.push(next);
        const done = await runInSavepoint(next);
        if (done) finished.push(done);
        if (next.exclusive) break;
      }
      try {
        due = await runSteps(options.openTx, finished);
      } catch (error) {
        rollBack(connection);
        queue.unshift(...separate(finished, error));
        return;
      }
      commit.run();
    } catch (error) {
      rollBack(connection);
      if (taken.length === 0) taken.push(...queue.splice(0, MAX_BATCH));
      for (const waiting of taken) waiting.reject(toStoreError(error));
      return;
    } finally {
      // Before anybody hears of it and reads.
      if (isShared && !connection.isTransaction) keepScratchIn(connection, "FILE");
    }
    for (const { waiting, value } of finished) waiting.resolve(value);
    const earliest = earliestPerLane([...due, ...finished.flatMap((one) => one.due)]);
    if (earliest.length > 0) options.onDue(earliest);
  };

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      await gather(queue, options);
      await runBatch();
    }
    draining = false;
    for (const resolve of idle.splice(0)) resolve();
  };

  return {
    write<T>(run: (tx: Tx) => Promise<T>, writeOptions: WriteOptions): Promise<T> {
      if (closed) return Promise.reject(storeError("STORE_CLOSED"));
      return new Promise<T>((resolve, reject) => {
        queue.push({
          run,
          resolve: resolve as (value: unknown) => void,
          reject,
          exclusive: writeOptions.exclusive ?? false,
          signal: writeOptions.signal,
        });
        if (draining) return;
        draining = true;
        void drain();
      });
    },
    close() {
      closed = true;
      return draining ? new Promise((resolve) => idle.push(resolve)) : Promise.resolve();
    },
  };
}
