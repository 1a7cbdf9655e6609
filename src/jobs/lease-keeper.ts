// Keeps the leases of what runs here and frees those whose owner has gone. Own leases are moved before any is expired, in
// the same transaction: a clock that jumps ahead by an hour costs nobody a lease that is being kept.

import type { Clock } from "../core/clock.ts";
import type { Store } from "../store/store.ts";
import type { JobRun } from "./job-run.ts";
import type { JobRunner } from "./job-runner.ts";

/** Every step is safe by itself. */
const LOOSE = { isolation: "read-committed" } as const;
/** Leases that one transaction expires. */
const EXPIRE_LIMIT = 1000;
/** The pause before the next thousand. */
const NEXT_EXPIRE_MS = 10;

export interface LeaseKeeperOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly owner: string;
  readonly runner: JobRunner;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly expireEveryMs: number;
  /** The longest that one attempt may take. */
  readonly maxRunMs: number;
}

/** Stores whose left-over leases were freed, or are being freed. */
const cleared = new WeakSet<Store>();

/**
 * Frees, once per opened store, the leases that a dead process left in it: after a crash nobody waits a minute for them to
 * end. To be called before this process claims anything: from then on they cannot be told from its own.
 */
export async function freeLeftOverLeases(store: Store): Promise<void> {
  if (!store.openedAlone || cleared.has(store)) return;
  cleared.add(store);
  // One transaction: between two, a claim of this process could commit and be freed as well.
  await store.write(async (tx) => {
    let expired: number;
    do expired = await tx.expireLeases(Number.MAX_SAFE_INTEGER, EXPIRE_LIMIT);
    while (expired === EXPIRE_LIMIT);
  }, LOOSE);
}

/** The runs whose lease is to be moved: those that had none moved for a heartbeat, or whose clock went back since. */
export function planRenewals(
  held: Iterable<JobRun>,
  nowMs: number,
  lease: { readonly leaseMs: number; readonly heartbeatMs: number },
): JobRun[] {
  const renewals: JobRun[] = [];
  for (const run of held) {
    const leftMs = run.leaseUntil - nowMs;
    if (leftMs <= lease.leaseMs - lease.heartbeatMs || leftMs > lease.leaseMs) renewals.push(run);
  }
  return renewals;
}

/** One round; answers after how many milliseconds the next one is due. */
export async function keepLeases(options: LeaseKeeperOptions): Promise<number> {
  const { store, clock, owner, runner, leaseMs } = options;
  runner.endOverdue(options.maxRunMs);
  const renewals = planRenewals(runner.held.values(), clock.now(), options);
  const seqs = renewals.map((run) => run.job.seq);
  const kept = await store.write(async (tx) => {
    const now = Math.floor(clock.now());
    const leaseUntil = now + leaseMs;
    const seqsHeld = seqs.length > 0 ? await tx.extendLeases(owner, seqs, leaseUntil) : [];
    return { leaseUntil, seqsHeld: new Set(seqsHeld), expired: await tx.expireLeases(now, EXPIRE_LIMIT) };
  }, LOOSE);
  for (const run of renewals) {
    // What was settled in the meantime is not held in the store either, and not by the runner.
    if (runner.held.get(run.job.seq) !== run) continue;
    if (kept.seqsHeld.has(run.job.seq)) run.leaseUntil = kept.leaseUntil;
    else runner.lose(run);
  }
  return kept.expired === EXPIRE_LIMIT ? NEXT_EXPIRE_MS : options.expireEveryMs;
}
