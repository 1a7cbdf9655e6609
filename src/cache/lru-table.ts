// Entries under keys, bounded in number and bytes: the least recently used one makes room, times to live need no timers, and
// keys can be removed by prefix. Time is an argument: milliseconds on a clock that never goes back.

import { PrefixIndex } from "./prefix-index.ts";
import { grownSize, SlotLists } from "./slot-lists.ts";

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

const ringTick = (ms: number): number => Math.floor(ms / RING_MS);

export class LruTable<V> {
  readonly #options: LruTableOptions<V>;
  readonly #slotOf = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #values: (V | undefined)[] = [];
  #staleAt = new Float64Array(FIRST_SLOTS);
  #goneAt = new Float64Array(FIRST_SLOTS);
  #sizes = new Float64Array(FIRST_SLOTS);
  readonly #recency = new SlotLists(1, FIRST_SLOTS);
  readonly #ring = new SlotLists(RING, FIRST_SLOTS);
  readonly #prefixes = new PrefixIndex((slot) => this.#keys[slot] as string);
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
  get(key: string, nowMs: number): V | undefined {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return undefined;
    if (nowMs >= (this.#staleAt[slot] as number)) {
      if (nowMs >= (this.#goneAt[slot] as number)) this.#expire(slot);
      return undefined;
    }
    this.#recency.moveToEnd(RECENCY, slot);
    return this.#values[slot];
  }

  /** The same for a key that may be stale. */
  getStale(key: string, nowMs: number): V | undefined {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return undefined;
    if (nowMs >= (this.#goneAt[slot] as number)) {
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
    if (slot === undefined) {
      if (this.#slotOf.size >= maxEntries) this.#evict();
      slot = this.#take(key);
    } else {
      this.#recency.moveToEnd(RECENCY, slot);
      this.#ring.remove(slot);
      this.#forgetSize(slot);
    }
    this.#values[slot] = value;
    this.#staleAt[slot] = staleAt;
    this.#goneAt[slot] = goneAt;
    this.#ring.append(ringTick(goneAt) % RING, slot);
    this.#noteSize(slot, size);
    while (this.#bytes > maxBytes) this.#evict();
  }

  /** Whether there was something to remove. */
  delete(key: string, nowMs: number): boolean {
    const slot = this.#slotOf.get(key);
    return slot !== undefined && this.#drop(slot, nowMs);
  }

  /** Removes every key that starts with `prefix`; answers how many. */
  deletePrefix(prefix: string, nowMs: number): number {
    let count = 0;
    for (const slot of this.#prefixes.find(prefix)) if (this.#drop(slot, nowMs)) count++;
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

  #sweepList(list: number, nowMs: number): void {
    for (let slot = this.#ring.first(list); slot >= 0;) {
      const following = this.#ring.after(slot);
      if (nowMs >= (this.#goneAt[slot] as number)) this.#expire(slot);
      slot = following;
    }
  }

  #measure(): void {
    const { bytesOf } = this.#options;
    for (let slot = this.#recency.first(RECENCY); slot >= 0; slot = this.#recency.after(slot)) {
      if (this.#sizes[slot] !== UNMEASURED) continue;
      this.#unmeasured--;
      this.#noteSize(slot, bytesOf(this.#keys[slot] as string, this.#values[slot] as V));
    }
  }

  #noteSize(slot: number, size: number): void {
    this.#sizes[slot] = size;
    if (size === UNMEASURED) this.#unmeasured++;
    else this.#bytes += size;
  }

  #forgetSize(slot: number): void {
    const size = this.#sizes[slot] as number;
    if (size === UNMEASURED) this.#unmeasured--;
    else this.#bytes -= size;
  }

  /** A slot for a new key. */
  #take(key: string): number {
    const slot = this.#free.pop() ?? this.#used++;
    if (slot >= this.#goneAt.length) this.#reserve(grownSize(this.#goneAt.length, this.#options.maxEntries + 1));
    this.#keys[slot] = key;
    this.#slotOf.set(key, slot);
    this.#recency.append(RECENCY, slot);
    this.#prefixes.add(slot, key);
    return slot;
  }

  #reserve(slots: number): void {
    const grow = (array: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(slots);
      larger.set(array);
      return larger;
    };
    [this.#staleAt, this.#goneAt, this.#sizes] = [grow(this.#staleAt), grow(this.#goneAt), grow(this.#sizes)];
    this.#recency.reserve(slots);
    this.#ring.reserve(slots);
  }

  #remove(slot: number): void {
    this.#forgetSize(slot);
    this.#slotOf.delete(this.#keys[slot] as string);
    this.#recency.remove(slot);
    this.#ring.remove(slot);
    this.#prefixes.remove(slot);
    this.#keys[slot] = "";
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
    if (nowMs >= (this.#goneAt[slot] as number)) {
      this.#expire(slot);
      return false;
    }
    this.#remove(slot);
    return true;
  }
}
