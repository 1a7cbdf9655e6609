// A cache of this process: JSON values under string keys, least recently used out first. Whatever is answered is a copy, and
// nothing is answered after its time.

import type { Json } from "../core/json.ts";
import type { Cache, CacheFetchOptions, CacheStats } from "./cache.ts";
import { assertKey, copyIn, copyOut, entryBytes, toMs } from "./cache-input.ts";
import { Flights } from "./flights.ts";
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
  /** Milliseconds on a clock that never goes back. @default performance.now */
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
  readonly #defaultTtlSecs: number;
  readonly #now: () => number;
  readonly #flights = new Flights<Json | undefined>();
  #hits = 0;
  #misses = 0;

  constructor(options: LruOptions) {
    const { maxEntries = DEFAULT_MAX_ENTRIES, maxBytes = Infinity, defaultTtlSecs = DEFAULT_TTL_SECS } = options;
    assertBound(maxEntries, "maxEntries");
    assertBound(maxBytes, "maxBytes");
    toMs(defaultTtlSecs, "defaultTtlSecs");
    this.#table = new LruTable({ maxEntries, maxBytes, bytesOf: entryBytes });
    this.#defaultTtlSecs = defaultTtlSecs;
    this.#now = options.now ?? (() => performance.now());
  }

  get(key: string): Json | undefined {
    assertKey(key);
    const value = this.#table.get(key, this.#now());
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
    const life = this.#lifeOf(options, this.#now());
    this.#flights.callOff(key);
    this.#table.set(key, kept, life);
  }

  delete(key: string): boolean {
    assertKey(key);
    this.#flights.callOff(key);
    return this.#table.delete(key, this.#now());
  }

  invalidate(prefix: string): number {
    assertKey(prefix);
    this.#flights.callOffPrefix(prefix);
    return this.#table.deletePrefix(prefix, this.#now());
  }

  async fetch<T>(key: string, loader: () => T | Promise<T>, options?: CacheFetchOptions): Promise<T> {
    assertKey(key);
    const nowMs = this.#now();
    // A bad option is refused whether or not it comes to be used.
    this.#lifeOf(options, nowMs);
    const fresh = this.#table.get(key, nowMs);
    const kept = fresh ?? this.#table.getStale(key, nowMs);
    if (kept === undefined) this.#misses++;
    else this.#hits++;
    if (fresh !== undefined) return copyOut(fresh) as T;
    const loading = this.#flights.join(key, nowMs, (isCurrent) => this.#load(key, loader, { options, isCurrent }));
    if (kept === undefined) return copyLoaded(await loading) as T;
    // Whoever is answered with the old value does not hear that the new one could not be loaded.
    loading.catch(() => undefined);
    return copyOut(kept) as T;
  }

  stats(): CacheStats {
    return { ...this.#table.stats(this.#now()), hits: this.#hits, misses: this.#misses, lost: 0 };
  }

  async #load(
    key: string,
    loader: () => unknown,
    flight: { readonly options: CacheFetchOptions | undefined; readonly isCurrent: () => boolean },
  ): Promise<Json | undefined> {
    // A loader that throws at once is a loader that rejects.
    const loaded = await (async () => loader())();
    if (loaded === undefined) return undefined;
    const kept = copyIn(loaded);
    if (flight.isCurrent()) {
      this.#table.set(key, kept, this.#lifeOf(flight.options, this.#now()));
      // From here on the entry answers.
      this.#flights.callOff(key);
    }
    return kept;
  }

  #lifeOf(options: CacheFetchOptions | undefined, nowMs: number): Life {
    const ttlMs = toMs(options?.ttl_secs ?? this.#defaultTtlSecs, "ttl_secs");
    const staleMs = toMs(options?.stale_secs ?? 0, "stale_secs");
    return { nowMs, staleAt: nowMs + ttlMs, goneAt: nowMs + ttlMs + staleMs };
  }
}

function copyLoaded(value: Json | undefined): Json | undefined {
  return value === undefined ? undefined : copyOut(value);
}

/** Creates a cache. @throws RangeError, CACHE_OPTION_INVALID when a bound does not fit */
export function createLru(options: LruOptions = {}): Cache {
  return new Lru(options);
}
