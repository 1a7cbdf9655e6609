// The functions of an instance: finds one by name, bounds how many run at once, and decides what a caller may hear of a
// failure. The text of an unexpected error goes to the log and nowhere else.

import type { Clock } from "../core/clock.ts";
import type { Env } from "../core/env.ts";
import { isPylonError, messageOf, type PylonError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import { createUlidSource, type UlidSource } from "../core/ids.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { Data, DataWriter } from "../data/data.ts";
import type { JobHandler } from "../jobs/job-handler.ts";
import type { WebhookRequest } from "./contexts.ts";
import type { CallStorage } from "./current-call.ts";
import type { FunctionDefinition, FunctionDefinitions, FunctionKind } from "./define.ts";
import { functionError } from "./function-errors.ts";
import { createFunctionJob } from "./function-job.ts";
import { type FunctionRuntime, type Invocation, runFunction } from "./run-function.ts";
import { argsJsonSchema } from "./validators.ts";

export const DEFAULT_TIMEOUT_MS = 30_000;
export const DEFAULT_MAX_RUNNING = 1_000;
const BUSY_RETRY_SECS = 1;
/** Statuses above 499 whose codes help a caller: too busy, try later, took too long, no space. */
const TELLING_STATUSES: ReadonlySet<number> = new Set([503, 504, 507]);

/** A failure that nobody expected. `error` is what was thrown. */
export interface FunctionFailure {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly requestId: string | null;
  readonly message: string;
  readonly error: unknown;
}

/** One finished call, for metrics. */
export interface FinishedCall {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly durationMs: number;
  /** The code of the error; null when it went well. */
  readonly code: string | null;
}

export interface FunctionsOptions {
  readonly data: Data;
  readonly definitions: FunctionDefinitions;
  readonly clock: Clock;
  /** @default a source of its own */
  readonly ulid?: UlidSource;
  /** What `ctx.env` gives. */
  readonly env: Env;
  readonly storage: CallStorage;
  /** What the plugins give application code. @default nothing */
  readonly sdk?: Readonly<Record<string, unknown>>;
  /** @default 30000 */
  readonly timeoutMs?: number;
  /** Calls from outside that run at once; more are answered 503. @default 1000 */
  readonly maxRunning?: number;
  readonly log: (failure: FunctionFailure) => void;
  readonly onFinished?: (call: FinishedCall) => void;
}

/** Who calls. */
export interface Caller {
  readonly actor: Identity;
  readonly requestId: string | null;
  /** The last thing that a mutation does in its transaction; not called for other kinds. */
  readonly beforeCommit?: (writer: DataWriter, result: Json) => Promise<void>;
}

export interface FunctionInfo {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly argsSchema: JsonObject;
}

export interface Functions {
  /** @throws FN_NOT_FOUND, VALIDATION_FAILED, FN_BUSY, FN_TIMEOUT, HANDLER_ERROR, and the codes of the function's own */
  call(name: string, args: unknown, caller: Caller): Promise<Json>;
  /** Runs action `name` without arguments for an HTTP request. @throws NOT_AN_ACTION as well */
  callWebhook(name: string, request: WebhookRequest, caller: Caller): Promise<Json>;
  /** Runs a definition that has no place among the named ones, such as a handler in a plugin's configuration. */
  run(name: string, definition: FunctionDefinition, args: unknown, caller: Caller): Promise<Json>;
  /** @throws FN_NOT_FOUND */
  kindOf(name: string): FunctionKind;
  /** By name. */
  list(): FunctionInfo[];
  /** Calls that start from now on find these; calls under way end as they began. */
  replace(definitions: FunctionDefinitions): void;
  /** Calls from outside that are running. */
  readonly running: number;
  /** Runs scheduled calls. */
  readonly job: JobHandler;
}

/** What the caller may hear: the codes of the product and of `ctx.error`, never the text of anything else. */
function isTellable(error: unknown): error is PylonError {
  if (!isPylonError(error)) return false;
  return error.status < 500 || TELLING_STATUSES.has(error.status) || Object.hasOwn(functionError.table, error.code);
}

function wrapRun(options: FunctionsOptions, runtime: FunctionRuntime): (invocation: Invocation) => Promise<Json> {
  const { clock, log, onFinished } = options;
  return async (invocation) => {
    const { name, requestId, definition } = invocation;
    const { kind } = definition;
    const startedAt = clock.monotonic();
    const finish = (code: string | null): void =>
      onFinished?.({ name, kind, durationMs: clock.monotonic() - startedAt, code });
    try {
      const result = await runFunction(runtime, invocation);
      finish(null);
      return result;
    } catch (error) {
      const told = isTellable(error) ? error : functionError("HANDLER_ERROR");
      finish(told.code);
      if (told !== error) log({ name, kind, requestId, message: messageOf(error), error });
      throw told;
    }
  };
}

/** Creates the functions of an instance. */
export function createFunctions(options: FunctionsOptions): Functions {
  const { data, clock, env, storage, sdk = {}, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const { maxRunning = DEFAULT_MAX_RUNNING } = options;
  const ulid = options.ulid ?? createUlidSource();
  let definitions = options.definitions;
  let running = 0;
  const find = (name: string): FunctionDefinition => {
    const definition = definitions.get(name);
    if (!definition) throw functionError("FN_NOT_FOUND", { message: `There is no function "${name}"` });
    return definition;
  };
  const runtime: FunctionRuntime = { data, clock, env: Object.freeze({ ...env }), storage, sdk, timeoutMs, ulid, find };
  const runLogged = wrapRun(options, runtime);
  const runBounded = async (invocation: Invocation): Promise<Json> => {
    if (running >= maxRunning) throw functionError("FN_BUSY", { retryAfterSecs: BUSY_RETRY_SECS });
    running += 1;
    try {
      return await runLogged(invocation);
    } finally {
      running -= 1;
    }
  };
  return {
    call: async (name, args, caller) => runBounded({ name, definition: find(name), args, ...caller }),
    async callWebhook(name, request, caller) {
      const definition = find(name);
      if (definition.kind !== "action") throw functionError("NOT_AN_ACTION");
      return runBounded({ name, definition, args: {}, request, ...caller });
    },
    run: (name, definition, args, caller) => runBounded({ name, definition, args, ...caller }),
    kindOf: (name) => find(name).kind,
    list: () =>
      [...definitions]
        .map(([name, { kind, args }]) => ({ name, kind, argsSchema: argsJsonSchema(args) }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    replace(next) {
      definitions = next;
    },
    get running() {
      return running;
    },
    job: createFunctionJob({ clock, find, run: runLogged }),
  };
}
