// Jobs as rows, read: which of them are free to run, and what each one's state is. Of the ready jobs of a key only one has
// its turn: the one that is leased, else the one with the smallest seq. The others are shown as blocked, whether or not a
// claim has written that down yet.

import { STATE_NAMES } from "../job-states.ts";
import type { Job, JobAttempt, JobQuery, JobState, LaneDue } from "../store.ts";
import type { SqlResult, SqlRow, SqlValue } from "./postgres-client.ts";
import { encodeArray } from "./table-codec.ts";

export type RunSql = (sql: string, values?: readonly SqlValue[]) => Promise<SqlResult>;

/** Somebody else of the key of `job` has the turn. */
const IS_BEHIND = `(job.key IS NOT NULL AND (
  EXISTS (SELECT 1 FROM _pylon_jobs AS earlier WHERE earlier.key = job.key AND earlier.state = 10 AND earlier.seq < job.seq)
  OR EXISTS (SELECT 1 FROM _pylon_leases AS running WHERE running.key = job.key AND running.seq <> job.seq)))`;
const IS_LEASED = `EXISTS (SELECT 1 FROM _pylon_leases AS lease WHERE lease.seq = job.seq)`;
/** The due time of the first job of a lane that could be claimed. */
const LANE_DUE = `SELECT job.due_at FROM _pylon_jobs AS job
  WHERE job.state = 10 AND NOT ${IS_LEASED} AND NOT ${IS_BEHIND}`;

export const JOB_COLUMNS = `job.seq, job.id, job.kind, job.lane, job.key, job.payload, job.state, job.due_at, job.attempt, job.lost,
  job.last_status, job.last_error, job.created_at, job.finished_at`;
/** Every job with its lease, and its state as the contract names it. */
const SHOWN = `SELECT ${JOB_COLUMNS}, lease.owner AS lease_owner, lease.lease_until, lease.attempt AS lease_attempt,
  CASE WHEN lease.seq IS NOT NULL THEN 'leased'
    WHEN job.state = 10 AND ${IS_BEHIND} THEN 'blocked'
    ELSE (ARRAY['ready', 'blocked'])[job.state - 9] END AS live_state
  FROM _pylon_jobs AS job LEFT JOIN _pylon_leases AS lease ON lease.seq = job.seq`;

/** The lease beside a job, when it has one. */
export interface Lease {
  readonly owner: string;
  readonly until: number;
  readonly attempt: number;
}

export function toJob(row: SqlRow, state: JobState, lease: Lease | undefined): Job {
  return {
    seq: row.seq as number,
    id: row.id as string,
    kind: row.kind as string,
    lane: row.lane as string,
    key: row.key as string | null,
    payload: row.payload as string,
    state,
    dueAt: row.due_at as number,
    attempt: lease ? lease.attempt : (row.attempt as number),
    lost: row.lost as number,
    leaseOwner: lease ? lease.owner : null,
    leaseUntil: lease ? lease.until : null,
    lastStatus: row.last_status as number | null,
    lastError: row.last_error as string | null,
    createdAt: row.created_at as number,
    finishedAt: row.finished_at as number | null,
  };
}

function toShownJob(row: SqlRow): Job {
  const state = (row.live_state ?? STATE_NAMES[row.state as number]) as JobState;
  if (state !== "leased") return toJob(row, state, undefined);
  const [owner, until] = [row.lease_owner as string, row.lease_until as number];
  return toJob(row, state, { owner, until, attempt: row.lease_attempt as number });
}

export async function getJob(run: RunSql, id: string): Promise<Job | undefined> {
  const { rows } = await run(`${SHOWN} WHERE job.id = $1`, [id]);
  return rows[0] && toShownJob(rows[0]);
}

const FINISHED = { done: 20, dead: 21, canceled: 22 } as const;

/** The conditions that let a partial index answer, beside those on the shown state. */
function indexedStates(states: readonly JobState[]): string {
  const finished = states.flatMap((state) => (state in FINISHED ? [FINISHED[state as keyof typeof FINISHED]] : []));
  if (finished.length === 0) return "job.state < 20";
  if (finished.length === states.length) return finished.map((state) => `job.state = ${state}`).join(" OR ");
  return `job.state < 20 OR job.state IN (${finished.join(", ")})`;
}

export async function listJobs(run: RunSql, query: JobQuery): Promise<Job[]> {
  const live = query.states.filter((state) => !(state in FINISHED));
  const tried =
    query.tried === undefined ? "" : ` AND coalesce(lease_attempt, attempt) - lost ${query.tried ? ">" : "="} 0`;
  const { rows } = await run(
    `SELECT * FROM (${SHOWN} WHERE job.kind = $1 AND job.seq < $2 AND (${indexedStates(query.states)})) AS shown
     WHERE (live_state IS NULL OR live_state = ANY ($3::text[]))${tried} ORDER BY seq DESC LIMIT $4`,
    [query.kind, String(query.beforeSeq ?? Number.MAX_SAFE_INTEGER), encodeArray(live), String(query.limit)],
  );
  return rows.map(toShownJob);
}

export async function listAttempts(run: RunSql, jobId: string): Promise<JobAttempt[]> {
  const { rows } = await run(
    `SELECT number, started_at, duration_ms, ok, status, error FROM _pylon_job_attempts
     WHERE job_seq = (SELECT seq FROM _pylon_jobs WHERE id = $1) ORDER BY started_at, number`,
    [jobId],
  );
  return rows.map((row) => ({
    attempt: row.number as number,
    startedAt: row.started_at as number,
    durationMs: row.duration_ms as number,
    ok: row.ok as boolean,
    status: row.status as number | null,
    error: row.error as string | null,
  }));
}

/** Steps from lane to lane through the ready index, so its cost is the number of lanes, not of jobs. */
export async function dueLanes(run: RunSql, until: number, limit: number, afterLane: string): Promise<LaneDue[]> {
  const { rows } = await run(
    `WITH RECURSIVE lanes(lane) AS (
       (SELECT min(lane) FROM _pylon_jobs WHERE state = 10 AND lane > $1)
       UNION ALL
       SELECT (SELECT min(lane) FROM _pylon_jobs WHERE state = 10 AND lane > lanes.lane) FROM lanes WHERE lane IS NOT NULL)
     SELECT lane, due FROM (
       SELECT lane, (${LANE_DUE} AND job.lane = lanes.lane ORDER BY job.due_at, job.seq LIMIT 1) AS due FROM lanes) AS found
     WHERE lane IS NOT NULL AND due <= $2 LIMIT $3`,
    [afterLane, String(until), String(limit)],
  );
  return rows.map((row) => ({ lane: row.lane as string, dueAt: row.due as number }));
}

export async function laneDue(run: RunSql, lane: string): Promise<number | undefined> {
  const { rows } = await run(`${LANE_DUE} AND job.lane = $1 ORDER BY job.due_at, job.seq LIMIT 1`, [lane]);
  return rows[0]?.due_at as number | undefined;
}

/** Of the ready jobs of a key one has the turn, so the blocked ones are counted without looking at each. */
export async function countJobs(run: RunSql): Promise<Partial<Record<JobState, number>>> {
  const { rows } = await run(
    `SELECT (SELECT count(*) FROM _pylon_jobs WHERE state = 10) AS live,
       (SELECT count(*) FROM _pylon_leases) AS leased,
       (SELECT count(key) - count(DISTINCT key) FROM _pylon_jobs WHERE key IS NOT NULL AND state = 10) AS behind,
       (SELECT count(*) FROM _pylon_jobs WHERE state = 11) AS blocked,
       (SELECT count(*) FROM _pylon_jobs WHERE state = 21) AS dead`,
  );
  const [counted = {}] = rows;
  const { live, leased, behind, blocked, dead } = counted as Readonly<Record<string, number>>;
  const [ready = 0, running = 0, waiting = 0] = [live, leased, behind];
  return { ready: ready - running - waiting, leased: running, blocked: (blocked ?? 0) + waiting, dead: dead ?? 0 };
}

export { IS_BEHIND, IS_LEASED };
