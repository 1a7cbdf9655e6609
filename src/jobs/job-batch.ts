// The one transaction of the engine: settles what has ended, gives back what nobody here can run, and claims for the lanes
// that are due. Either all of a batch committed or nothing of it is known to have.

import type { Clock } from "../core/clock.ts";
import { isPylonError } from "../core/errors.ts";
import type { Job, Store, Tx } from "../store/store.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { JobRun } from "./job-run.ts";
import type { LaneClaim, LaneClaimed } from "./lane-schedule.ts";

/** A part of what a job has done, before it ends. */
export interface JobProgress {
  readonly run: JobRun;
  readonly settle: (tx: Tx) => Promise<void>;
  /** It has committed; false: the lease was not held any more. */
  readonly recorded: (wasHeld: boolean) => void;
  /** `settle` is to blame that it cannot be recorded. */
  readonly refused: (error: unknown) => void;
}

export interface Batch {
  readonly progress: readonly JobProgress[];
  readonly ends: readonly AttemptEnd[];
  /** The seqs of claims to give back. */
  readonly releases: readonly number[];
  readonly claims: readonly LaneClaim[];
}

/** What a lane's claim brought, with the jobs. */
export interface ClaimedJobs extends LaneClaimed {
  readonly jobs: readonly Job[];
  readonly leaseUntil: number;
}

/** A batch that committed. */
export interface BatchDone {
  /** Per progress: whether the lease was still held. */
  readonly recorded: readonly boolean[];
  /** Per end: whether the lease was still held. */
  readonly settled: readonly boolean[];
  readonly claimed: readonly ClaimedJobs[];
}

export interface BatchWriter {
  readonly store: Store;
  readonly clock: Clock;
  readonly owner: string;
  readonly leaseMs: number;
}

/** Rejected by the callback of one end, not by the store: the others can be settled without it. */
export class SettleCallbackError extends Error {
  override readonly name: string = "SettleCallbackError";
  constructor(cause: unknown) {
    super("A settle callback failed", { cause });
  }
}

/** Codes that speak of the store as a whole, wherever they are raised: nobody's callback is to blame. */
const STORE_AWAY_CODES: readonly string[] = [
  "STORE_CLOSED",
  "STORE_BUSY",
  "STORE_FULL",
  "STORE_UNWRITABLE",
  "STORE_UNAVAILABLE",
  "STORE_UNCERTAIN",
];

function isStoreAway(error: unknown): boolean {
  return STORE_AWAY_CODES.some((code) => isPylonError(error, code));
}

/**
 * Runs `run` in a transaction and tells whose fault a failure is. The error passes the store as it is: a store that lost
 * the whole commit gives it to every writer that shared it.
 */
async function writeBlaming<T>(store: Store, run: (tx: Tx, blame: Blame) => Promise<T>): Promise<T> {
  const blame: Blame = { isInCallback: false };
  try {
    return await store.write(
      (tx) => {
        blame.isInCallback = false;
        return run(tx, blame);
      },
      // Every step here is safe by itself: leases decide, not what was read before.
      { isolation: "read-committed" },
    );
  } catch (error) {
    throw blame.isInCallback && !isStoreAway(error) ? new SettleCallbackError(error) : error;
  }
}

/** Whether the transaction was inside a settle callback when it ended. */
interface Blame {
  isInCallback: boolean;
}

/** Before any end: a job that ends is not held any more. */
async function recordProgress(
  tx: Tx,
  progress: readonly JobProgress[],
  { writer, blame }: { readonly writer: BatchWriter; readonly blame: Blame },
): Promise<boolean[]> {
  if (progress.length === 0) return [];
  const seqs = [...new Set(progress.map(({ run }) => run.job.seq))];
  const held = new Set(await tx.extendLeases(writer.owner, seqs, Math.floor(writer.clock.now()) + writer.leaseMs));
  const recorded: boolean[] = [];
  for (const { run, settle } of progress) {
    // One that was lost and claimed again has the lease of its successor.
    const isHeld = run.state !== "lost" && held.has(run.job.seq);
    blame.isInCallback = isHeld;
    if (isHeld) await settle(tx);
    blame.isInCallback = false;
    recorded.push(isHeld);
  }
  return recorded;
}

async function settleEnds(tx: Tx, ends: readonly AttemptEnd[], blame: Blame): Promise<boolean[]> {
  // Sent together: a store behind a network answers them in one round trip.
  const settled = await Promise.all(ends.map((end) => tx.settleJob(end.settlement)));
  for (const [i, end] of ends.entries()) {
    if (!settled[i] || !end.settle) continue;
    blame.isInCallback = true;
    await end.settle(tx);
    blame.isInCallback = false;
  }
  return settled;
}

async function claimLanes(tx: Tx, claims: readonly LaneClaim[], writer: BatchWriter): Promise<ClaimedJobs[]> {
  const now = Math.floor(writer.clock.now());
  const leaseUntil = now + writer.leaseMs;
  const jobs = await Promise.all(
    claims.map(({ lane, limit }) => tx.claimJobs({ lane: lane.name, limit, owner: writer.owner, now, leaseUntil })),
  );
  return Promise.all(
    claims.map(async (claim, i) => {
      const claimed = jobs[i] ?? [];
      const nextDueAt = claimed.length < claim.limit ? await tx.laneDue(claim.lane.name) : undefined;
      return { claim, jobs: claimed, count: claimed.length, nextDueAt, claimedAtMs: now, leaseUntil };
    }),
  );
}

/** Runs the batch in one transaction. The callback may run again when the store retries it. */
export function writeBatch(writer: BatchWriter, batch: Batch): Promise<BatchDone> {
  return writeBlaming(writer.store, async (tx, blame) => {
    const recorded = await recordProgress(tx, batch.progress, { writer, blame });
    const settled = await settleEnds(tx, batch.ends, blame);
    if (batch.releases.length > 0) await tx.releaseJobs(writer.owner, batch.releases);
    return { recorded, settled, claimed: await claimLanes(tx, batch.claims, writer) };
  });
}

/** What settling one by one came to. */
export interface ApartDone {
  readonly settled: readonly { readonly end: AttemptEnd; readonly held: boolean }[];
  readonly poisoned: readonly { readonly end: AttemptEnd; readonly error: unknown }[];
  /** The store went away in between: to be tried again. */
  readonly left: readonly AttemptEnd[];
}

/** Records parts one by one and tells each how it went. Answers those for which the store went away. */
export async function recordApart(writer: BatchWriter, progress: readonly JobProgress[]): Promise<JobProgress[]> {
  const left: JobProgress[] = [];
  const recordAlone = async (part: JobProgress): Promise<void> => {
    try {
      const [isHeld] = await writeBlaming(writer.store, (tx, blame) => recordProgress(tx, [part], { writer, blame }));
      part.recorded(isHeld === true);
    } catch (error) {
      if (isStoreAway(error)) left.push(part);
      else part.refused(error instanceof SettleCallbackError ? error.cause : error);
    }
  };
  await Promise.all(progress.map(recordAlone));
  return left;
}

/**
 * Settles ends one by one, so that one whose callback fails does not hold up the others. Starts with a write without any
 * callback: when that fails as well it is the store that is away, and nobody is blamed.
 *
 * @throws what that first write threw.
 */
export async function settleApart(writer: BatchWriter, ends: readonly AttemptEnd[]): Promise<ApartDone> {
  const plain = ends.filter((end) => !end.settle);
  const doubtful = ends.filter((end) => end.settle);
  const held = await writeBlaming(writer.store, async (tx, blame) => {
    const seqs = doubtful.map((end) => end.run.job.seq);
    if (seqs.length > 0) await tx.extendLeases(writer.owner, seqs, Math.floor(writer.clock.now()) + writer.leaseMs);
    return settleEnds(tx, plain, blame);
  });
  const settled = plain.map((end, i) => ({ end, held: held[i] === true }));
  const poisoned: { end: AttemptEnd; error: unknown }[] = [];
  const left: AttemptEnd[] = [];
  const settleAlone = async (end: AttemptEnd): Promise<void> => {
    try {
      const [isHeld] = await writeBlaming(writer.store, (tx, blame) => settleEnds(tx, [end], blame));
      settled.push({ end, held: isHeld === true });
    } catch (error) {
      if (isStoreAway(error)) left.push(end);
      else poisoned.push({ end, error: error instanceof SettleCallbackError ? error.cause : error });
    }
  };
  // Transactions of their own, but not one after the other: a store with group commit makes them durable together.
  await Promise.all(doubtful.map(settleAlone));
  return { settled, poisoned, left };
}
