// What application code writes: `query`, `mutation` and `action` around a handler. A definition is tagged data; running it
// is somebody else's work.

import type { ActionContext, MutationContext, QueryContext } from "./contexts.ts";
import { type ArgsSpec, assertArgsSpec, type InferArgs, type Loose } from "./validators.ts";
import { isObject } from "../core/json.ts";

const DEFINITION: unique symbol = Symbol.for("pylon.function") as never;

export type FunctionKind = "query" | "mutation" | "action";

export interface ContextOf {
  readonly query: QueryContext;
  readonly mutation: MutationContext;
  readonly action: ActionContext;
}

/** A function of an application. `args` is null when it declares none: it then takes any JSON object. */
export interface FunctionDefinition<Kind extends FunctionKind = FunctionKind> {
  readonly [DEFINITION]: true;
  readonly kind: Kind;
  readonly args: ArgsSpec | null;
  handler(ctx: ContextOf[Kind], args: Loose): unknown;
}

/** Functions by the name they are called with. */
export type FunctionDefinitions = ReadonlyMap<string, FunctionDefinition>;

/** The arguments of a handler: inferred from `args`, or loose when none are declared. */
export type HandlerArgs<S> = [S] extends [undefined] ? Record<string, Loose> : InferArgs<S>;

export interface FunctionOptions<Context, S extends ArgsSpec | undefined> {
  readonly args?: S;
  /** What it returns must be JSON; undefined is answered as null. */
  handler(ctx: Context, args: HandlerArgs<S>): unknown;
}

function define<Kind extends FunctionKind>(
  kind: Kind,
  options: { readonly args?: ArgsSpec | undefined; handler(ctx: ContextOf[Kind], args: Loose): unknown },
): FunctionDefinition<Kind> {
  if (!isObject(options) || typeof options.handler !== "function") {
    throw new TypeError(`Expected ${kind}({ args?, handler }) with a handler function`);
  }
  if (options.args !== undefined) assertArgsSpec(options.args, "args");
  return {
    [DEFINITION]: true,
    kind,
    args: options.args ?? null,
    handler: (ctx, args) => options.handler(ctx, args),
  };
}

/** Defines a function that reads. It sees committed data and changes nothing. */
export function query<const S extends ArgsSpec | undefined = undefined>(
  options: FunctionOptions<QueryContext, S>,
): FunctionDefinition<"query"> {
  return define("query", options);
}

/** Defines a function that is one transaction: everything it writes and schedules commits together, or nothing does. */
export function mutation<const S extends ArgsSpec | undefined = undefined>(
  options: FunctionOptions<MutationContext, S>,
): FunctionDefinition<"mutation"> {
  return define("mutation", options);
}

/** Defines a function that may wait for the world outside. Each of its writes commits by itself. */
export function action<const S extends ArgsSpec | undefined = undefined>(
  options: FunctionOptions<ActionContext, S>,
): FunctionDefinition<"action"> {
  return define("action", options);
}

/** Whether `value` is what `query`, `mutation` or `action` gave. */
export function isFunctionDefinition(value: unknown): value is FunctionDefinition {
  return isObject(value) && DEFINITION in value;
}
