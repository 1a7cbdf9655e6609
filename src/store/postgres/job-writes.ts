// The statements that move a job between its states. They hold under READ COMMITTED, where each statement sees what has
// committed before it, and under SERIALIZABLE, where whoever came too late is run again.
//
// Enqueueing never looks at other jobs: it adds a ready one. Whoever claims finds out that a job of a key is not the first,
// writes it down as blocked, and marks the one that has the turn: a marked job lets the next one go when it ends. The mark is
// a change of that job's row, so that its settling either waits for the mark and sees it, or is run again.

import { STATE_NUMBERS } from "../job-states.ts";
import type { Claim, Job, NewJob, Settlement } from "../store.ts";
import { IS_BEHIND, IS_LEASED, JOB_COLUMNS, type RunSql, toJob } from "./job-reads.ts";
import type { SqlRow } from "./postgres-client.ts";
import { encodeArray, encodeIntegers } from "./table-codec.ts";

/** Remembers which lanes got ready work in a transaction, for the listeners after its commit. */
export type NoteDue = (lane: string, dueAt: number) => void;

function noteRows(rows: readonly SqlRow[], noteDue: NoteDue): void {
  for (const row of rows) noteDue(row.lane as string, row.due_at as number);
}

export async function enqueueJob(run: RunSql, job: NewJob, noteDue: NoteDue): Promise<boolean> {
  const { count } = await run(
    `INSERT INTO _pylon_jobs (id, kind, lane, key, payload, state, due_at, created_at, attempt)
     VALUES ($1, $2, $3, $4, $5, 10, $6, $7, $8) ON CONFLICT (id) DO NOTHING`,
    [
      job.id,
      job.kind,
      job.lane,
      job.key ?? null,
      job.payload,
      String(job.dueAt),
      String(job.createdAt),
      String(job.attempt ?? 0),
    ],
  );
  if (count > 0) noteDue(job.lane, job.dueAt);
  return count > 0;
}

/**
 * Takes leases on due jobs of a lane, and reads those that it had to leave as well. A lease that is there already, on the
 * job or on its key, wins: the unique indexes judge what this statement's snapshot may be too old to see.
 */
const TAKE = `WITH picked AS (
  SELECT ${JOB_COLUMNS}, ${IS_BEHIND} AS is_behind FROM _pylon_jobs AS job
  WHERE job.state = 10 AND job.lane = $1 AND job.due_at <= $2 AND NOT ${IS_LEASED}
  ORDER BY job.due_at, job.seq LIMIT $3 FOR UPDATE OF job SKIP LOCKED),
taken AS (
  INSERT INTO _pylon_leases (seq, key, owner, lease_until, attempt)
  SELECT seq, key, $4, $5, attempt + 1 FROM picked WHERE NOT is_behind
  ON CONFLICT DO NOTHING RETURNING seq)
SELECT picked.*, picked.seq IN (SELECT seq FROM taken) AS is_taken FROM picked ORDER BY due_at, seq`;

/** The job of a key that has the turn. */
const TURN = (key: string): string => `coalesce(
  (SELECT running.seq FROM _pylon_leases AS running WHERE running.key = ${key}),
  (SELECT min(first.seq) FROM _pylon_jobs AS first WHERE first.key = ${key} AND first.state = 10))`;

/** Writes down who waits for whom. One whose holder is just being settled stays as it is: its turn may come any moment. */
const BLOCK = `WITH holder AS (
  SELECT job.seq, job.key FROM _pylon_jobs AS job WHERE job.state = 10 AND job.seq IN (
    SELECT ${TURN("waiting.key")} FROM _pylon_jobs AS waiting WHERE waiting.seq = ANY ($1::bigint[]))
  FOR UPDATE SKIP LOCKED),
marked AS (UPDATE _pylon_jobs AS job SET waiters = true FROM holder WHERE job.seq = holder.seq)
UPDATE _pylon_jobs AS job SET state = 11 FROM holder
WHERE job.seq = ANY ($1::bigint[]) AND job.state = 10 AND job.key = holder.key AND job.seq <> holder.seq RETURNING job.seq`;

/** Rounds of one claim: each blocks what stands in front of work that could be taken. */
const MAX_CLAIM_ROUNDS = 8;

function splitTaken(
  rows: readonly SqlRow[],
  claim: Claim,
): { readonly jobs: Job[]; readonly behind: readonly SqlRow[] } {
  const jobs: Job[] = [];
  const behind: SqlRow[] = [];
  for (const row of rows) {
    if (row.is_taken === true) {
      const attempt = (row.attempt as number) + 1;
      jobs.push(toJob(row, "leased", { owner: claim.owner, until: claim.leaseUntil, attempt }));
    } else if (row.key !== null) behind.push(row);
  }
  return { jobs, behind };
}

export async function claimJobs(run: RunSql, claim: Claim, noteDue: NoteDue): Promise<Job[]> {
  const claimed: Job[] = [];
  for (let round = 0; round < MAX_CLAIM_ROUNDS && claimed.length < claim.limit; round += 1) {
    const limit = claim.limit - claimed.length;
    const values = [claim.lane, String(claim.now), String(limit), claim.owner, String(claim.leaseUntil)];
    const { rows } = await run(TAKE, values);
    const { jobs, behind } = splitTaken(rows, claim);
    claimed.push(...jobs);
    if (behind.length === 0) break;
    const blocked = await run(BLOCK, [encodeIntegers(behind.map(({ seq }) => seq as number))]);
    // Whoever could not be blocked is looked at again soon.
    if (blocked.count < behind.length) noteDue(claim.lane, behind[0]?.due_at as number);
    if (blocked.count === 0 || rows.length < limit) break;
  }
  return claimed;
}

const SETTLE = `WITH ended AS (
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::double precision[], $6::boolean[],
    $7::integer[], $8::text[], $9::smallint[], $10::bigint[], $11::bigint[])
  AS ended(seq, owner, attempt, started_at, duration_ms, ok, status, error, state, due_at, finished_at)),
held AS (
  DELETE FROM _pylon_leases AS lease USING ended
  WHERE lease.seq = ended.seq AND lease.owner = ended.owner AND lease.attempt = ended.attempt RETURNING ended.*),
logged AS (
  INSERT INTO _pylon_job_attempts (job_seq, started_at, number, duration_ms, ok, status, error)
  SELECT seq, started_at, attempt, duration_ms, ok, status, error FROM held ON CONFLICT DO NOTHING)
UPDATE _pylon_jobs AS job SET state = held.state, attempt = held.attempt, last_status = held.status, last_error = held.error,
  due_at = coalesce(held.due_at, job.due_at), finished_at = held.finished_at
FROM held WHERE job.seq = held.seq RETURNING job.seq, job.waiters`;

/** Lets the first that is blocked of each key go. One that was canceled just now is not made ready by this. */
const PROMOTE = `UPDATE _pylon_jobs AS job SET state = 10, waiters = true
  WHERE job.state = 11 AND job.seq IN (
    SELECT min(seq) FROM _pylon_jobs WHERE state = 11 AND key = ANY ($1::text[]) GROUP BY key) RETURNING job.key`;
const BLOCKED_KEYS = `SELECT DISTINCT key FROM _pylon_jobs WHERE state = 11 AND key = ANY ($1::text[])`;
/** When the first of each key is due now that the one before it has ended. */
const NEXT_OF_KEYS = `SELECT DISTINCT ON (key) lane, due_at FROM _pylon_jobs
  WHERE key = ANY ($1::text[]) AND state = 10 ORDER BY key, seq`;

interface Turn {
  readonly key: string;
  readonly isMarked: boolean;
}

async function promote(run: RunSql, keys: readonly string[]): Promise<void> {
  for (let left = keys; left.length > 0;) {
    const promoted = new Set((await run(PROMOTE, [encodeArray(left)])).rows.map(({ key }) => key));
    const missed = left.filter((key) => !promoted.has(key));
    if (missed.length === 0) return;
    // Nobody was blocked, or the one whose turn it was has been canceled between the look and the change.
    left = (await run(BLOCKED_KEYS, [encodeArray(missed)])).rows.map(({ key }) => String(key));
  }
}

async function passTurns(run: RunSql, turns: readonly Turn[], noteDue: NoteDue): Promise<void> {
  if (turns.length === 0) return;
  await promote(
    run,
    turns.flatMap(({ key, isMarked }) => (isMarked ? [key] : [])),
  );
  const { rows } = await run(NEXT_OF_KEYS, [encodeArray(turns.map(({ key }) => key))]);
  noteRows(rows, noteDue);
}

function settleColumns(settlements: readonly Settlement[]): string[] {
  const list = (valueOf: (settlement: Settlement) => string | number | boolean | null): string =>
    encodeArray(settlements.map((one) => (valueOf(one) === null ? null : String(valueOf(one)))));
  return [
    list(({ seq }) => seq),
    list(({ owner }) => owner),
    list(({ attempt }) => attempt.attempt),
    list(({ attempt }) => attempt.startedAt),
    list(({ attempt }) => attempt.durationMs),
    list(({ attempt }) => attempt.ok),
    list(({ attempt }) => attempt.status),
    list(({ attempt }) => attempt.error),
    list(({ next }) => STATE_NUMBERS[next.state]),
    list(({ next }) => (next.state === "ready" ? next.dueAt : null)),
    list(({ next, attempt }) => (next.state === "ready" ? null : attempt.startedAt + Math.round(attempt.durationMs))),
  ];
}

/** Settles together what ended together. Of two settlements of one job the first counts. Answers in their order. */
export async function settleJobs(
  run: RunSql,
  settlements: readonly Settlement[],
  noteDue: NoteDue,
): Promise<boolean[]> {
  const { rows } = await run(SETTLE, settleColumns(settlements));
  const waitersOf = new Map(rows.map((row) => [row.seq as number, row.waiters as boolean]));
  const turns: Turn[] = [];
  const settled = settlements.map(({ seq, key, lane, next }) => {
    const isMarked = waitersOf.get(seq);
    if (isMarked === undefined) return false;
    if (next.state === "ready") noteDue(lane, next.dueAt);
    else if (key !== null) turns.push({ key, isMarked });
    return true;
  });
  await passTurns(run, turns, noteDue);
  return settled;
}

export async function extendLeases(
  run: RunSql,
  owner: string,
  seqs: readonly number[],
  leaseUntil: number,
): Promise<number[]> {
  if (seqs.length === 0) return [];
  const sql = `UPDATE _pylon_leases SET lease_until = $1 WHERE owner = $2 AND seq = ANY ($3::bigint[]) RETURNING seq`;
  const { rows } = await run(sql, [String(leaseUntil), owner, encodeIntegers(seqs)]);
  return rows.map(({ seq }) => seq as number);
}

export async function releaseJobs(
  run: RunSql,
  owner: string,
  seqs: readonly number[],
  noteDue: NoteDue,
): Promise<void> {
  if (seqs.length === 0) return;
  const { rows } = await run(
    `WITH released AS (DELETE FROM _pylon_leases WHERE owner = $1 AND seq = ANY ($2::bigint[]) RETURNING seq)
     SELECT job.lane, job.due_at FROM released JOIN _pylon_jobs AS job ON job.seq = released.seq`,
    [owner, encodeIntegers(seqs)],
  );
  noteRows(rows, noteDue);
}

/** The attempt of an expired lease stays counted: its number is spent, so that its owner can never settle it. */
export async function expireLeases(
  run: RunSql,
  which: { readonly now: number; readonly limit: number; readonly goneOwners: readonly string[] },
  noteDue: NoteDue,
): Promise<number> {
  const { rows } = await run(
    `WITH expired AS (
       DELETE FROM _pylon_leases WHERE seq IN (
         SELECT seq FROM _pylon_leases WHERE lease_until <= $1 OR owner = ANY ($2::text[]) LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING seq, attempt)
     UPDATE _pylon_jobs AS job SET attempt = expired.attempt, lost = job.lost + 1
     FROM expired WHERE job.seq = expired.seq RETURNING job.lane, job.due_at`,
    [String(which.now), encodeArray(which.goneOwners), String(which.limit)],
  );
  noteRows(rows, noteDue);
  return rows.length;
}

/**
 * Nobody who claims locks against a snapshot, so whether the job is leased is asked of the leases' own index: a lease of
 * nobody either finds its place or does not.
 */
export async function cancelJob(run: RunSql, id: string, now: number, noteDue: NoteDue): Promise<boolean> {
  const found = await run(`SELECT seq, key FROM _pylon_jobs WHERE id = $1 AND state IN (10, 11) FOR UPDATE`, [id]);
  const [job] = found.rows;
  if (!job) return false;
  const seq = String(job.seq);
  const alone = await run(
    `INSERT INTO _pylon_leases (seq, owner, lease_until, attempt) VALUES ($1, '', 0, 0) ON CONFLICT DO NOTHING`,
    [seq],
  );
  if (alone.count === 0) return false;
  const { rows } = await run(
    `WITH freed AS (DELETE FROM _pylon_leases WHERE seq = $1)
     UPDATE _pylon_jobs SET state = 22, finished_at = $2 WHERE seq = $1 RETURNING waiters`,
    [seq, String(now)],
  );
  if (job.key !== null)
    await passTurns(run, [{ key: job.key as string, isMarked: rows[0]?.waiters === true }], noteDue);
  return true;
}

/** Marks whoever of the key has the turn; false when nobody has. */
async function waitForTurn(run: RunSql, key: string): Promise<boolean> {
  for (;;) {
    const { rows } = await run(`SELECT ${TURN("$1")} AS seq`, [key]);
    const seq = rows[0]?.seq;
    if (typeof seq !== "number") return false;
    const marked = await run(`UPDATE _pylon_jobs SET waiters = true WHERE seq = $1 AND state = 10`, [String(seq)]);
    // It ended between the two statements: the next look does not find it any more.
    if (marked.count > 0) return true;
  }
}

/** A requeued job waits for the unfinished jobs of its key: its own turn has passed. */
export async function requeueJob(run: RunSql, id: string, dueAt: number, noteDue: NoteDue): Promise<boolean> {
  const found = await run(`SELECT seq, key, lane FROM _pylon_jobs WHERE id = $1 AND state >= 20 FOR UPDATE`, [id]);
  const [job] = found.rows;
  if (!job) return false;
  const blocked = job.key !== null && (await waitForTurn(run, job.key as string));
  await run(
    `UPDATE _pylon_jobs SET state = $1, attempt = 0, lost = 0, waiters = false, due_at = $2, last_status = NULL,
       last_error = NULL, finished_at = NULL WHERE seq = $3`,
    [blocked ? "11" : "10", String(dueAt), String(job.seq)],
  );
  if (!blocked) noteDue(job.lane as string, dueAt);
  return true;
}

export async function purgeJobs(run: RunSql, finishedBefore: number, limit: number): Promise<number> {
  const { rows } = await run(
    `WITH gone AS (
       DELETE FROM _pylon_jobs WHERE seq IN (
         SELECT seq FROM _pylon_jobs WHERE state >= 20 AND finished_at < $1
         ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING seq),
     logs AS (DELETE FROM _pylon_job_attempts AS log USING gone WHERE log.job_seq = gone.seq)
     SELECT count(*) AS purged FROM gone`,
    [String(finishedBefore), String(limit)],
  );
  return Number(rows[0]?.purged ?? 0);
}
