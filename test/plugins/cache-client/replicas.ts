// Instances that share a cache server, on real time: what one of them does has to be seen by the others.

import type { Cache } from "../../../src/cache/cache.ts";
import { createSystemClock } from "../../../src/core/clock.ts";
import { type LogLine, withApp } from "../app-harness.ts";

export interface Replica {
  readonly cache: Cache;
  readonly logged: readonly LogLine[];
}

export type ClientConfig = Readonly<Record<string, unknown>>;

/** Runs `use` with one replica per configuration; `url` is what `CACHE_URL` says. */
export async function withReplicas(
  url: string,
  configs: readonly ClientConfig[],
  use: (replicas: readonly Replica[]) => Promise<void>,
): Promise<void> {
  const open = (replicas: readonly Replica[]): Promise<void> => {
    const config = configs[replicas.length];
    if (config === undefined) return use(replicas);
    const plugins = [{ name: "cache_client", config: { url_env: "CACHE_URL", ...config } }];
    return withApp({ plugins, env: { CACHE_URL: url }, clock: createSystemClock() }, ({ pylon, logged }) =>
      open([...replicas, { cache: pylon.sdk["cache"] as Cache, logged }]),
    );
  };
  await open([]);
}
