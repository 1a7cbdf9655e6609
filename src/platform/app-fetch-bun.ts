// The `fetch` of applications. One function stands in the place of the process's own, so that packages, `globalThis.fetch`
// and code made at run time find it as well; it asks whose graph is calling. Pylon's own calls do not come here.

import { platformFetch } from "../net/platform-fetch.ts";
import { shield } from "./graph-border-bun.ts";

export type AppFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** By graph: what an application was bound to. Others have the platform's. */
const bound = new WeakMap<Bun.ModuleGraph, AppFetch>();

function boundFetch(): AppFetch | undefined {
  const graph = Bun.ModuleGraph.current;
  return graph && bound.get(graph);
}

const unbound = shield(platformFetch);

/** Made as a property, so that it keeps its name in a minified build. */
const { fetch: appFetch } = {
  fetch: (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    (boundFetch() ?? unbound)(input, init),
};

const dispatching: typeof fetch = Object.assign(appFetch, {
  /** It is a hint, and would connect to an address that nobody has judged: behind the guard it does nothing. */
  preconnect(...args: Parameters<typeof fetch.preconnect>): void {
    if (!boundFetch()) platformFetch.preconnect(...args);
  },
});

/** `Bun` as an application's files see it. The process's own cannot be changed, and its `fetch` goes past every guard. */
const appBun: typeof Bun = Object.create(Bun, {
  fetch: { value: dispatching, enumerable: true, configurable: true, writable: true },
}) as typeof Bun;

/** What a graph of an application is given. Every load starts from this, whatever the one before put in its place. */
export function createFetchGlobals(): Record<string, unknown> {
  globalThis.fetch = dispatching;
  return { Bun: appBun };
}

/** From now on `fetch` is this one for everything that runs in the graph. It is called outside of it. */
export function bindFetch(graph: Bun.ModuleGraph, fetchOfApp: AppFetch): void {
  bound.set(graph, shield(fetchOfApp));
}
