// From what a handler answered, or threw, to what the store records. Pure: time and dice are arguments. Whatever a handler
// does, the result is a settlement that a store takes: finite whole times, an error of bounded length.

import { messageOf } from "../core/errors.ts";
import type { Job, Settlement, Tx } from "../store/store.ts";
import { exponentialDelayMs } from "./backoff.ts";
import type { JobOutcome } from "./job-handler.ts";
import type { JobRun } from "./job-run.ts";

/** The retries of an attempt that threw. */
export const THROWN_RETRY = { baseMs: 1000, maxMs: 3_600_000, maxAttempts: 25 } as const;
const MAX_ERROR_CHARS = 500;
/** Ten years: a due time beyond it would be a mistake, and keeps every sum a safe integer. */
const MAX_DELAY_MS = 10 * 365 * 86_400_000;

/** An attempt that has ended and is not settled yet. */
export interface AttemptEnd {
  readonly run: JobRun;
  readonly settlement: Settlement;
  /** Runs in the settling transaction when the lease was still held. */
  readonly settle: ((tx: Tx) => Promise<void>) | undefined;
}

export interface EndFacts {
  readonly owner: string;
  readonly nowMs: number;
  readonly monotonicMs: number;
}

function boundedDelayMs(delayMs: number): number {
  if (Number.isNaN(delayMs)) return THROWN_RETRY.maxMs;
  return Math.ceil(Math.min(Math.max(0, delayMs), MAX_DELAY_MS));
}

function nextState(outcome: JobOutcome, nowMs: number): Settlement["next"] {
  if (outcome.kind !== "retry") return { state: outcome.kind };
  return { state: "ready", dueAt: Math.ceil(nowMs) + boundedDelayMs(outcome.delayMs) };
}

/**
 * The first characters of a text that may come from a stranger's server. Half a surrogate pair has no UTF-8 and Postgres
 * takes no NUL: either would fail the settlement of every neighbour in the batch.
 */
function boundedError(text: string): string {
  return text.slice(0, MAX_ERROR_CHARS).toWellFormed().replaceAll("\0", "\uFFFD");
}

/** What to record for `outcome`. */
export function planEnd(run: JobRun, outcome: JobOutcome, facts: EndFacts): AttemptEnd {
  const error = outcome.note?.error;
  const status = outcome.note?.status;
  return {
    run,
    settle: outcome.settle,
    settlement: {
      seq: run.job.seq,
      key: run.job.key,
      lane: run.job.lane,
      owner: facts.owner,
      attempt: {
        attempt: run.job.attempt,
        startedAt: run.startedAt,
        durationMs: Math.max(0, Math.round(facts.monotonicMs - run.startedMonotonicMs)),
        ok: outcome.kind === "done",
        status: Number.isSafeInteger(status) ? (status ?? null) : null,
        error: error === undefined || error === null ? null : boundedError(error),
      },
      next: nextState(outcome, facts.nowMs),
    },
  };
}

/** The outcome of an attempt that ended without one: a retry by the default backoff, dead after the last attempt. */
export function outcomeOfError(job: Job, error: unknown, random: () => number): JobOutcome {
  const note = { error: messageOf(error) };
  if (job.attempt >= THROWN_RETRY.maxAttempts) return { kind: "dead", note };
  return { kind: "retry", delayMs: exponentialDelayMs({ ...THROWN_RETRY, attempt: job.attempt, random }), note };
}

const OUTCOME_KINDS: ReadonlySet<unknown> = new Set<JobOutcome["kind"]>(["done", "retry", "dead"]);

/** Whether a handler kept its word; one written in JavaScript may answer anything. */
export function isOutcome(answer: unknown): answer is JobOutcome {
  if (typeof answer !== "object" || answer === null) return false;
  const { kind, delayMs } = answer as { kind?: unknown; delayMs?: unknown };
  return OUTCOME_KINDS.has(kind) && (kind !== "retry" || typeof delayMs === "number");
}
