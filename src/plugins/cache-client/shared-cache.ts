// The cache that several processes share. `get` and `set` are synchronous because a near cache in this process answers them;
// the server behind it is written to and read from in the background, and messages keep the near caches of all processes
// coherent. Whatever happens to the server, nothing is thrown into application code: calls miss, and writes count as lost.

import type { Cache, CacheFetchOptions, CacheSetOptions, CacheStats } from "../../cache/cache.ts";
import { assertKey, assertLoader, assertOptions, copyIn, copyOut, entryBytes, toMs } from "../../cache/cache-input.ts";
import { CacheTime } from "../../cache/cache-time.ts";
import { Flights } from "../../cache/flights.ts";
import { Loads } from "../../cache/loads.ts";
import { LruTable } from "../../cache/lru-table.ts";
import type { Clock } from "../../core/clock.ts";
import type { Json } from "../../core/json.ts";
import { type BusMessage, decodeMessage } from "./bus-message.ts";
import type { Shard } from "./shard.ts";
import { ageMs, decodeValue, type Lifetime, type StoredValue } from "./stored-value.ts";

export interface SharedCacheOptions {
  /** Which of the servers has a key. */
  readonly shardOf: (key: string) => Shard;
  readonly shards: readonly Shard[];
  readonly origin: string;
  readonly clock: Clock;
  readonly defaultTtlSecs: number;
  readonly maxTtlMs: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** Whether messages keep the near cache up to date. */
  readonly hasBus: boolean;
  /** The longest that the near cache answers without asking again; may be infinite. */
  readonly nearTtlMs: number;
}

export class SharedCache implements Cache {
  readonly #options: SharedCacheOptions;
  readonly #near: LruTable<Json>;
  readonly #time: CacheTime;
  readonly #loads = new Loads();
  readonly #pulls = new Flights<StoredValue | undefined>();
  /**
   * Own writes whose message has not come back, by key. What arrives before it happened before it on the server, so it does
   * not count any more.
   */
  readonly #pending = new Map<string, number>();
  /** Reads and writes go to the server behind the invalidations before them. */
  #invalidations: Promise<unknown> = Promise.resolve();
  /** Whether messages arrive. */
  #isBusUp = false;
  readonly #writes = new Set<Promise<boolean>>();
  #lastId = 0;
  #hits = 0;
  #misses = 0;
  #lost = 0;

  constructor(options: SharedCacheOptions) {
    this.#options = options;
    const { maxEntries, maxBytes, clock } = options;
    this.#near = new LruTable({ maxEntries, maxBytes, bytesOf: entryBytes });
    this.#time = new CacheTime(clock);
  }

  get(key: string): Json | undefined {
    assertKey(key);
    const value = this.#near.get(key, this.#time);
    if (value === undefined) {
      this.#misses++;
      void this.#pull(key);
      return undefined;
    }
    this.#hits++;
    return copyOut(value);
  }

  set(key: string, value: unknown, options?: CacheSetOptions): void {
    assertKey(key);
    const kept = copyIn(value);
    const life = this.#lifetimeOf(options);
    this.#loads.callOff(key);
    if (life.ttlMs > 0) this.#store(key, kept, life);
    else this.delete(key);
  }

  delete(key: string): boolean {
    assertKey(key);
    this.#loads.callOff(key);
    const id = this.#begin(key);
    const removal = this.#invalidations.then(() => this.#options.shardOf(key).remove(key, id));
    void this.#settle(key, id, removal);
    return this.#near.delete(key, this.#options.clock.monotonic());
  }

  invalidate(prefix: string): number {
    assertKey(prefix);
    this.#callOffPrefix(prefix);
    const id = ++this.#lastId;
    const before = this.#invalidations;
    const after = before.then(() => Promise.all(this.#options.shards.map((shard) => shard.invalidate(prefix, id))));
    this.#invalidations = after.then((done) => {
      if (!done.every(Boolean)) this.#lost++;
    });
    return this.#near.deletePrefix(prefix, this.#options.clock.monotonic());
  }

  async fetch<T>(key: string, loader: () => T | Promise<T>, options?: CacheFetchOptions): Promise<T> {
    assertKey(key);
    assertLoader(loader);
    const life = this.#lifetimeOf(options);
    const stored = await this.#pull(key);
    const { clock, shardOf } = this.#options;
    const age = stored ? ageMs(stored, clock.now()) : 0;
    const isKept = stored !== undefined && age < stored.ttlMs + stored.staleMs;
    if (isKept) this.#hits++;
    else this.#misses++;
    if (isKept && age < stored.ttlMs) return copyOut(stored.value) as T;
    const { stamp } = shardOf(key);
    const store = (value: Json): void => this.#store(key, value, { ...life, stamp });
    const old = isKept ? stored.value : undefined;
    return (await this.#loads.answer(key, { loader, old, nowMs: clock.monotonic(), store })) as T;
  }

  stats(): CacheStats {
    const near = this.#near.stats(this.#options.clock.monotonic());
    return { ...near, hits: this.#hits, misses: this.#misses, lost: this.#lost };
  }

  /** From now on messages arrive. */
  connected(): void {
    this.#isBusUp = true;
  }

  /** Messages may be missed: whatever is near may be out of date. */
  disconnected(): void {
    this.#isBusUp = false;
    this.#clearNear();
    this.#pending.clear();
  }

  /** A message of the bus, own ones included. */
  receive(text: string): void {
    const message = decodeMessage(text);
    if (!message) return;
    const isOwn = message.origin === this.#options.origin;
    if (message.kind === "invalidate") this.#receiveInvalidation(message, isOwn);
    else if (message.kind === "flush") this.#receiveFlush(isOwn);
    else if (isOwn) this.#receiveOwn(message);
    else this.#receiveChange(message);
  }

  /** Resolves when everything that was written so far has reached the server or is lost. */
  async settled(): Promise<void> {
    await this.#invalidations;
    await Promise.all(this.#writes);
  }

  #begin(key: string): number {
    const id = ++this.#lastId;
    this.#pulls.callOff(key);
    if (this.#isBusUp && this.#options.hasBus) this.#pending.set(key, id);
    return id;
  }

  /** What the server did not take is not answered here either. */
  async #settle(key: string, id: number, write: Promise<boolean>): Promise<void> {
    this.#writes.add(write);
    const isDone = await write;
    this.#writes.delete(write);
    if (isDone) return;
    this.#lost++;
    if (this.#pending.get(key) === id) this.#pending.delete(key);
    this.#near.delete(key, this.#options.clock.monotonic());
  }

  #store(key: string, value: Json, life: Lifetime & { readonly stamp?: number }): void {
    const id = this.#begin(key);
    this.#fillNear(key, value, { ...life, age: 0 });
    const write = this.#invalidations.then(() => this.#options.shardOf(key).set(key, { ...life, value, id }));
    void this.#settle(key, id, write);
  }

  #fillNear(key: string, value: Json, { ttlMs, age }: { readonly ttlMs: number; readonly age: number }): void {
    const { shardOf, clock, nearTtlMs, hasBus } = this.#options;
    const nowMs = clock.monotonic();
    // What must not be kept takes what was there before along.
    const isKept = (this.#isBusUp || !hasBus) && shardOf(key).isReady;
    const goneAt = isKept ? nowMs + Math.min(ttlMs - age, nearTtlMs) : nowMs;
    this.#near.set(key, value, { nowMs, staleAt: goneAt, goneAt });
  }

  /** Reads a key from its server, once at a time, and keeps it near unless it changed meanwhile. */
  #pull(key: string): Promise<StoredValue | undefined> {
    const { shardOf, clock } = this.#options;
    if (!shardOf(key).isReady) return Promise.resolve(undefined);
    return this.#pulls.join(key, clock.monotonic(), async (isCurrent) => {
      await this.#invalidations;
      const stored = await shardOf(key).read(key);
      if (stored && isCurrent()) {
        this.#fillNear(key, stored.value, { ttlMs: stored.ttlMs, age: ageMs(stored, clock.now()) });
      }
      return stored;
    });
  }

  #lifetimeOf(options: CacheFetchOptions | undefined): Lifetime {
    assertOptions(options);
    const { defaultTtlSecs, maxTtlMs } = this.#options;
    const ttlMs = Math.min(toMs(options?.ttl_secs ?? defaultTtlSecs, "ttl_secs"), maxTtlMs);
    return { ttlMs, staleMs: Math.min(toMs(options?.stale_secs ?? 0, "stale_secs"), maxTtlMs - ttlMs) };
  }

  #clearNear(): void {
    this.#callOffPrefix("");
    this.#near.deletePrefix("", this.#options.clock.monotonic());
  }

  #callOffPrefix(prefix: string): void {
    this.#pulls.callOffPrefix(prefix);
    this.#loads.callOffPrefix(prefix);
  }

  #receiveInvalidation(message: Extract<BusMessage, { kind: "invalidate" }>, isOwn: boolean): void {
    const { prefix, stamp } = message;
    for (const shard of this.#options.shards) shard.noteStamp(stamp);
    // What was loaded here after our own call is new already.
    if (!isOwn) this.#callOffPrefix(prefix);
    this.#near.deletePrefix(prefix, this.#options.clock.monotonic());
  }

  #receiveFlush(isOwn: boolean): void {
    this.#clearNear();
    if (!isOwn) for (const shard of this.#options.shards) shard.flushed();
  }

  /** The last own write of a key has come round: what arrives from now on is newer. */
  #receiveOwn(message: Extract<BusMessage, { kind: "set" | "drop" }>): void {
    if (this.#pending.get(message.key) !== message.id) return;
    this.#pending.delete(message.key);
    // An invalidation that came before the write on the server may have removed it here.
    if (message.kind === "set") this.#keep(message.key, message.text);
  }

  #receiveChange(message: Extract<BusMessage, { kind: "set" | "drop" }>): void {
    const { key } = message;
    if (this.#pending.has(key)) return;
    this.#pulls.callOff(key);
    this.#loads.callOff(key);
    if (message.kind === "set") this.#keep(key, message.text);
    else this.#near.delete(key, this.#options.clock.monotonic());
  }

  /** Keeps what a message carries; a value that may be void is for the server to judge. */
  #keep(key: string, text: string): void {
    const { clock, shardOf } = this.#options;
    const stored = decodeValue(text);
    const shard = shardOf(key);
    if (stored && stored.stamp >= shard.stamp) {
      shard.noteStamp(stored.stamp);
      this.#fillNear(key, stored.value, { ttlMs: stored.ttlMs, age: ageMs(stored, clock.now()) });
    } else this.#near.delete(key, clock.monotonic());
  }
}
