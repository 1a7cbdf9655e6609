// `ctx.scheduler`: a call for later, as a durable job. Whatever can be known to fail is refused now rather than when the
// job is due and nobody listens.

import type { Clock } from "../core/clock.ts";
import { coreError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { UlidSource } from "../core/ids.ts";
import { isObject, type Json } from "../core/json.ts";
import type { Job, NewJob } from "../store/store.ts";
import type { Scheduler } from "./contexts.ts";
import type { CurrentCall } from "./current-call.ts";
import type { FunctionDefinition } from "./define.ts";
import { functionError } from "./function-errors.ts";
import { argsError, parseArgs } from "./validators.ts";

/** The kind and the lane of a scheduled call. */
export const FUNCTION_JOB = "function";
/** UTF-16 units of the JSON text of the arguments. */
export const MAX_SCHEDULED_CHARS = 1_048_576;
/** The latest date that JavaScript knows, in epoch milliseconds. */
const MAX_EPOCH_MS = 8.64e15;

/** What a scheduled call carries: it runs as the identity that scheduled it. */
export interface ScheduledCall {
  readonly name: string;
  readonly args: Json;
  readonly identity: Identity;
}

export interface ScheduleSource {
  readonly clock: Clock;
  readonly ulid: UlidSource;
  find(name: string): FunctionDefinition;
}

function invalid(path: string, message: string): Error {
  return coreError("VALIDATION_FAILED", { message: "Cannot schedule the call", details: [{ path, message }] });
}

/** @throws FN_NOT_FOUND, FN_WRONG_KIND for a query, VALIDATION_FAILED */
function planCall(source: ScheduleSource, name: string, input: unknown): Pick<ScheduledCall, "name" | "args"> {
  const definition = source.find(name);
  if (definition.kind === "query") {
    throw functionError("FN_WRONG_KIND", { message: `Cannot schedule "${name}": it is a query` });
  }
  const args = parseArgs(definition.args, input);
  if (!args.ok) throw argsError(name, args.problems);
  if (JSON.stringify(args.value).length > MAX_SCHEDULED_CHARS) {
    throw invalid("args", `More than ${MAX_SCHEDULED_CHARS} characters of JSON`);
  }
  return { name, args: args.value };
}

function checkTime(path: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value) || Math.abs(value) > MAX_EPOCH_MS) {
    throw invalid(path, "Expected milliseconds");
  }
  return Math.max(0, Math.ceil(value));
}

/** Schedules in the call's transaction, or in one of its own. */
export function createScheduler(source: ScheduleSource, call: CurrentCall): Scheduler {
  const enqueue = async (dueAt: number, name: string, input: unknown): Promise<string> => {
    const planned = planCall(source, name, input);
    const payload: ScheduledCall = { ...planned, identity: call.actor };
    const job: NewJob = {
      id: `job_${source.ulid(source.clock.now())}`,
      kind: FUNCTION_JOB,
      lane: FUNCTION_JOB,
      payload: JSON.stringify(payload),
      dueAt: Math.min(dueAt, MAX_EPOCH_MS),
      createdAt: source.clock.now(),
    };
    await call.write((writer) => writer.tx.enqueueJob(job));
    return job.id;
  };
  return {
    runAfter: async (delayMs, name, args) => enqueue(source.clock.now() + checkTime("delayMs", delayMs), name, args),
    runAt: async (at, name, args) => enqueue(checkTime("at", at), name, args),
    cancel: (jobId) =>
      call.write(async ({ tx }) => {
        const job = typeof jobId === "string" ? await tx.getJob(jobId) : undefined;
        return job?.kind === FUNCTION_JOB && (await tx.cancelJob(jobId, source.clock.now()));
      }),
  };
}

/** Reads a job back; undefined when its payload is not a scheduled call. */
export function parseScheduledCall(job: Job): ScheduledCall | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(job.payload);
  } catch {
    return undefined;
  }
  if (!isObject(payload) || typeof payload.name !== "string" || !isObject(payload.identity)) return undefined;
  return payload as unknown as ScheduledCall;
}
