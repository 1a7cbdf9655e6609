// Who is alive. Every process holds a lock of its session for each owner of leases that it runs, and the server drops these
// with the connection: so an owner that was killed is known within seconds, long before its leases end. One that merely lost
// its connection takes its locks again; only who stays away is taken for gone.

import type { PooledConnection } from "./connection-pool.ts";

/** The first half of the two numbers of our advisory locks; the second is the owner, or 0 for "has this store open". */
const LOCK_CLASS = 1_349_152_843;
/** How long an owner has to be away. */
export const GONE_AFTER_MS = 5_000;

/** Whether nobody else has the store open, and remembers that this process has. */
export async function enterStore(connection: PooledConnection): Promise<boolean> {
  const tried = await connection.query(`SELECT pg_try_advisory_lock(${LOCK_CLASS}, 0) AS alone`);
  const alone = tried.rows[0]?.alone === true;
  await connection.query(`SELECT pg_advisory_lock_shared(${LOCK_CLASS}, 0)`);
  if (!alone) return false;
  await connection.query(`SELECT pg_advisory_unlock(${LOCK_CLASS}, 0)`);
  // Behind a restart of the server everyone is away for a moment: then leases are better left to the owners' return.
  const { rows } = await connection.query(`SELECT now() - pg_postmaster_start_time() > interval '10 seconds'
    OR NOT EXISTS (SELECT 1 FROM _pylon_leases) AS sure`);
  return rows[0]?.sure === true;
}

/** Says that `owner` lives in this process. */
export async function holdPresence(connection: PooledConnection, owner: string): Promise<void> {
  await connection.query(`SELECT pg_advisory_lock_shared(${LOCK_CLASS}, hashtext($1))`, [owner]);
}

const ABSENT_OWNERS = `SELECT DISTINCT lease.owner FROM _pylon_leases AS lease WHERE NOT EXISTS (
  SELECT 1 FROM pg_locks AS held WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.classid = ${LOCK_CLASS}::oid AND held.objid::bigint = (hashtext(lease.owner)::bigint & 4294967295))`;

/** Owners with leases whom nobody holds present now. */
export async function readAbsentOwners(connection: PooledConnection): Promise<string[]> {
  const { rows } = await connection.query(ABSENT_OWNERS);
  return rows.map(({ owner }) => String(owner));
}

/** Since when each owner has been away, as far as this process has watched without a gap. */
export interface AbsenceWatch {
  observe(absent: readonly string[], nowMs: number): void;
  /** The watch had a gap: everyone may have been there in between. */
  forget(): void;
  gone(nowMs: number): string[];
}

export function createAbsenceWatch(): AbsenceWatch {
  const since = new Map<string, number>();
  return {
    observe(absent, nowMs) {
      const now = new Set(absent);
      for (const owner of since.keys()) if (!now.has(owner)) since.delete(owner);
      for (const owner of now) if (!since.has(owner)) since.set(owner, nowMs);
    },
    forget: () => since.clear(),
    gone: (nowMs) => Array.from(since).flatMap(([owner, sinceMs]) => (nowMs - sinceMs >= GONE_AFTER_MS ? [owner] : [])),
  };
}
