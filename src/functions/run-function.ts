// Runs one call of a function: a mutation as one exclusive transaction, anything else outside of one. Whatever the handler
// does, the call ends by its deadline, and nothing goes through its context afterwards.

import type { Clock } from "../core/clock.ts";
import type { Env } from "../core/env.ts";
import { PylonError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { Json } from "../core/json.ts";
import type { Data, DataWriter } from "../data/data.ts";
import type { DataReader } from "../data/data-reader.ts";
import type { Scope } from "../data/scope.ts";
import type { ActionContext, FunctionAuth, MutationContext, QueryContext, WebhookRequest } from "./contexts.ts";
import { type CallStorage, createTurnstile, type CurrentCall, type Turnstile } from "./current-call.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import type { FunctionDefinition, FunctionKind } from "./define.ts";
import { createDbReader, createDbWriter, type RowWriter } from "./function-db.ts";
import { functionError } from "./function-errors.ts";
import { createScheduler, type ScheduleSource } from "./function-schedule.ts";
import { toJson } from "../core/to-json.ts";
import { argsError, parseArgs } from "./validators.ts";

const MAX_CODE_CHARS = 100;

/** What every call of an instance shares. */
export interface FunctionRuntime extends ScheduleSource {
  readonly data: Data;
  readonly clock: Clock;
  readonly env: Env;
  readonly storage: CallStorage;
  readonly timeoutMs: number;
}

/** One call. */
export interface Invocation {
  readonly name: string;
  readonly definition: FunctionDefinition;
  readonly args: unknown;
  readonly actor: Identity;
  readonly requestId: string | null;
  readonly request?: WebhookRequest;
  /** The deadline of the action that makes this call. */
  readonly outer?: AbortSignal;
  readonly stop?: AbortSignal;
  /** The last thing that a mutation does in its transaction. */
  readonly beforeCommit?: (writer: DataWriter, result: Json) => Promise<void>;
}

interface Attempt {
  readonly runtime: FunctionRuntime;
  readonly invocation: Invocation;
  readonly deadline: Deadline;
  readonly reader: DataReader;
  readonly rows: RowWriter;
  readonly write: CurrentCall["write"];
}

interface ContextParts extends Attempt {
  readonly call: CurrentCall;
  readonly turnstile: Turnstile;
}

type BaseParts = Pick<QueryContext, "auth" | "env" | "error">;

function createAuth(actor: Identity): FunctionAuth {
  const { userId, email, tenantId, isAdmin } = actor;
  const roles = [...actor.roles];
  return { userId, email, roles, tenantId, isAdmin, hasRole: (role) => roles.includes(role) };
}

function createError(code: string, message: string): PylonError {
  if (typeof code !== "string" || code === "" || code.length > MAX_CODE_CHARS) {
    throw new TypeError(`Expected ctx.error(code, message) with a code of 1 to ${MAX_CODE_CHARS} characters`);
  }
  return new PylonError(code, 400, { message: typeof message === "string" ? message : code });
}

function createBase({ runtime, invocation }: Attempt): BaseParts {
  return { auth: createAuth(invocation.actor), env: runtime.env, error: createError };
}

function createQueryContext(parts: ContextParts): QueryContext {
  return { ...createBase(parts), db: createDbReader(parts.reader, parts.turnstile) };
}

function createMutationContext(parts: ContextParts): MutationContext {
  return {
    ...createBase(parts),
    db: createDbWriter(parts.reader, parts.rows, parts.turnstile),
    scheduler: createScheduler(parts.runtime, parts.call),
  };
}

function createActionContext(parts: ContextParts): ActionContext {
  const { runtime, invocation, deadline, turnstile } = parts;
  const { actor, requestId, request, stop } = invocation;
  const runNested = async (kind: FunctionKind, name: string, args: unknown): Promise<never> => {
    const definition = runtime.find(name);
    if (definition.kind !== kind) {
      throw functionError("FN_WRONG_KIND", { message: `Cannot run "${name}" as a ${kind}: it is ${definition.kind}` });
    }
    const nested = { name, definition, args, actor, requestId, outer: deadline.signal, ...(stop ? { stop } : {}) };
    return (await runFunction(runtime, nested)) as never;
  };
  return {
    ...createMutationContext(parts),
    runQuery: (name, args) => turnstile.pass(() => runNested("query", name, args)),
    runMutation: (name, args) => turnstile.pass(() => runNested("mutation", name, args)),
    ...(request ? { request } : {}),
  };
}

const CONTEXTS: { readonly [Kind in FunctionKind]: (parts: ContextParts) => object } = {
  query: createQueryContext,
  mutation: createMutationContext,
  action: createActionContext,
};

function readResult(name: string, result: unknown): Json {
  const copied = toJson(result);
  if (copied.ok) return copied.value;
  const at = copied.path === "" ? "" : ` at ${copied.path}`;
  throw functionError("FN_RESULT_INVALID", {
    message: `"${name}" returned something that is not JSON${at}: ${copied.message}`,
  });
}

function readArgs({ name, definition, args }: Invocation): Readonly<Record<string, Json>> {
  const parsed = parseArgs(definition.args, args);
  if (!parsed.ok) throw argsError(name, parsed.problems);
  return parsed.value;
}

/** One run of the handler, with arguments and a context of its own: a store may run a mutation again. */
async function attempt(parts: Attempt): Promise<Json> {
  const { runtime, invocation, deadline } = parts;
  const { name, definition, actor, requestId } = invocation;
  const args = readArgs(invocation);
  const turnstile = createTurnstile();
  const write: CurrentCall["write"] = (run) => turnstile.pass(() => parts.write(run));
  const call: CurrentCall = { name, kind: definition.kind, actor, requestId, reader: parts.reader, write };
  const context = CONTEXTS[definition.kind]({ ...parts, call, turnstile });
  try {
    const handler = async (): Promise<unknown> => definition.handler(context as never, args);
    const result = await deadline.race(runtime.storage.run(call, handler));
    // A write that the handler forgot to await belongs to it all the same.
    await deadline.race(turnstile.idle());
    return readResult(name, result);
  } finally {
    turnstile.close();
  }
}

async function runMutation(runtime: FunctionRuntime, invocation: Invocation, deadline: Deadline): Promise<Json> {
  const { signal } = deadline;
  // Arguments that do not fit need not wait for the writer to be refused.
  readArgs(invocation);
  let hasStarted = false;
  let hasEnded = false;
  const run = async (writer: DataWriter): Promise<Json> => {
    signal.throwIfAborted();
    hasStarted = true;
    hasEnded = false;
    const write: CurrentCall["write"] = (use) => use(writer);
    const result = await attempt({ runtime, invocation, deadline, reader: writer, rows: writer, write });
    await invocation.beforeCommit?.(writer, result);
    hasEnded = true;
    return result;
  };
  const writing = runtime.data.write(scopeOf(invocation), run, { exclusive: true, signal }).catch((error: unknown) => {
    // Before the handler has ended an abort is why; behind it, the store's own answer counts.
    throw signal.aborted && !hasEnded ? signal.reason : error;
  });
  // One that waits for the writer is answered in time, and does not start any more. One that has started is answered by
  // the store, once it is rolled back or, when it ended just in time, committed.
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      if (!hasStarted) reject(signal.reason);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    writing.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}

function scopeOf({ actor, requestId }: Invocation): Scope {
  return { actor, policies: false, requestId };
}

/** The writes of an action: each goes through the whole write path and commits by itself. */
function createLooseRows(data: Data, scope: Scope): RowWriter {
  return {
    insert: (entity, input) => data.insert(scope, entity, input),
    update: (entity, id, patch) => data.update(scope, entity, id, patch),
    delete: (entity, id) => data.delete(scope, entity, id),
  };
}

function runOutside(runtime: FunctionRuntime, invocation: Invocation, deadline: Deadline): Promise<Json> {
  const { data } = runtime;
  const scope = scopeOf(invocation);
  const write: CurrentCall["write"] =
    invocation.definition.kind === "query"
      ? () => Promise.reject(functionError("FN_READ_ONLY"))
      : (run) => data.write(scope, run);
  const rows = createLooseRows(data, scope);
  return attempt({ runtime, invocation, deadline, reader: data.read(scope), rows, write });
}

/**
 * Runs one call and answers a JSON value.
 *
 * @throws VALIDATION_FAILED, FN_TIMEOUT, FN_ABORTED, FN_RESULT_INVALID, and whatever the handler throws.
 */
export async function runFunction(runtime: FunctionRuntime, invocation: Invocation): Promise<Json> {
  const { clock, timeoutMs } = runtime;
  const deadline = startDeadline({ clock, timeoutMs, outer: invocation.outer, stop: invocation.stop });
  try {
    const run = invocation.definition.kind === "mutation" ? runMutation : runOutside;
    return await run(runtime, invocation, deadline);
  } finally {
    deadline.clear();
  }
}
