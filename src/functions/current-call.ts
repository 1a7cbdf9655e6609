// The function that is running: found by plugins through storage that follows asynchronous code, so that what application
// code calls without handing on `ctx` joins the same transaction and identity. Once a call has ended, nothing more goes
// through it.

import type { Identity } from "../core/identity.ts";
import type { DataWriter } from "../data/data.ts";
import type { DataReader } from "../data/data-reader.ts";
import { functionError } from "./function-errors.ts";
import type { FunctionKind } from "./define.ts";

export interface CurrentCall {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly actor: Identity;
  readonly requestId: string | null;
  readonly reader: DataReader;
  /** What the plugins of this instance give application code: an export that serves every instance finds its own here. */
  readonly sdk: Readonly<Record<string, unknown>>;
  /**
   * Runs `run` in the transaction of the mutation, or in one of its own for an action. `run` awaits nothing but what it
   * is given.
   *
   * @throws FN_READ_ONLY in a query, FN_ENDED once the function has ended.
   */
  write<T>(run: (writer: DataWriter) => Promise<T>): Promise<T>;
}

/** Where a context keeps its call: a copy of the context keeps it as well. */
const CALL: unique symbol = Symbol("pylon.call");

/** The context with its call behind it, for {@link callOf}. */
export function withCall<Context extends object>(context: Context, call: CurrentCall): Context {
  return { ...context, [CALL]: call };
}

/** The call that a handler's `ctx`, or a copy of it, belongs to; undefined for anything else. */
export function callOf(ctx: unknown): CurrentCall | undefined {
  if (typeof ctx !== "object" || ctx === null) return undefined;
  return (ctx as { readonly [CALL]?: CurrentCall })[CALL];
}

/** The part of AsyncLocalStorage that is needed; the platform hands one in. */
export interface CallStorage {
  run<T>(call: CurrentCall, body: () => T): T;
  getStore(): CurrentCall | undefined;
}

/** Lets operations through until it is closed, and knows which are under way. */
export interface Turnstile {
  /** @throws FN_ENDED once closed. */
  pass<T>(operation: () => Promise<T>): Promise<T>;
  /** Resolves when nothing is under way. Failures are those of whoever started the operation. */
  idle(): Promise<void>;
  close(): void;
}

export function createTurnstile(): Turnstile {
  const underWay = new Set<Promise<unknown>>();
  let closed = false;
  return {
    async pass(operation) {
      if (closed) throw functionError("FN_ENDED");
      const running = operation();
      underWay.add(running);
      try {
        return await running;
      } finally {
        underWay.delete(running);
      }
    },
    async idle() {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
    close() {
      closed = true;
    },
  };
}
