// Doubly linked lists of slots (small integers) in a typed array: every slot is in at most one list, and joining, leaving
// and moving cost a few writes. Each list is a ring through a sentinel of its own.

/** The two links of a node stand beside each other, so that both come with one read from memory. */
const PREVIOUS = 1;

export class SlotLists {
  readonly #lists: number;
  #links: Int32Array<ArrayBuffer>;

  /** @param lists how many lists there are, numbered from 0 */
  constructor(lists: number, slots: number) {
    this.#lists = lists;
    this.#links = new Int32Array(2 * (lists + slots));
    for (let list = 0; list < lists; list++) this.#links[2 * list] = this.#links[2 * list + PREVIOUS] = list;
  }

  /** Makes room for slots below `slots`. */
  reserve(slots: number): void {
    const larger = new Int32Array(2 * (this.#lists + slots));
    larger.set(this.#links);
    this.#links = larger;
  }

  /** Adds a slot that is in no list at the end of `list`. */
  append(list: number, slot: number): void {
    const links = this.#links;
    const node = this.#lists + slot;
    const last = links[2 * list + PREVIOUS] as number;
    links[2 * last] = node;
    links[2 * node + PREVIOUS] = last;
    links[2 * node] = list;
    links[2 * list + PREVIOUS] = node;
  }

  /** Takes a slot out of the list that it is in. */
  remove(slot: number): void {
    const links = this.#links;
    const node = this.#lists + slot;
    const after = links[2 * node] as number;
    const before = links[2 * node + PREVIOUS] as number;
    links[2 * before] = after;
    links[2 * after + PREVIOUS] = before;
  }

  /** Moves a slot to the end of its list, which is `list`. */
  moveToEnd(list: number, slot: number): void {
    if (this.#links[2 * list + PREVIOUS] === this.#lists + slot) return;
    this.remove(slot);
    this.append(list, slot);
  }

  /** The first slot of `list`, or -1. */
  first(list: number): number {
    const node = this.#links[2 * list] as number;
    return node < this.#lists ? -1 : node - this.#lists;
  }

  /** The slot behind `slot` in its list, or -1 at the end. */
  after(slot: number): number {
    const node = this.#links[2 * (this.#lists + slot)] as number;
    return node < this.#lists ? -1 : node - this.#lists;
  }
}
