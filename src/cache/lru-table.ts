// Entries under keys, bounded in number and bytes: the least recently used one makes room, times to live need no timers, and
// keys can be removed by prefix. Time is an argument: milliseconds on a clock that never goes back.

import type { CacheTime } from "./cache-time.ts";
import { PrefixIndex } from "./prefix-index.ts";
import { SlotLists } from "./slot-lists.ts";

export interface LruTableOptions<V> {
  readonly maxEntries: number;
  /** Infinity: bytes are only counted. */
  readonly maxBytes: number;
  /** Asked once for each entry that is set; later, and perhaps never, when `maxBytes` is infinite. */
  readonly bytesOf: (key: string, value: V) => number;
}

/** The time of a write, when its entry stops being answered by `get`, and when it is gone; `staleAt` is not after `goneAt`. */
export interface Life {
  readonly nowMs: number;
  readonly staleAt: number;
  readonly goneAt: number;
}

export interface LruTableStats {
  readonly entries: number;
  readonly bytes: number;
  readonly evictions: number;
  readonly expirations: number;
}

const FIRST_SLOTS = 256;
/** The only list of the recency order; its first slot is the least recently used. */
const RECENCY = 0;
/** Entries by the second in which they are gone, modulo this; a longer life is passed over once a round. */
const RING = 1_024;
const RING_MS = 1_000;
const UNMEASURED = -1;
/** Places of an entry's numbers, four of which share a line of the processor's cache. */
const FACTS = 4;
const STALE_AT = 0;
const GONE_AT = 1;
const SIZE = 2;
/** Which list of the ring it is in. */
const LIST = 3;
/** Entries that are removed together: what belongs to them has room in the processor's cache. */
const BATCH = 64;
/** What `#indexing` may be, beside 0. */
const INDEXED = 1;
const WAITING = 2;

const ringTick = (ms: number): number => Math.floor(ms / RING_MS);

export class LruTable<V> {
  readonly #options: LruTableOptions<V>;
  readonly #slotOf = new Map<string, number>();
  readonly #keys: (string | undefined)[] = [];
  readonly #values: (V | undefined)[] = [];
  /** By slot, beside each other: when it is stale, when it is gone, how many bytes it counts, its list. */
  #facts = new Float64Array(FIRST_SLOTS * FACTS);
  readonly #recency = new SlotLists(1, FIRST_SLOTS);
  readonly #ring = new SlotLists(RING, FIRST_SLOTS);
  readonly #prefixes = new PrefixIndex((slot) => this.#keys[slot] as string);
  /** By slot: whether the prefix index has it, and whether it waits for that. */
  #indexing = new Uint8Array(FIRST_SLOTS);
  /** New slots, which join the index when the synchronous run that made them ends; many do not live that long. */
  readonly #newSlots: number[] = [];
  /** Slots below `#used` that hold nothing. */
  readonly #free: number[] = [];
  #used = 0;
  #bytes = 0;
  #unmeasured = 0;
  #evictions = 0;
  #expirations = 0;
  /** The tick of the last sweep; undefined before the first entry. */
  #sweptTick: number | undefined;

  constructor(options: LruTableOptions<V>) {
    this.#options = options;
  }

  /** The value of a key that is not stale; its entry becomes the most recently used. */
  get(key: string, time: CacheTime): V | undefined {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return undefined;
    const staleAt = this.#facts[slot * FACTS + STALE_AT] as number;
    if (staleAt < time.future() && this.#hasEnded(slot, staleAt, time.now())) return undefined;
    this.#recency.moveToEnd(RECENCY, slot);
    return this.#values[slot];
  }

  /** The same for a key that may be stale. */
  getStale(key: string, nowMs: number): V | undefined {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return undefined;
    if (nowMs >= (this.#facts[slot * FACTS + GONE_AT] as number)) {
      this.#expire(slot);
      return undefined;
    }
    this.#recency.moveToEnd(RECENCY, slot);
    return this.#values[slot];
  }

  /** Keeps a value as the most recently used; what has no life, or is larger than all there is room for, is not kept. */
  set(key: string, value: V, { nowMs, staleAt, goneAt }: Life): void {
    if (ringTick(nowMs) !== this.#sweptTick) this.sweep(nowMs);
    const { maxBytes, maxEntries, bytesOf } = this.#options;
    const size = maxBytes === Infinity ? UNMEASURED : bytesOf(key, value);
    let slot = this.#slotOf.get(key);
    if (goneAt <= nowMs || size > maxBytes) {
      if (slot !== undefined) this.#remove(slot);
      if (size > maxBytes) this.#evictions++;
      return;
    }
    const list = ringTick(goneAt) % RING;
    if (slot === undefined) slot = this.#slotOf.size < maxEntries ? this.#take(key, list) : this.#takeOver(key);
    else this.#recency.moveToEnd(RECENCY, slot);
    this.#enlist(slot, list);
    this.#values[slot] = value;
    this.#facts[slot * FACTS + STALE_AT] = staleAt;
    this.#facts[slot * FACTS + GONE_AT] = goneAt;
    this.#resize(slot, size);
    while (this.#bytes > maxBytes) this.#evict();
  }

  /** Whether there was something to remove. */
  delete(key: string, nowMs: number): boolean {
    const slot = this.#slotOf.get(key);
    return slot !== undefined && this.#drop(slot, nowMs);
  }

  /** Removes every key that starts with `prefix`; answers how many. */
  deletePrefix(prefix: string, nowMs: number): number {
    this.#indexNew();
    const slots = this.#prefixes.take(prefix);
    let count = 0;
    for (let start = 0; start < slots.length; start += BATCH)
      count += this.#dropAll(slots.slice(start, start + BATCH), nowMs);
    return count;
  }

  /** Removes what is gone by now: `set` does it once a second, so the dead take no room from the living. */
  sweep(nowMs: number): void {
    const tick = ringTick(nowMs);
    const from = Math.max(this.#sweptTick ?? tick, tick - RING + 1);
    for (let at = from; at <= tick; at++) this.#sweepList(((at % RING) + RING) % RING, nowMs);
    this.#sweptTick = tick;
  }

  stats(nowMs: number): LruTableStats {
    this.sweep(nowMs);
    if (this.#unmeasured > 0) this.#measure();
    const [entries, bytes] = [this.#slotOf.size, this.#bytes];
    return { entries, bytes, evictions: this.#evictions, expirations: this.#expirations };
  }

  #hasEnded(slot: number, staleAt: number, nowMs: number): boolean {
    if (nowMs < staleAt) return false;
    if (nowMs >= (this.#facts[slot * FACTS + GONE_AT] as number)) this.#expire(slot);
    return true;
  }

  #sweepList(list: number, nowMs: number): void {
    for (let slot = this.#ring.first(list); slot >= 0;) {
      const following = this.#ring.after(slot);
      if (nowMs >= (this.#facts[slot * FACTS + GONE_AT] as number)) this.#expire(slot);
      slot = following;
    }
  }

  #measure(): void {
    const { bytesOf } = this.#options;
    for (let slot = this.#recency.first(RECENCY); slot >= 0; slot = this.#recency.after(slot)) {
      if (this.#facts[slot * FACTS + SIZE] !== UNMEASURED) continue;
      this.#unmeasured--;
      this.#noteSize(slot, bytesOf(this.#keys[slot] as string, this.#values[slot] as V));
    }
  }

  #resize(slot: number, size: number): void {
    if (size === UNMEASURED && this.#facts[slot * FACTS + SIZE] === UNMEASURED) return;
    this.#forgetSize(slot);
    this.#noteSize(slot, size);
  }

  /** Moves an entry to its list of the ring. Entries of one second come and go in one list, whose order does not matter. */
  #enlist(slot: number, list: number): void {
    if (this.#facts[slot * FACTS + LIST] === list) return;
    this.#facts[slot * FACTS + LIST] = list;
    this.#ring.remove(slot);
    this.#ring.append(list, slot);
  }

  #noteSize(slot: number, size: number): void {
    this.#facts[slot * FACTS + SIZE] = size;
    if (size === UNMEASURED) this.#unmeasured++;
    else this.#bytes += size;
  }

  #forgetSize(slot: number): void {
    const size = this.#facts[slot * FACTS + SIZE] as number;
    if (size === UNMEASURED) this.#unmeasured--;
    else this.#bytes -= size;
  }

  /** A slot for a new key, as an entry of no bytes. */
  #take(key: string, list: number): number {
    const slot = this.#free.pop() ?? this.#used++;
    if (slot >= this.#indexing.length) this.#reserve(2 * this.#indexing.length);
    this.#keys[slot] = key;
    this.#slotOf.set(key, slot);
    this.#recency.append(RECENCY, slot);
    this.#ring.append(list, slot);
    this.#facts[slot * FACTS + LIST] = list;
    this.#facts[slot * FACTS + SIZE] = 0;
    if (this.#indexing[slot] !== WAITING) this.#awaitIndex(slot);
    return slot;
  }

  /** Evicts for a new key, which takes the entry as it is: a full cache pays for what changes alone. */
  #takeOver(key: string): number {
    const slot = this.#recency.first(RECENCY);
    this.#evictions++;
    this.#slotOf.delete(this.#keys[slot] as string);
    if (this.#indexing[slot] === INDEXED) this.#prefixes.remove(slot);
    this.#keys[slot] = key;
    this.#slotOf.set(key, slot);
    this.#recency.moveToEnd(RECENCY, slot);
    if (this.#indexing[slot] !== WAITING) this.#awaitIndex(slot);
    return slot;
  }

  #awaitIndex(slot: number): void {
    this.#indexing[slot] = WAITING;
    if (this.#newSlots.push(slot) === 1) queueMicrotask(this.#indexNew);
  }

  /** Every entry is indexed once, at the end of its run or by an invalidation before that. */
  readonly #indexNew = (): void => {
    for (const slot of this.#newSlots) {
      const key = this.#keys[slot];
      const isHeld = key !== undefined && this.#slotOf.get(key) === slot;
      this.#indexing[slot] = isHeld ? INDEXED : 0;
      if (isHeld) this.#prefixes.add(slot, key);
    }
    this.#newSlots.length = 0;
  };

  #reserve(slots: number): void {
    const facts = new Float64Array(slots * FACTS);
    const indexing = new Uint8Array(slots);
    facts.set(this.#facts);
    indexing.set(this.#indexing);
    [this.#facts, this.#indexing] = [facts, indexing];
    this.#recency.reserve(slots);
    this.#ring.reserve(slots);
  }

  #remove(slot: number): void {
    this.#forgetSize(slot);
    this.#slotOf.delete(this.#keys[slot] as string);
    this.#recency.remove(slot);
    this.#ring.remove(slot);
    if (this.#indexing[slot] === INDEXED) {
      this.#prefixes.remove(slot);
      this.#indexing[slot] = 0;
    }
    this.#keys[slot] = undefined;
    this.#values[slot] = undefined;
    this.#free.push(slot);
  }

  #evict(): void {
    this.#remove(this.#recency.first(RECENCY));
    this.#evictions++;
  }

  #expire(slot: number): void {
    this.#remove(slot);
    this.#expirations++;
  }

  /** Removes at somebody's wish; what was gone by itself does not count. */
  #drop(slot: number, nowMs: number): boolean {
    if (nowMs >= (this.#facts[slot * FACTS + GONE_AT] as number)) {
      this.#expire(slot);
      return false;
    }
    this.#remove(slot);
    return true;
  }

  /** The same for slots that have left the prefix index; answers how many were not gone by themselves. */
  #dropAll(slots: readonly number[], nowMs: number): number {
    const keys: string[] = [];
    let count = 0;
    for (const slot of slots) {
      this.#indexing[slot] = 0;
      keys.push(this.#keys[slot] as string);
      if (nowMs < (this.#facts[slot * FACTS + GONE_AT] as number)) count++;
    }
    // Asking for all of them first lets the processor wait for their memory at the same time; removing each waits for its own.
    for (const key of keys) if (!this.#slotOf.has(key)) throw new TypeError("The prefix index has a key that is gone");
    this.#expirations += slots.length - count;
    for (const slot of slots) this.#remove(slot);
    return count;
  }
}
