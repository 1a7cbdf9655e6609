// The handler of scheduled calls. A mutation records the outcome of its job in its own transaction, so it takes effect
// exactly once whatever happens to the process; an action is run at least once.

import type { Clock } from "../core/clock.ts";
import { isPylonError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import type { DataWriter } from "../data/data.ts";
import type { JobContext, JobHandler, JobOutcome } from "../jobs/job-handler.ts";
import type { Job } from "../store/store.ts";
import type { FunctionDefinition } from "./define.ts";
import { functionError } from "./function-errors.ts";
import { FUNCTION_JOB, parseScheduledCall, type ScheduledCall } from "./function-schedule.ts";
import type { Invocation } from "./run-function.ts";
import { parseArgs } from "./validators.ts";

export const MAX_FUNCTION_ATTEMPTS = 5;
/** The delay before the second attempt; it doubles from there. */
export const FUNCTION_BACKOFF_MS = 1_000;
const LANE_CONCURRENCY = 64;

export interface FunctionJobOptions {
  readonly clock: Clock;
  /** @throws FN_NOT_FOUND */
  find(name: string): FunctionDefinition;
  run(invocation: Invocation): Promise<Json>;
}

function dead(error: string): JobOutcome {
  return { kind: "dead", note: { error } };
}

function codeOf(error: unknown): string {
  return isPylonError(error) ? `${error.code}: ${error.message}` : "HANDLER_ERROR";
}

function planRetry(attempt: number, error: unknown): JobOutcome {
  const note = { error: codeOf(error) };
  if (attempt >= MAX_FUNCTION_ATTEMPTS) return { kind: "dead", note };
  return { kind: "retry", delayMs: FUNCTION_BACKOFF_MS * 2 ** (attempt - 1), note };
}

/** Settles the job in the mutation's transaction; a lease that was lost rolls the mutation back, for another has it. */
function settleWith(job: Job, clock: Clock): (writer: DataWriter) => Promise<void> {
  const startedAt = clock.now();
  const startedMs = clock.monotonic();
  return async ({ tx }) => {
    const durationMs = Math.round(clock.monotonic() - startedMs);
    const attempt = { attempt: job.attempt, startedAt, durationMs, ok: true, status: null, error: null };
    const owner = job.leaseOwner ?? "";
    const settled = await tx.settleJob({
      seq: job.seq,
      key: job.key,
      lane: job.lane,
      owner,
      attempt,
      next: { state: "done" },
    });
    if (!settled) throw functionError("FN_ABORTED");
  };
}

function planInvocation(job: Job, call: ScheduledCall, options: FunctionJobOptions, signal: AbortSignal): Invocation {
  const definition = options.find(call.name);
  return {
    name: call.name,
    definition,
    args: call.args,
    actor: call.identity,
    requestId: job.id,
    stop: signal,
    ...(definition.kind === "mutation" ? { beforeCommit: settleWith(job, options.clock) } : {}),
  };
}

async function runJob(job: Job, context: JobContext, options: FunctionJobOptions): Promise<JobOutcome> {
  const call = parseScheduledCall(job);
  if (!call) return dead("The job carries no call");
  let invocation: Invocation;
  try {
    invocation = planInvocation(job, call, options, context.signal);
  } catch (error) {
    return dead(codeOf(error));
  }
  const args = parseArgs(invocation.definition.args, call.args);
  if (!args.ok) {
    const problems = args.problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
    return dead(`VALIDATION_FAILED: ${problems}`);
  }
  try {
    await options.run(invocation);
    return { kind: "done" };
  } catch (error) {
    return planRetry(job.attempt, error);
  }
}

/** Creates the handler. An attempt that fails is repeated 1, 2, 4 and 8 s later; then the job is dead. */
export function createFunctionJob(options: FunctionJobOptions): JobHandler {
  return {
    kind: FUNCTION_JOB,
    laneConcurrency: LANE_CONCURRENCY,
    run: (job, context) => runJob(job, context, options),
  };
}
