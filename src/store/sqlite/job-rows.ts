// Jobs as rows: what the states are on disk, and the statements that move a job between them. Two rules are kept here:
// among the unfinished jobs of a key only the first is ready, and at most one lease exists per job.

import { FIRST_FINISHED, STATE_NAMES, STATE_NUMBERS } from "../job-states.ts";
import type { Claim, Job, JobAttempt, JobQuery, JobState, LaneDue, NewJob, Settlement } from "../store.ts";
import type { SqlRow } from "./sqlite-client.ts";
import type { StatementCache } from "./statement-cache.ts";

/**
 * Stands for "no status yet". It is as wide on disk as a status, as `created_at` in place of `finished_at` is, so that
 * settling rewrites a row where it is: a row that grew by a few bytes would split its page.
 */
const NO_STATUS = 1_000;

const COLUMNS = `seq, id, kind, lane, key, payload, state, due_at, attempt, lost, last_status, last_error, created_at, finished_at`;
const WITH_LEASE = `SELECT job.*, lease.owner AS lease_owner, lease.lease_until AS lease_until, lease.attempt AS lease_attempt
  FROM _pylon_jobs AS job LEFT JOIN _pylon_leases AS lease ON lease.seq = job.seq`;
const NOT_LEASED = `NOT EXISTS (SELECT 1 FROM _pylon_leases AS lease WHERE lease.seq = _pylon_jobs.seq)`;

/** The lease beside a job, when it has one. */
interface Lease {
  readonly owner: string;
  readonly until: number;
  readonly attempt: number;
}

function leaseOf(row: SqlRow): Lease | undefined {
  if (typeof row.lease_owner !== "string") return undefined;
  return { owner: row.lease_owner, until: row.lease_until as number, attempt: row.lease_attempt as number };
}

function toJob(row: SqlRow, lease: Lease | undefined): Job {
  return {
    seq: row.seq as number,
    id: row.id as string,
    kind: row.kind as string,
    lane: row.lane as string,
    key: row.key as string | null,
    payload: row.payload as string,
    state: lease ? "leased" : (STATE_NAMES[row.state as number] as JobState),
    dueAt: row.due_at as number,
    attempt: lease ? lease.attempt : (row.attempt as number),
    lost: row.lost as number,
    leaseOwner: lease ? lease.owner : null,
    leaseUntil: lease ? lease.until : null,
    lastStatus: row.last_status === NO_STATUS ? null : (row.last_status as number | null),
    lastError: row.last_error as string | null,
    createdAt: row.created_at as number,
    finishedAt: (row.state as number) < FIRST_FINISHED ? null : (row.finished_at as number),
  };
}

/** Remembers which lanes got ready work in a transaction, for the listeners after its commit. */
export type NoteDue = (lane: string, dueAt: number) => void;

export function getJob(cache: StatementCache, id: string): Job | undefined {
  const row = cache.get(`${WITH_LEASE} WHERE job.id = ?`, [id]);
  return row && toJob(row, leaseOf(row));
}

export function listJobs(cache: StatementCache, query: JobQuery): Job[] {
  const numbers = [...new Set(query.states.map((state) => STATE_NUMBERS[state]))];
  const live = numbers.every((state) => state < 20) ? " AND job.state < 20" : "";
  const dead = numbers.length === 1 && numbers[0] === STATE_NUMBERS.dead ? " AND job.state = 21" : "";
  const attempt = "coalesce(lease.attempt, job.attempt) - job.lost";
  const tried = query.tried === undefined ? "" : ` AND ${attempt} ${query.tried ? ">" : "="} 0`;
  const leased = query.states.includes("leased");
  const free = leased ? " AND (lease.seq IS NOT NULL OR job.state <> 10)" : " AND lease.seq IS NULL";
  const lease = leased === query.states.includes("ready") ? "" : free;
  const rows = cache.all(
    `${WITH_LEASE} WHERE job.kind = ? AND job.seq < ? AND job.state IN (${numbers.join(", ")})${live}${dead}${tried}${lease}
     ORDER BY job.seq DESC LIMIT ?`,
    [query.kind, query.beforeSeq ?? Number.MAX_SAFE_INTEGER, query.limit],
  );
  return rows.map((row) => toJob(row, leaseOf(row)));
}

export function listAttempts(cache: StatementCache, jobId: string): JobAttempt[] {
  const rows = cache.all(
    `SELECT number, started_at, duration_ms, ok, status, error FROM _pylon_job_attempts
     WHERE job_seq = (SELECT seq FROM _pylon_jobs WHERE id = ?) ORDER BY started_at, number`,
    [jobId],
  );
  return rows.map((row) => ({
    attempt: row.number as number,
    startedAt: row.started_at as number,
    durationMs: row.duration_ms as number,
    ok: row.ok === 1,
    status: row.status as number | null,
    error: row.error as string | null,
  }));
}

/** Steps from lane to lane through the ready index, so its cost is the number of lanes, not of jobs. */
export function dueLanes(cache: StatementCache, until: number, limit: number, afterLane: string): LaneDue[] {
  const rows = cache.all(
    `WITH RECURSIVE lanes(lane) AS (
       SELECT min(lane) FROM _pylon_jobs WHERE state = 10 AND lane > ?
       UNION ALL
       SELECT (SELECT min(lane) FROM _pylon_jobs WHERE state = 10 AND lane > lanes.lane) FROM lanes WHERE lane IS NOT NULL)
     SELECT lane, due FROM (
       SELECT lane, (SELECT due_at FROM _pylon_jobs WHERE state = 10 AND lane = lanes.lane AND ${NOT_LEASED}
         ORDER BY due_at, seq LIMIT 1) AS due FROM lanes)
     WHERE lane IS NOT NULL AND due <= ? LIMIT ?`,
    [afterLane, until, limit],
  );
  return rows.map((row) => ({ lane: row.lane as string, dueAt: row.due as number }));
}

export function laneDue(cache: StatementCache, lane: string): number | undefined {
  const row = cache.get(
    `SELECT due_at FROM _pylon_jobs WHERE state = 10 AND lane = ? AND ${NOT_LEASED} ORDER BY due_at, seq LIMIT 1`,
    [lane],
  );
  return row?.due_at as number | undefined;
}

export function countJobs(cache: StatementCache): Partial<Record<JobState, number>> {
  const count = (sql: string): number => Number(cache.get(sql, [])?.n ?? 0);
  const leased = count(`SELECT count(*) AS n FROM _pylon_leases`);
  return {
    ready: count(`SELECT count(*) AS n FROM _pylon_jobs WHERE state = 10`) - leased,
    leased,
    blocked: count(`SELECT count(*) AS n FROM _pylon_jobs WHERE state < 20 AND state = 11`),
    dead: count(`SELECT count(*) AS n FROM _pylon_jobs WHERE state = 21`),
  };
}

export function enqueueJob(cache: StatementCache, job: NewJob, noteDue: NoteDue): boolean {
  const key = job.key ?? null;
  const blocked = key !== null && isHeld(cache, key);
  const state = blocked ? STATE_NUMBERS.blocked : STATE_NUMBERS.ready;
  const added = cache.run(
    `INSERT INTO _pylon_jobs (id, kind, lane, key, payload, state, due_at, attempt, lost, last_status, created_at, finished_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ${NO_STATUS}, ?, ?) ON CONFLICT (id) DO NOTHING`,
    [job.id, job.kind, job.lane, key, job.payload, state, job.dueAt, job.attempt ?? 0, job.createdAt, job.createdAt],
  );
  if (added > 0 && !blocked) noteDue(job.lane, job.dueAt);
  return added > 0;
}

export function claimJobs(cache: StatementCache, claim: Claim): Job[] {
  const rows = cache.all(
    `SELECT ${COLUMNS} FROM _pylon_jobs WHERE state = 10 AND lane = ? AND due_at <= ? AND ${NOT_LEASED}
     ORDER BY due_at, seq LIMIT ?`,
    [claim.lane, claim.now, claim.limit],
  );
  const take = `INSERT INTO _pylon_leases (seq, owner, lease_until, attempt) VALUES (?, ?, ?, ?)`;
  return rows.map((row) => {
    const attempt = (row.attempt as number) + 1;
    cache.run(take, [row.seq as number, claim.owner, claim.leaseUntil, attempt]);
    return toJob(row, { owner: claim.owner, until: claim.leaseUntil, attempt });
  });
}

/** Whether the key has an unfinished job. Without an order it costs half of {@link firstOfKey}, and it is asked for every job. */
function isHeld(cache: StatementCache, key: string): boolean {
  return cache.get(`SELECT seq FROM _pylon_jobs WHERE key = ? AND state < 20 LIMIT 1`, [key]) !== undefined;
}

function firstOfKey(cache: StatementCache, key: string): SqlRow | undefined {
  return cache.get(
    `SELECT seq, state, lane, due_at FROM _pylon_jobs WHERE key = ? AND state < 20 ORDER BY seq LIMIT 1`,
    [key],
  );
}

/** The job that waited for a finished one of the same key becomes ready. */
function promote(cache: StatementCache, key: string, noteDue: NoteDue): void {
  // Asked for every job that ends, of an index that is nearly always empty.
  if (!cache.get(`SELECT seq FROM _pylon_jobs WHERE key = ? AND state = 11 LIMIT 1`, [key])) return;
  const first = firstOfKey(cache, key);
  if (first?.state !== STATE_NUMBERS.blocked) return;
  cache.run(`UPDATE _pylon_jobs SET state = 10 WHERE seq = ?`, [first.seq as number]);
  noteDue(first.lane as string, first.due_at as number);
}

export function settleJob(cache: StatementCache, settlement: Settlement, noteDue: NoteDue): boolean {
  const { seq, owner, attempt, next, key, lane } = settlement;
  const held = cache.run(`DELETE FROM _pylon_leases WHERE seq = ? AND owner = ? AND attempt = ?`, [
    seq,
    owner,
    attempt.attempt,
  ]);
  if (held === 0) return false;
  cache.run(
    `INSERT INTO _pylon_job_attempts (job_seq, started_at, number, duration_ms, ok, status, error)
     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    [seq, attempt.startedAt, attempt.attempt, attempt.durationMs, attempt.ok ? 1 : 0, attempt.status, attempt.error],
  );
  if (next.state === "ready") {
    cache.run(`UPDATE _pylon_jobs SET attempt = ?, last_status = ?, last_error = ?, due_at = ? WHERE seq = ?`, [
      attempt.attempt,
      attempt.status,
      attempt.error,
      next.dueAt,
      seq,
    ]);
    noteDue(lane, next.dueAt);
    return true;
  }
  cache.run(
    `UPDATE _pylon_jobs SET state = ?, attempt = ?, last_status = ?, last_error = ?, finished_at = ? WHERE seq = ?`,
    [
      STATE_NUMBERS[next.state],
      attempt.attempt,
      attempt.status,
      attempt.error,
      attempt.startedAt + Math.round(attempt.durationMs),
      seq,
    ],
  );
  if (key !== null) promote(cache, key, noteDue);
  return true;
}

export function extendLeases(
  cache: StatementCache,
  owner: string,
  seqs: readonly number[],
  leaseUntil: number,
): number[] {
  const sql = `UPDATE _pylon_leases SET lease_until = ? WHERE seq = ? AND owner = ?`;
  return seqs.filter((seq) => cache.run(sql, [leaseUntil, seq, owner]) > 0);
}

function noteReady(cache: StatementCache, seq: number, noteDue: NoteDue): void {
  const row = cache.get(`SELECT lane, due_at FROM _pylon_jobs WHERE seq = ?`, [seq]);
  if (row) noteDue(row.lane as string, row.due_at as number);
}

export function releaseJobs(cache: StatementCache, owner: string, seqs: readonly number[], noteDue: NoteDue): void {
  for (const seq of seqs) {
    const released = cache.run(`DELETE FROM _pylon_leases WHERE seq = ? AND owner = ?`, [seq, owner]);
    if (released > 0) noteReady(cache, seq, noteDue);
  }
}

/** The attempt of an expired lease stays counted: its number is spent, so that its owner can never settle it. */
export function expireLeases(cache: StatementCache, now: number, limit: number, noteDue: NoteDue): number {
  const rows = cache.all(`SELECT seq, attempt FROM _pylon_leases WHERE lease_until <= ? LIMIT ?`, [now, limit]);
  for (const row of rows) {
    const seq = row.seq as number;
    cache.run(`UPDATE _pylon_jobs SET attempt = ?, lost = lost + 1 WHERE seq = ?`, [row.attempt as number, seq]);
    cache.run(`DELETE FROM _pylon_leases WHERE seq = ?`, [seq]);
    noteReady(cache, seq, noteDue);
  }
  return rows.length;
}

export function cancelJob(cache: StatementCache, id: string, now: number, noteDue: NoteDue): boolean {
  const row = cache.get(
    `SELECT seq, key, state FROM _pylon_jobs WHERE id = ? AND state IN (10, 11) AND ${NOT_LEASED}`,
    [id],
  );
  if (!row) return false;
  cache.run(`UPDATE _pylon_jobs SET state = 22, finished_at = ? WHERE seq = ?`, [now, row.seq as number]);
  // Only who had its turn passes it on: behind a blocked one that goes, another of its key may be running.
  if (row.state === STATE_NUMBERS.ready && typeof row.key === "string") promote(cache, row.key, noteDue);
  return true;
}

/** A requeued job waits for the unfinished jobs of its key: its own turn has passed. */
export function requeueJob(cache: StatementCache, id: string, dueAt: number, noteDue: NoteDue): boolean {
  const job = getJob(cache, id);
  if (!job || STATE_NUMBERS[job.state] < FIRST_FINISHED) return false;
  const blocked = job.key !== null && isHeld(cache, job.key);
  cache.run(
    `UPDATE _pylon_jobs SET state = ?, attempt = 0, lost = 0, due_at = ?, last_status = ${NO_STATUS}, last_error = NULL
     WHERE seq = ?`,
    [blocked ? STATE_NUMBERS.blocked : STATE_NUMBERS.ready, dueAt, job.seq],
  );
  if (!blocked) noteDue(job.lane, dueAt);
  return true;
}

export function purgeJobs(cache: StatementCache, finishedBefore: number, limit: number): number {
  const rows = cache.all(
    `SELECT seq FROM _pylon_jobs WHERE state >= 20 AND finished_at < ? ORDER BY finished_at LIMIT ?`,
    [finishedBefore, limit],
  );
  for (const row of rows) {
    cache.run(`DELETE FROM _pylon_jobs WHERE seq = ?`, [row.seq as number]);
    cache.run(`DELETE FROM _pylon_job_attempts WHERE job_seq = ?`, [row.seq as number]);
  }
  return rows.length;
}
