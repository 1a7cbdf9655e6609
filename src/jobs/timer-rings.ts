// The memory of a timer wheel: links and values of all timers in typed arrays, 24 bytes each. Knows nothing of time; a
// timer is in exactly one ring or on the free list.

export const SLOT_BITS = 8;
export const SLOTS: number = 2 ** SLOT_BITS;
export const LEVELS = 4;
const WORDS = SLOTS / 32;

// Every list is a ring through a sentinel: the slots first, then three lists without a place on a level.
/** Timers that are due already. */
export const LATE: number = LEVELS * SLOTS;
/** Timers that are being told of. */
export const FIRING: number = LATE + 1;
/** Timers behind the highest level. */
export const BEYOND: number = LATE + 2;
const FIRST_NODE = LATE + 3;
export const NONE = -1;
const FIRST_CAPACITY = FIRST_NODE + 64;

/** Handles carry the node's generation, so that a handle kept too long cannot cancel a newer timer. */
export const MAX_NODES: number = 2 ** 26;
const MAX_GENERATION = 2 ** 26;

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** Links and values of all timers, in rings. */
export class TimerRings {
  next: Int32Array<ArrayBuffer> = new Int32Array(FIRST_CAPACITY);
  prev: Int32Array<ArrayBuffer> = new Int32Array(FIRST_CAPACITY);
  due: Float64Array<ArrayBuffer> = new Float64Array(FIRST_CAPACITY);
  value: Int32Array<ArrayBuffer> = new Int32Array(FIRST_CAPACITY);
  generation: Int32Array<ArrayBuffer> = new Int32Array(FIRST_CAPACITY);
  /** One bit per slot that is in use. */
  readonly used: Int32Array<ArrayBuffer> = new Int32Array(LEVELS * WORDS);
  size = 0;
  #free: number = NONE;
  #fresh: number = FIRST_NODE;

  constructor() {
    for (let list = 0; list < FIRST_NODE; list++) this.next[list] = this.prev[list] = list;
  }

  isEmpty(list: number): boolean {
    return this.next[list] === list;
  }

  first(list: number): number {
    return this.next[list] as number;
  }

  allocate(dueMs: number, value: number): number {
    let node = this.#free;
    if (node === NONE) {
      if (this.#fresh === this.next.length) this.#grow();
      node = this.#fresh++;
    } else {
      this.#free = this.next[node] as number;
    }
    this.due[node] = dueMs;
    this.value[node] = value;
    this.size++;
    return node;
  }

  release(node: number): void {
    this.generation[node] = ((this.generation[node] as number) + 1) % MAX_GENERATION;
    // A free node is marked by a link to itself backwards: no waiting node has one.
    this.prev[node] = node;
    this.next[node] = this.#free;
    this.#free = node;
    this.size--;
  }

  isWaiting(node: number, generation: number): boolean {
    return node >= FIRST_NODE && node < this.#fresh && this.generation[node] === generation && this.prev[node] !== node;
  }

  append(list: number, node: number): void {
    const last = this.prev[list] as number;
    this.next[last] = node;
    this.prev[node] = last;
    this.next[node] = list;
    this.prev[list] = node;
    if (list < LATE) this.used[list >>> 5] = (this.used[list >>> 5] as number) | (1 << (list & 31));
  }

  unlink(node: number): void {
    const before = this.prev[node] as number;
    const after = this.next[node] as number;
    this.next[before] = after;
    this.prev[after] = before;
    if (before === after && before < LATE) this.#clearBit(before);
  }

  /** Moves all of `from` behind what `to` holds. */
  splice(from: number, to: number): void {
    if (this.isEmpty(from)) return;
    const head = this.next[from] as number;
    const tail = this.prev[from] as number;
    const last = this.prev[to] as number;
    this.next[last] = head;
    this.prev[head] = last;
    this.next[tail] = to;
    this.prev[to] = tail;
    this.next[from] = this.prev[from] = from;
    if (from < LATE) this.#clearBit(from);
  }

  /** The first slot in use of `level` at or behind `digit`, or -1. */
  slotFrom(level: number, digit: number): number {
    const end = (level + 1) * WORDS;
    let word = level * WORDS + (digit >>> 5);
    let bits = (this.used[word] as number) & (-1 << (digit & 31));
    while (bits === 0) {
      word++;
      if (word === end) return NONE;
      bits = this.used[word] as number;
    }
    return (word - level * WORDS) * 32 + lowestBit(bits);
  }

  #clearBit(list: number): void {
    this.used[list >>> 5] = (this.used[list >>> 5] as number) & ~(1 << (list & 31));
  }

  #grow(): void {
    if (this.next.length === MAX_NODES) throw new RangeError(`Cannot hold more timers than: ${this.size}`);
    const length = Math.min(this.next.length * 2, MAX_NODES);
    const widen = <T extends Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.next = widen(this.next, new Int32Array(length));
    this.prev = widen(this.prev, new Int32Array(length));
    this.due = widen(this.due, new Float64Array(length));
    this.value = widen(this.value, new Int32Array(length));
    this.generation = widen(this.generation, new Int32Array(length));
  }
}
