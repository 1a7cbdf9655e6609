// A cache of this process: JSON values under string keys, least recently used out first. Whatever is answered is a copy, and
// nothing is answered after its time.

import type { Json } from "../core/json.ts";
import type { Cache, CacheFetchOptions, CacheStats } from "./cache.ts";
import { createSystemClock } from "../core/clock.ts";
import { CacheTime, exactTime, LAG_MS, type TimeSource } from "./cache-time.ts";
import { assertKey, assertLoader, assertOptions, copyIn, copyOut, entryBytes, toMs } from "./cache-input.ts";
import { Loads } from "./loads.ts";
import { type Life, LruTable } from "./lru-table.ts";

export type { Cache, CacheFetchOptions, CacheSetOptions, CacheStats } from "./cache.ts";

export const DEFAULT_MAX_ENTRIES = 10_000;
export const DEFAULT_TTL_SECS = 300;
/** What the bookkeeping of one cache can number. */
export const MAX_ENTRIES_LIMIT = 10_000_000;

export interface LruOptions {
  /** @default 10000 */
  readonly maxEntries?: number;
  /** UTF-8 length of keys and of values as JSON. @default unlimited */
  readonly maxBytes?: number;
  /** @default 300 */
  readonly defaultTtlSecs?: number;
  /** Where time comes from. @default the system's */
  readonly clock?: TimeSource;
  /** Instead of `clock`, and asked at every call: milliseconds that never go back. */
  readonly now?: () => number;
}

function assertBound(value: number, name: string): void {
  if (Number.isInteger(value) && value >= 1 && (name !== "maxEntries" || value <= MAX_ENTRIES_LIMIT)) return;
  if (value === Infinity && name === "maxBytes") return;
  throw new RangeError(
    `Expected ${name} to be a whole number from 1${name === "maxEntries" ? ` to ${MAX_ENTRIES_LIMIT}` : ""}`,
  );
}

class Lru implements Cache {
  readonly #table: LruTable<Json>;
  readonly #defaultTtlMs: number;
  readonly #time: CacheTime;
  readonly #loads = new Loads();
  #hits = 0;
  #misses = 0;

  constructor(options: LruOptions) {
    const { maxEntries = DEFAULT_MAX_ENTRIES, maxBytes = Infinity, defaultTtlSecs = DEFAULT_TTL_SECS } = options;
    assertBound(maxEntries, "maxEntries");
    assertBound(maxBytes, "maxBytes");
    this.#table = new LruTable({ maxEntries, maxBytes, bytesOf: entryBytes });
    this.#defaultTtlMs = toMs(defaultTtlSecs, "defaultTtlSecs");
    this.#time = options.now ? exactTime(options.now) : new CacheTime(options.clock ?? createSystemClock());
  }

  get(key: string): Json | undefined {
    assertKey(key);
    const value = this.#table.get(key, this.#time);
    if (value === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    return copyOut(value);
  }

  set(key: string, value: unknown, options?: CacheFetchOptions): void {
    assertKey(key);
    const kept = copyIn(value);
    const life = this.#lifeOf(options);
    this.#loads.callOff(key);
    this.#table.set(key, kept, life);
  }

  delete(key: string): boolean {
    assertKey(key);
    this.#loads.callOff(key);
    return this.#table.delete(key, this.#time.now());
  }

  invalidate(prefix: string): number {
    assertKey(prefix);
    this.#loads.callOffPrefix(prefix);
    return this.#table.deletePrefix(prefix, this.#time.now());
  }

  async fetch<T>(key: string, loader: () => T | Promise<T>, options?: CacheFetchOptions): Promise<T> {
    assertKey(key);
    assertLoader(loader);
    // A bad option is refused whether or not it comes to be used.
    this.#lifeOf(options);
    const fresh = this.#table.get(key, this.#time);
    if (fresh !== undefined) {
      this.#hits++;
      return copyOut(fresh) as T;
    }
    const nowMs = this.#time.now();
    const old = this.#table.getStale(key, nowMs);
    if (old === undefined) this.#misses++;
    else this.#hits++;
    const store = (value: Json): void => this.#table.set(key, value, this.#lifeOf(options));
    return (await this.#loads.answer(key, { loader, old, nowMs, store })) as T;
  }

  stats(): CacheStats {
    return { ...this.#table.stats(this.#time.now()), hits: this.#hits, misses: this.#misses, lost: 0 };
  }

  /** Of what is kept from now on. A life that is long may end a little early. */
  #lifeOf(options: CacheFetchOptions | undefined): Life {
    assertOptions(options);
    const ttlMs = options?.ttl_secs === undefined ? this.#defaultTtlMs : toMs(options.ttl_secs, "ttl_secs");
    const nowMs = ttlMs > LAG_MS ? this.#time.recent() : this.#time.now();
    const staleMs = options?.stale_secs === undefined ? 0 : toMs(options.stale_secs, "stale_secs");
    return { nowMs, staleAt: nowMs + ttlMs, goneAt: nowMs + ttlMs + staleMs };
  }
}

/** Creates a cache. @throws RangeError, CACHE_OPTION_INVALID when a bound does not fit */
export function createLru(options: LruOptions = {}): Cache {
  return new Lru(options);
}
