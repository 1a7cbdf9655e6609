// Finds the keys that start with any prefix, at the cost of what it finds. A burst trie (Heinz, Zobel, Williams 2002) with
// compressed paths: leaves hold a few keys unordered, so that most inserts and every removal touch one small array, and a
// leaf that grows too large becomes a branch. Every branch has at least two children and no leaf is empty, so a subtree is
// never larger than twice its keys.

// Leaves and branches have the same properties in the same order: the walk down is the hottest part of `set`.

interface Leaf {
  parent: Branch;
  /** The character under which its parent has it. */
  code: number;
  label: "";
  readonly depth: number;
  readonly children: null;
  readonly slots: number[];
}

interface Branch {
  /** Null for the root. */
  parent: Branch | null;
  code: number;
  /** What its keys share behind the parent's part; starts with the character of `code`. */
  label: string;
  /** How many characters its keys share from their start. */
  readonly depth: number;
  readonly children: Children;
  readonly slots: null;
}

type Node = Leaf | Branch;

/** Characters below this have a place in an array, which is several times faster than a map. */
const ASCII = 128;

class Children {
  size = 0;
  /** By code + 1, so that END has a place. */
  readonly #near: (Node | undefined)[] = [];
  #far: Map<number, Node> | undefined;

  get(code: number): Node | undefined {
    return code < ASCII ? this.#near[code + 1] : this.#far?.get(code);
  }

  set(code: number, node: Node): void {
    if (this.get(code) === undefined) this.size++;
    if (code < ASCII) this.#near[code + 1] = node;
    else (this.#far ??= new Map()).set(code, node);
  }

  delete(code: number): void {
    this.size--;
    if (code < ASCII) this.#near[code + 1] = undefined;
    else this.#far?.delete(code);
  }

  each(visit: (node: Node) => void): void {
    for (const node of this.#near) if (node !== undefined) visit(node);
    this.#far?.forEach(visit);
  }
}

/** A leaf that holds more bursts; also what a prefix that ends within a leaf has to look through. */
const MAX_LEAF = 64;
/** The child of the key that ends where the branch begins. */
const END = -1;

function codeAt(key: string, depth: number): number {
  return depth < key.length ? key.charCodeAt(depth) : END;
}

/** How many characters `label` shares with `key` from `depth` on. */
function sharedLength(label: string, key: string, depth: number): number {
  let length = 0;
  while (length < label.length && label.charCodeAt(length) === key.charCodeAt(depth + length)) length++;
  return length;
}

function createBranch(parent: Branch | null, code: number, label: string): Branch {
  return { parent, code, label, depth: (parent?.depth ?? 0) + label.length, children: new Children(), slots: null };
}

function createLeaf(parent: Branch, code: number): Leaf {
  const leaf: Leaf = { parent, code, label: "", depth: parent.depth, children: null, slots: [] };
  parent.children.set(code, leaf);
  return leaf;
}

function adopt(parent: Branch, child: Node, code: number): void {
  child.parent = parent;
  child.code = code;
  parent.children.set(code, child);
}

/** All slots below `node`, appended to `found`. */
function collect(node: Node, found: number[]): void {
  if (node.slots !== null) for (const slot of node.slots) found.push(slot);
  else node.children.each((child) => collect(child, found));
}

/** Puts a branch between `child` and its parent, where `key` leaves the label of `child`. */
function split(parent: Branch, child: Branch, key: string): Branch {
  const shared = sharedLength(child.label, key, parent.depth);
  const between = createBranch(parent, child.code, child.label.slice(0, shared));
  parent.children.set(between.code, between);
  child.label = child.label.slice(shared);
  adopt(between, child, child.label.charCodeAt(0));
  return between;
}

/** Takes a node out of its parent; a parent that is left with one child gives it to its own. */
function detach(node: Node): void {
  const branch = node.parent;
  if (branch === null) return;
  branch.children.delete(node.code);
  const { parent } = branch;
  if (parent === null || branch.children.size > 1) return;
  branch.children.each((only) => {
    if (only.slots === null) only.label = branch.label + only.label;
    adopt(parent, only, branch.code);
  });
}

export class PrefixIndex {
  readonly #keyOf: (slot: number) => string;
  #root: Branch = createBranch(null, END, "");
  /** By slot. */
  readonly #leaves: Leaf[] = [];
  /** By slot: where it stands in its leaf. */
  readonly #places: number[] = [];

  /** @param keyOf the key of a slot that is in the index */
  constructor(keyOf: (slot: number) => string) {
    this.#keyOf = keyOf;
  }

  /** Adds a slot whose key is in no other slot. */
  add(slot: number, key: string): void {
    let branch = this.#root;
    for (;;) {
      const code = codeAt(key, branch.depth);
      const child = branch.children.get(code);
      if (child === undefined) return this.#put(createLeaf(branch, code), slot);
      if (child.slots !== null) {
        this.#put(child, slot);
        if (child.slots.length > MAX_LEAF) this.#burst(child);
        return;
      }
      const { label } = child;
      const fits = label.length === 1 || sharedLength(label, key, branch.depth) === label.length;
      branch = fits ? child : split(branch, child, key);
    }
  }

  /** Takes a slot out. Its key is not asked for. */
  remove(slot: number): void {
    const leaf = this.#leaves[slot] as Leaf;
    const last = leaf.slots.pop() as number;
    if (last !== slot) {
      const place = this.#places[slot] as number;
      leaf.slots[place] = last;
      this.#places[last] = place;
    }
    if (leaf.slots.length === 0) detach(leaf);
  }

  /** Takes out the slots whose keys start with `prefix`, and answers them in no order. */
  take(prefix: string): number[] {
    const node = this.#find(prefix);
    if (node === undefined) return [];
    if (node.slots !== null) {
      const found = node.slots.filter((slot) => this.#keyOf(slot).startsWith(prefix));
      for (const slot of found) this.remove(slot);
      return found;
    }
    const found: number[] = [];
    collect(node, found);
    // At once: the way up from every slot would cost more than all the rest.
    if (node.parent === null) this.#root = createBranch(null, END, "");
    else detach(node);
    return found;
  }

  /** The branch below which every key starts with `prefix`, or the leaf that has all that do. */
  #find(prefix: string): Node | undefined {
    let branch = this.#root;
    while (prefix.length > branch.depth) {
      const child = branch.children.get(prefix.charCodeAt(branch.depth));
      if (child === undefined || child.slots !== null) return child;
      const shared = sharedLength(child.label, prefix, branch.depth);
      if (shared < child.label.length && branch.depth + shared < prefix.length) return undefined;
      branch = child;
    }
    return branch;
  }

  #put(leaf: Leaf, slot: number): void {
    this.#leaves[slot] = leaf;
    this.#places[slot] = leaf.slots.push(slot) - 1;
  }

  /** Makes a branch of a leaf, at the character where its keys part. Keys differ, so there are at least two children. */
  #burst({ parent, code, slots }: Leaf): void {
    const first = this.#keyOf(slots[0] as number);
    const start = parent.depth;
    let label = first.slice(start);
    for (const slot of slots) label = label.slice(0, sharedLength(label, this.#keyOf(slot), start));
    const branch = createBranch(parent, code, label);
    parent.children.set(code, branch);
    for (const slot of slots) {
      const childCode = codeAt(this.#keyOf(slot), branch.depth);
      // All children are leaves: the branch is new.
      const leaf = (branch.children.get(childCode) as Leaf | undefined) ?? createLeaf(branch, childCode);
      this.#put(leaf, slot);
    }
  }
}
