// What a cache is to the code that uses it. `src/cache/lru.ts` keeps it in this process; the plugin `cache_client` keeps it in
// a server that several processes share.

import type { Json } from "../core/json.ts";

/** How long a value is kept. */
export interface CacheSetOptions {
  /** Seconds, a fraction is allowed; 0 or less keeps nothing. @default the cache's own */
  readonly ttl_secs?: number;
}

export interface CacheFetchOptions extends CacheSetOptions {
  /** Seconds after `ttl_secs` in which the old value may be answered while one loader brings the new one. @default 0 */
  readonly stale_secs?: number;
}

export interface CacheStats {
  /** What is held, values that only `fetch` may still answer included. */
  readonly entries: number;
  /** UTF-8 length of every key and of its value as JSON. */
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Removed to make room. */
  readonly evictions: number;
  /** Removed because their time was over. */
  readonly expirations: number;
  /** Writes that a shared server never took; 0 in a cache of one process. */
  readonly lost: number;
}

/**
 * Keys are strings of at most 65,536 characters. Values are JSON and copied in and out, so nobody changes what is cached; a
 * Date is kept as its ISO form, an undefined property is dropped, and what would not come back as it was is refused.
 */
export interface Cache {
  /** Undefined on a miss. @throws CACHE_KEY_INVALID */
  get(key: string): Json | undefined;
  /** @throws CACHE_KEY_INVALID, CACHE_VALUE_INVALID, CACHE_OPTION_INVALID */
  set(key: string, value: unknown, options?: CacheSetOptions): void;
  /** Whether there was something to remove; with a shared server, in what this process holds of it. */
  delete(key: string): boolean;
  /** Removes every key that starts with `prefix`; answers how many. Costs what it removes. */
  invalidate(prefix: string): number;
  /**
   * The value of `key`, loaded when it is missing: one loader per key runs at a time, and whoever asks meanwhile gets its
   * answer. What `loader` rejects with is theirs and is not cached, nor is undefined. A key that is set, deleted or
   * invalidated while its loader runs keeps that: what was loaded is answered, not stored.
   *
   * @throws CACHE_KEY_INVALID, CACHE_LOADER_INVALID, CACHE_OPTION_INVALID
   */
  fetch<T>(key: string, loader: () => T | Promise<T>, options?: CacheFetchOptions): Promise<T>;
  stats(): CacheStats;
}
