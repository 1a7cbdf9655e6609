// The `cache_client` plugin (seeds): the calls of `cache`, with the values in Redis or Memcached, so that replicas agree. A
// server that is not there keeps no application from starting.

import type { Clock } from "../../core/clock.ts";
import { definePluginType, type Plugin, type PluginHost } from "../../plugin/plugin.ts";
import { cacheClientConfig, checkCacheClient, type CacheClientConfig } from "./cache-client-config.ts";
import { chooseShard } from "./choose-shard.ts";
import { parseServerUrl, type Target } from "./server-url.ts";
import { Shard } from "./shard.ts";
import { SharedCache } from "./shared-cache.ts";

/** How long a start waits for a server, so that the first calls do not miss. */
const FIRST_ANSWER_MS = 1_000;
const DEFAULT_NEAR_TTL_SECS = { redis: Infinity, memcached: 1 } as const;

/** Logs changes alone: a server that stays away would fill the log. */
function createReport({ log }: PluginHost, { host, port }: Target): (reason: string | undefined) => void {
  let last: string | undefined;
  return (reason) => {
    if (reason === last) return;
    const wasDown = last !== undefined;
    last = reason;
    if (reason !== undefined) log.warn("cache.unavailable", { server: `${host}:${port}`, reason });
    else if (wasDown) log.info("cache.available", { server: `${host}:${port}` });
  };
}

interface Wiring {
  readonly config: CacheClientConfig;
  readonly host: PluginHost;
  readonly origin: string;
  /** Not called before every shard is made. */
  readonly cache: () => SharedCache;
  /** It is known whether the server is there. */
  readonly onAnswer: () => void;
}

function createShard(target: Target, { config, host, origin, cache, onAnswer }: Wiring): Shard {
  const { clock } = host;
  const random = Math.random;
  const report = createReport(host, target);
  return new Shard({
    connect: ({ onUp, onDown }) =>
      host.openSharedServer({
        ...target,
        backend: config.backend,
        // Redis has one set of channels for all of its databases.
        channel: `${config.key_prefix}bus:${target.database ?? 0}`,
        timeoutMs: config.timeout_ms,
        clock,
        random,
        onUp() {
          cache().connected();
          onUp();
        },
        onDown(reason) {
          cache().disconnected();
          onDown(reason);
        },
        onMessage: (text) => cache().receive(text),
      }),
    keyPrefix: config.key_prefix,
    maxTtlMs: config.max_ttl_secs * 1_000,
    origin,
    clock,
    random,
    onChange(reason) {
      report(reason);
      onAnswer();
    },
  });
}

async function waitAtMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.setTimer(ms, resolve);
  await Promise.race([work, promise]);
  cancel();
}

export const cacheClientPlugin: Plugin = definePluginType({
  name: "cache_client",
  config: cacheClientConfig,
  check: checkCacheClient,
  async setup(config, host) {
    const targets = parseServerUrl(config.backend, host.env[config.url_env] ?? "") ?? [];
    const names = targets.map(({ host: name, port }) => `${name}:${port}`);
    const origin = crypto.randomUUID();
    const answers = targets.map(() => Promise.withResolvers<void>());
    const shards: readonly Shard[] = targets.map((target, index) =>
      createShard(target, { config, host, origin, cache: () => cache, onAnswer: () => answers[index]?.resolve() }),
    );
    const cache: SharedCache = new SharedCache({
      shardOf: (key) => shards[chooseShard(names, key)] as Shard,
      shards,
      origin,
      clock: host.clock,
      defaultTtlSecs: config.default_ttl_secs,
      maxTtlMs: config.max_ttl_secs * 1_000,
      maxEntries: config.max_entries,
      maxBytes: config.max_bytes ?? Infinity,
      hasBus: config.backend === "redis",
      nearTtlMs: (config.near_ttl_secs ?? DEFAULT_NEAR_TTL_SECS[config.backend]) * 1_000,
    });
    await Promise.all(shards.map((shard) => shard.open()));
    await waitAtMost(host.clock, FIRST_ANSWER_MS, Promise.all(answers.map(({ promise }) => promise)));
    return {
      sdk: { cache },
      async close() {
        await cache.settled();
        await Promise.all(shards.map((shard) => shard.close()));
      },
    };
  },
});
