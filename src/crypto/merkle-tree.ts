// The Merkle tree of RFC 6962: hashes of leaves and nodes, the compact range that an append-only tree needs to grow, and
// proofs made from stored nodes. A leaf and a node can never have the same hash.

import type { Sha256 } from "./sha256.ts";
import type { Bytes } from "./utf8.ts";

export const HASH_BYTES = 32;
/** What stands before a leaf's data in the input of its hash. */
export const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

/** RFC 6962 section 2.1: `SHA-256(0x00 ‖ data)`. */
export function hashLeaf(sha256: Sha256, data: Uint8Array): Bytes {
  const input = new Uint8Array(1 + data.length);
  input[0] = LEAF_PREFIX;
  input.set(data, 1);
  return sha256(input);
}

/** Hashing answers at once, so one input serves every node. */
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = NODE_PREFIX;

/** RFC 6962 section 2.1: `SHA-256(0x01 ‖ left ‖ right)`. */
export function hashNode(sha256: Sha256, left: Uint8Array, right: Uint8Array): Bytes {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** Answers the root over 2^level leaves, one after the other: valid until the next call. */
export function createSubtreeHasher(sha256: Sha256, level: number): (leaves: Uint8Array) => Uint8Array {
  // A node's input, and behind it the nodes of one level after the other.
  const bytes = new Uint8Array(nodeInput.length + 2 ** level * HASH_BYTES);
  bytes[0] = NODE_PREFIX;
  const input = bytes.subarray(0, nodeInput.length);
  const nodes = Array.from({ length: 2 ** level }, (_, index) => {
    const start = input.length + index * HASH_BYTES;
    return bytes.subarray(start, start + HASH_BYTES);
  });
  return (leaves) => {
    bytes.set(leaves, input.length);
    for (let count = nodes.length / 2; count >= 1; count /= 2) {
      for (let index = 0; index < count; index++) {
        const pair = input.length + index * 2 * HASH_BYTES;
        bytes.copyWithin(1, pair, pair + 2 * HASH_BYTES);
        const node = nodes[index] as Bytes;
        const hash = sha256(input, node);
        if (hash !== node) node.set(hash);
      }
    }
    return nodes[0] as Bytes;
  };
}

/** The largest power of two below `size`, which is at least 2. Sizes go beyond 32 bits, so nothing here shifts. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/** How many complete subtrees a tree of this size consists of. */
export function rangeLength(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

/** A growing tree as the roots of its complete subtrees, the largest first: at most 53 hashes, whatever its size. */
export interface CompactRange {
  readonly size: number;
  append(leafHash: Uint8Array): void;
  /** Appends a complete subtree over 2^level leaves by its root. The size is a multiple of as many. */
  appendSubtree(level: number, root: Uint8Array): void;
  /** Of the empty tree: the hash of nothing. */
  root(): Bytes;
  /** The subtrees' roots one after the other. */
  encode(): Bytes;
}

/** What a range begins with. */
export interface CompactRangeStart {
  readonly size: number;
  readonly hashes: Uint8Array;
}

const EMPTY_RANGE: CompactRangeStart = { size: 0, hashes: new Uint8Array(0) };

/**
 * @param onNode Told of each node that is complete from now on, but for those inside of a subtree: `level` 1 is over two
 * leaves.
 * @throws RangeError when the hashes do not fit the size.
 */
export function createCompactRange(
  sha256: Sha256,
  { size, hashes }: CompactRangeStart = EMPTY_RANGE,
  onNode: (level: number, hash: Uint8Array) => void = () => undefined,
): CompactRange {
  if (!Number.isSafeInteger(size) || size < 0 || hashes.length !== rangeLength(size) * HASH_BYTES) {
    throw new RangeError(`${hashes.length} bytes are no range of a tree of ${size} leaves`);
  }
  let count = size;
  const stack: Uint8Array[] = [];
  for (let at = 0; at < hashes.length; at += HASH_BYTES) stack.push(hashes.slice(at, at + HASH_BYTES));
  const push = (level: number, root: Uint8Array): void => {
    let hash = root;
    let above = level;
    for (let rest = count / 2 ** level; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      hash = hashNode(sha256, stack.pop() as Uint8Array, hash);
      onNode(++above, hash);
    }
    stack.push(hash);
    count += 2 ** level;
  };
  return {
    get size() {
      return count;
    },
    append: (leafHash) => push(0, leafHash),
    appendSubtree(level, root) {
      if (count % 2 ** level !== 0) throw new RangeError(`${count} leaves are no place for a subtree of 2^${level}`);
      if (level > 0) onNode(level, root);
      push(level, root);
    },
    root() {
      let hash = stack.at(-1);
      if (!hash) return sha256(new Uint8Array(0));
      for (let at = stack.length - 2; at >= 0; at--) hash = hashNode(sha256, stack[at] as Uint8Array, hash);
      return new Uint8Array(hash);
    },
    encode() {
      const bytes = new Uint8Array(stack.length * HASH_BYTES);
      for (const [index, hash] of stack.entries()) bytes.set(hash, index * HASH_BYTES);
      return bytes;
    },
  };
}

/** The root of the complete subtree over the leaves `index × 2^level` to `(index + 1) × 2^level`, exclusive. */
export type NodeAt = (level: number, index: number) => Promise<Uint8Array>;

/** Reads nodes of one tree and makes what follows from them. */
export interface TreeProofs {
  /** The root over the leaves from `start` to `end`, exclusive; `start` is a multiple of the width's power of two. */
  rangeHash(start: number, end: number): Promise<Uint8Array>;
  /** RFC 6962 section 2.1.1, leaf to root. @throws RangeError unless `index < size` */
  inclusion(index: number, size: number): Promise<Uint8Array[]>;
  /** RFC 6962 section 2.1.2. @throws RangeError unless `0 < from <= to` */
  consistency(from: number, to: number): Promise<Uint8Array[]>;
  /** The compact range of the tree as it was at `size`. */
  rangeAt(size: number): Promise<CompactRange>;
}

export function createTreeProofs(sha256: Sha256, nodeAt: NodeAt): TreeProofs {
  const rangeHash = async (start: number, end: number): Promise<Uint8Array> => {
    const width = end - start;
    const split = width === 1 ? 1 : splitOf(width);
    if (width === 1 || split * 2 === width) return nodeAt(Math.log2(width), start / width);
    return hashNode(sha256, await rangeHash(start, start + split), await rangeHash(start + split, end));
  };
  const path = async (index: number, start: number, end: number): Promise<Uint8Array[]> => {
    if (end - start === 1) return [];
    const middle = start + splitOf(end - start);
    if (index < middle) return [...(await path(index, start, middle)), await rangeHash(middle, end)];
    return [...(await path(index, middle, end)), await rangeHash(start, middle)];
  };
  const subproof = async (from: number, start: number, end: number, isWhole: boolean): Promise<Uint8Array[]> => {
    if (from === end) return isWhole ? [] : [await rangeHash(start, end)];
    const middle = start + splitOf(end - start);
    if (from <= middle) return [...(await subproof(from, start, middle, isWhole)), await rangeHash(middle, end)];
    return [...(await subproof(from, middle, end, false)), await rangeHash(start, middle)];
  };
  return {
    rangeHash,
    async inclusion(index, size) {
      if (!(index >= 0 && index < size)) throw new RangeError(`A tree of ${size} leaves has no leaf ${index}`);
      return path(index, 0, size);
    },
    async consistency(from, to) {
      if (!(from > 0 && from <= to)) throw new RangeError(`There is no consistency proof from ${from} to ${to}`);
      return subproof(from, 0, to, true);
    },
    async rangeAt(size) {
      const hashes: Uint8Array[] = [];
      for (let start = 0; start < size;) {
        let width = 1;
        while (width * 2 <= size - start) width *= 2;
        hashes.push(await nodeAt(Math.log2(width), start / width));
        start += width;
      }
      const bytes = new Uint8Array(hashes.length * HASH_BYTES);
      for (const [index, hash] of hashes.entries()) bytes.set(hash, index * HASH_BYTES);
      return createCompactRange(sha256, { size, hashes: bytes });
    },
  };
}
