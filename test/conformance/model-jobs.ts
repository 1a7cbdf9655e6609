// Jobs as plain objects: what claiming, settling and leasing mean, written as directly as possible.

import type { Claim, Job, JobAttempt, JobQuery, JobState, LaneDue, NewJob, Settlement } from "../../src/store/store.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
export type ModelJob = Mutable<Job> & {
  /** Finished attempts, oldest first. */
  log: JobAttempt[];
};
export type Jobs = Map<string, ModelJob>;

const FINISHED: readonly JobState[] = ["done", "dead", "canceled"];
const isFinished = (job: ModelJob): boolean => FINISHED.includes(job.state);
const bySeq = (left: ModelJob, right: ModelJob): number => left.seq - right.seq;
const byDue = (left: ModelJob, right: ModelJob): number => left.dueAt - right.dueAt || bySeq(left, right);

export function toJob(modelled: ModelJob): Job {
  const job: Job & { log?: unknown } = { ...modelled };
  delete job.log;
  return job;
}

export function all(jobs: Jobs): ModelJob[] {
  return [...jobs.values()].sort(bySeq);
}

function isKeyTaken(jobs: Jobs, key: string | null): boolean {
  return key !== null && all(jobs).some((job) => job.key === key && !isFinished(job));
}

/** The next of `key`, now that nobody has the turn. */
function passTurn(jobs: Jobs, key: string | null): void {
  if (key === null) return;
  const next = all(jobs).find((job) => job.key === key && job.state === "blocked");
  if (next) next.state = "ready";
}

export function enqueue(jobs: Jobs, job: NewJob, seq: number): boolean {
  if (jobs.has(job.id)) return false;
  const key = job.key ?? null;
  const state = isKeyTaken(jobs, key) ? "blocked" : "ready";
  const rest = { leaseOwner: null, leaseUntil: null, lastStatus: null, lastError: null, finishedAt: null };
  jobs.set(job.id, { ...job, key, seq, state, attempt: 0, lost: 0, ...rest, log: [] });
  return true;
}

export function claim(jobs: Jobs, wish: Claim): ModelJob[] {
  const claimed = all(jobs)
    .filter((job) => job.state === "ready" && job.lane === wish.lane && job.dueAt <= wish.now)
    .sort(byDue)
    .slice(0, wish.limit);
  for (const job of claimed) {
    job.state = "leased";
    job.attempt += 1;
    job.leaseOwner = wish.owner;
    job.leaseUntil = wish.leaseUntil;
  }
  return claimed;
}

function held(jobs: Jobs, owner: string, seq: number): ModelJob | undefined {
  return all(jobs).find((job) => job.seq === seq && job.state === "leased" && job.leaseOwner === owner);
}

function endLease(job: ModelJob, state: JobState): void {
  job.state = state;
  job.leaseOwner = null;
  job.leaseUntil = null;
}

export function settle(jobs: Jobs, { seq, owner, attempt, next }: Settlement): boolean {
  const job = held(jobs, owner, seq);
  if (job?.attempt !== attempt.attempt) return false;
  endLease(job, next.state);
  job.log.push(attempt);
  job.lastStatus = attempt.status;
  job.lastError = attempt.error;
  if (next.state === "ready") {
    job.dueAt = next.dueAt;
  } else {
    job.finishedAt = attempt.startedAt + attempt.durationMs;
    passTurn(jobs, job.key);
  }
  return true;
}

export function extend(jobs: Jobs, owner: string, seqs: readonly number[], leaseUntil: number): number[] {
  return seqs.filter((seq) => {
    const job = held(jobs, owner, seq);
    if (job) job.leaseUntil = leaseUntil;
    return job !== undefined;
  });
}

export function release(jobs: Jobs, owner: string, seqs: readonly number[]): void {
  for (const seq of seqs) {
    const job = held(jobs, owner, seq);
    if (!job) continue;
    endLease(job, "ready");
    job.attempt -= 1;
  }
}

export function expire(jobs: Jobs, now: number): number {
  const expired = all(jobs).filter((job) => job.state === "leased" && (job.leaseUntil ?? 0) <= now);
  for (const job of expired) {
    endLease(job, "ready");
    job.lost += 1;
  }
  return expired.length;
}

export function cancel(jobs: Jobs, id: string, now: number): boolean {
  const job = jobs.get(id);
  if (job?.state !== "ready" && job?.state !== "blocked") return false;
  const hadTurn = job.state === "ready";
  job.state = "canceled";
  job.finishedAt = now;
  if (hadTurn) passTurn(jobs, job.key);
  return true;
}

export function requeue(jobs: Jobs, id: string, dueAt: number): boolean {
  const job = jobs.get(id);
  if (!job || !isFinished(job)) return false;
  const state = isKeyTaken(jobs, job.key) ? "blocked" : "ready";
  Object.assign(job, { state, attempt: 0, lost: 0, dueAt, finishedAt: null, lastStatus: null, lastError: null });
  return true;
}

export function purge(jobs: Jobs, finishedBefore: number): number {
  const old = all(jobs).filter((job) => isFinished(job) && (job.finishedAt ?? 0) < finishedBefore);
  for (const job of old) jobs.delete(job.id);
  return old.length;
}

export function list(jobs: Jobs, query: JobQuery): ModelJob[] {
  return all(jobs)
    .filter((job) => job.kind === query.kind && query.states.includes(job.state))
    .filter((job) => query.tried === undefined || query.tried === job.attempt - job.lost > 0)
    .filter((job) => query.beforeSeq === undefined || job.seq < query.beforeSeq)
    .reverse()
    .slice(0, query.limit);
}

export function laneDue(jobs: Jobs, lane: string): number | undefined {
  const ready = all(jobs).filter((job) => job.state === "ready" && job.lane === lane);
  return ready.sort(byDue)[0]?.dueAt;
}

export function dueLanes(jobs: Jobs, until: number, limit: number, afterLane: string | undefined): LaneDue[] {
  const lanes = [...new Set(all(jobs).map((job) => job.lane))].sort();
  return lanes
    .filter((lane) => afterLane === undefined || lane > afterLane)
    .map((lane) => ({ lane, dueAt: laneDue(jobs, lane) }))
    .filter((due): due is LaneDue => due.dueAt !== undefined && due.dueAt <= until)
    .slice(0, limit);
}

export function count(jobs: Jobs, state: JobState): number {
  return all(jobs).filter((job) => job.state === state).length;
}
