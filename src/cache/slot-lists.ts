// Doubly linked lists of slots (small integers) in two typed arrays: every slot is in at most one list, and joining, leaving
// and moving cost a few writes. Each list is a ring through a sentinel of its own.

const GROWTH = 2;

function grow(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(size);
  larger.set(array);
  return larger;
}

export class SlotLists {
  readonly #lists: number;
  #next: Int32Array<ArrayBuffer>;
  #previous: Int32Array<ArrayBuffer>;

  /** @param lists how many lists there are, numbered from 0 */
  constructor(lists: number, slots: number) {
    this.#lists = lists;
    this.#next = new Int32Array(lists + slots);
    this.#previous = new Int32Array(lists + slots);
    for (let list = 0; list < lists; list++) this.#next[list] = this.#previous[list] = list;
  }

  /** Makes room for slots below `slots`. */
  reserve(slots: number): void {
    const size = this.#lists + slots;
    if (size <= this.#next.length) return;
    this.#next = grow(this.#next, size);
    this.#previous = grow(this.#previous, size);
  }

  /** Adds a slot that is in no list at the end of `list`. */
  append(list: number, slot: number): void {
    const next = this.#next;
    const previous = this.#previous;
    const node = this.#lists + slot;
    const last = previous[list] as number;
    next[last] = node;
    previous[node] = last;
    next[node] = list;
    previous[list] = node;
  }

  /** Takes a slot out of the list that it is in. */
  remove(slot: number): void {
    const node = this.#lists + slot;
    const after = this.#next[node] as number;
    const before = this.#previous[node] as number;
    this.#next[before] = after;
    this.#previous[after] = before;
  }

  /** Moves a slot to the end of its list, which is `list`. */
  moveToEnd(list: number, slot: number): void {
    if (this.#previous[list] === this.#lists + slot) return;
    this.remove(slot);
    this.append(list, slot);
  }

  /** The first slot of `list`, or -1. */
  first(list: number): number {
    return (this.#next[list] as number) - this.#lists < 0 ? -1 : (this.#next[list] as number) - this.#lists;
  }

  /** The slot behind `slot` in its list, or -1 at the end. */
  after(slot: number): number {
    const node = (this.#next[this.#lists + slot] as number) - this.#lists;
    return node < 0 ? -1 : node;
  }
}

/** The next size of an array that has become too small. */
export function grownSize(size: number, limit: number): number {
  return Math.min(limit, size * GROWTH);
}
