// The border between an application's module graph and the process around it. Code that the application runs belongs to its
// graph; what it calls of ours must not, because a timer that the store starts while the graph is current would vanish with
// the graph (measured on Bun 1.4.5: a write that was being grouped then never committed, nor did any behind it).

import { AsyncLocalStorage } from "node:async_hooks";

type Escape = <T>(body: () => T) => T;

/** The context of the process itself, as it was before any graph. */
const outside: Escape = AsyncLocalStorage.snapshot();
/** The context of the call that entered the graph: ours, with the stores that were set around it. */
const entered = new AsyncLocalStorage<Escape>();

const shields = new WeakMap<object, object>();
const shielded = new WeakMap<object, object>();

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** A callback goes back into the context that handed it over. */
function unwrapArgument(argument: unknown): unknown {
  if (typeof argument === "function") return AsyncLocalStorage.bind(argument as () => unknown);
  return unwrap(argument);
}

function unwrap(value: unknown): unknown {
  return typeof value === "object" && value !== null ? (shielded.get(value) ?? value) : value;
}

function callOutside(fn: () => unknown, self: unknown, args: readonly unknown[]): unknown {
  const escape = entered.getStore() ?? outside;
  const unwrapped = args.map(unwrapArgument);
  return escape(() => Reflect.apply(fn, unwrap(self), unwrapped));
}

/** The proxy stands before an empty object, because a proxy before a frozen one may not answer other values than it holds. */
function createShield(owner: object): object {
  return new Proxy(typeof owner === "function" ? () => undefined : {}, {
    get: (_empty, key) => shield(Reflect.get(owner, key)),
    has: (_empty, key) => Reflect.has(owner, key),
    set: (_empty, key, value) => Reflect.set(owner, key, value),
    ownKeys: () => Reflect.ownKeys(owner),
    getOwnPropertyDescriptor(_empty, key) {
      const found = Reflect.getOwnPropertyDescriptor(owner, key);
      if (!found) return undefined;
      return {
        value: shield(Reflect.get(owner, key)),
        writable: true,
        enumerable: found.enumerable ?? false,
        configurable: true,
      };
    },
    apply: (_empty, self, args) => callOutside(owner as () => unknown, self, args),
  });
}

/** How deep functions are looked for in an object: `ctx.auth.hasRole`. */
const MAX_SHIELD_DEPTH = 3;

function reachesFunction(value: unknown, depth: number): boolean {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null || depth === 0 || !isPlainObject(value)) return false;
  return Object.values(value).some((item) => reachesFunction(item, depth - 1));
}

/**
 * Gives application code something of ours: calling it, or any function reached through it, runs outside of the graph with
 * the stores of the call that entered it. Data is handed on as it is.
 */
export function shield<T>(value: T): T {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return value;
  if (!reachesFunction(value, MAX_SHIELD_DEPTH)) return value;
  const known = shields.get(value);
  if (known) return known as T;
  const made = createShield(value);
  shields.set(value, made);
  shielded.set(made, value);
  return made as T;
}

/** A graph that is entered by calls, and that can be left for good without leaving a caller waiting. */
export interface GraphBorder {
  /** Runs `fn` in the graph. What it gives is a promise only if `fn` gives one; that rejects when the graph is disposed first. */
  run<T>(fn: () => T): T;
  /** Resolves when nothing that was entered is running. */
  idle(): Promise<void>;
  /** Rejects what is running with `reason`, and disposes of the graph. */
  dispose(reason: Error): void;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

export function createGraphBorder(graph: Bun.ModuleGraph): GraphBorder {
  const running = new Map<Promise<unknown>, (reason: Error) => void>();
  let disposedFor: Error | undefined;
  /** A promise of a disposed graph never settles: it is raced against one of ours. */
  const track = (work: Promise<unknown>): Promise<unknown> => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    running.set(promise, reject);
    promise.then(
      () => running.delete(promise),
      () => running.delete(promise),
    );
    work.then(resolve, reject);
    return promise;
  };
  return {
    run<T>(fn: () => T): T {
      if (disposedFor) throw disposedFor;
      const escape: Escape = AsyncLocalStorage.snapshot();
      const result = entered.run(escape, () => graph.run(fn));
      return isPromise(result) ? (track(result) as T) : result;
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled(running.keys());
    },
    dispose(reason) {
      disposedFor ??= reason;
      for (const reject of running.values()) reject(reason);
      graph.dispose();
    },
  };
}

const MAX_DEPTH = 8;

/**
 * A copy in which every function enters the graph when it is called, with its arguments shielded. A value without functions
 * is given back as it is.
 */
export function wrapFunctions(border: GraphBorder, value: unknown, depth: number = MAX_DEPTH): unknown {
  if (typeof value === "function") {
    return (...args: readonly unknown[]): unknown =>
      border.run(() => Reflect.apply(value, undefined, args.map(shield)) as unknown);
  }
  if (typeof value !== "object" || value === null || depth === 0) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => wrapFunctions(border, item, depth - 1));
    return items.every((item, i) => item === value[i]) ? value : items;
  }
  if (!isPlainObject(value)) return value;
  const entries = Object.entries(value).map(
    ([key, item]) => [key, item, wrapFunctions(border, item, depth - 1)] as const,
  );
  if (entries.every(([, item, wrapped]) => item === wrapped)) return value;
  return Object.fromEntries(entries.map(([key, , wrapped]) => [key, wrapped]));
}
