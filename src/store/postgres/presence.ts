// Who is alive. Every process holds a lock of its session for each owner of leases that it runs, and the server drops these
// with the connection: so an owner that was killed is known within seconds, long before its leases end. One that merely lost
// its connection takes its locks again; only who stays away is taken for gone.

import type { PooledConnection } from "./connection-pool.ts";

/** The first half of the two numbers of our advisory locks; the second is the owner, or 0 for "has this store open". */
const LOCK_CLASS = 1_349_152_843;
/** The same of engines, whose second half is a number that each draws for itself. */
const ENGINE_CLASS = LOCK_CLASS + 1;
/** From 0 to one less than this. */
export const ENGINE_NUMBERS: number = 2 ** 31;
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

/**
 * A machine that vanished, or a process that stands still, closes no connection: the server does when nothing was heard for
 * so long, and with the connection go its locks. Servers before 14 notice only the machine.
 */
const DROP_THE_SILENT = `SELECT set_config(wanted.name, wanted.value, false) FROM (VALUES ('idle_session_timeout', '30s'),
  ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '4')) AS wanted (name, value)
  WHERE EXISTS (SELECT FROM pg_settings AS known WHERE known.name = wanted.name)`;

/** Has the server end this session, and what it holds, when its process is not heard of any more. */
export async function endWhenSilent(connection: PooledConnection): Promise<void> {
  await connection.query(DROP_THE_SILENT);
}

/** Says that an engine lives in this process: as `wanted`, or as the next number that is free. Answers the number. */
export async function holdEngine(connection: PooledConnection, wanted: number): Promise<number> {
  for (let number = wanted; ; number = (number + 1) % ENGINE_NUMBERS) {
    const { rows } = await connection.query(`SELECT pg_try_advisory_lock(${ENGINE_CLASS}, ${number}) AS held`);
    if (rows[0]?.held === true) return number;
  }
}

export async function releaseEngine(connection: PooledConnection, number: number): Promise<void> {
  await connection.query(`SELECT pg_advisory_unlock(${ENGINE_CLASS}, ${number})`);
}

const WHO_IS_THERE = `WITH held AS MATERIALIZED (SELECT classid, objid::bigint AS number FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
  SELECT DISTINCT lease.owner, NULL::bigint AS engine FROM _pylon_leases AS lease WHERE NOT EXISTS (
    SELECT 1 FROM held WHERE classid = ${LOCK_CLASS}::oid AND number = (hashtext(lease.owner)::bigint & 4294967295))
  UNION ALL SELECT NULL, number FROM held WHERE classid = ${ENGINE_CLASS}::oid`;

export interface Presence {
  /** Owners with leases whom nobody holds present now. */
  readonly absentOwners: readonly string[];
  /** The numbers of the engines that live now. */
  readonly engines: readonly number[];
}

export async function readPresence(connection: PooledConnection): Promise<Presence> {
  const { rows } = await connection.query(WHO_IS_THERE);
  return {
    absentOwners: rows.flatMap(({ owner }) => (owner === null ? [] : [String(owner)])),
    engines: rows.flatMap(({ engine }) => (engine === null ? [] : [Number(engine)])),
  };
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
