// Checks proofs of a Merkle tree (RFC 9162 sections 2.1.3.2 and 2.1.4.2) against roots that the caller trusts. Stricter than
// the text: every hash has 32 bytes, and nothing is consistent with the empty tree.

import { HASH_BYTES, hashNode } from "./merkle-tree.ts";
import type { Sha256 } from "./sha256.ts";

export interface InclusionClaim {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly hashes: readonly Uint8Array[];
  readonly root: Uint8Array;
}

export interface ConsistencyClaim {
  readonly from: number;
  readonly to: number;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  readonly hashes: readonly Uint8Array[];
}

/** Public values, so the time that it takes tells nothing. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // By index: a verifier compares a hash for every entry of a log.
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

const isHash = (bytes: Uint8Array): boolean => bytes.length === HASH_BYTES;
const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const half = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;

/** Whether the leaf is at `index` of the tree with this root. */
export function verifyInclusion(sha256: Sha256, claim: InclusionClaim): boolean {
  const { index, size, leafHash, hashes, root } = claim;
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  if (![leafHash, root, ...hashes].every(isHash)) return false;
  let [node, last, hash] = [index, size - 1, leafHash];
  for (const sibling of hashes) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      hash = hashNode(sha256, sibling, hash);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = hashNode(sha256, hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(hash, root);
}

const isGrowth = (from: number, to: number): boolean => isSize(from) && isSize(to) && from > 0 && from <= to;

/** Whether the tree of `to` leaves begins with the tree of `from` leaves. */
export function verifyConsistency(sha256: Sha256, claim: ConsistencyClaim): boolean {
  const { from, to, fromRoot, toRoot, hashes } = claim;
  if (!isGrowth(from, to)) return false;
  if (from === to) return hashes.length === 0 && equalBytes(fromRoot, toRoot);
  if (![fromRoot, toRoot, ...hashes].every(isHash)) return false;
  let [node, last] = [from - 1, to - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  const [first, ...rest] = node === 0 ? [fromRoot, ...hashes] : hashes;
  if (!first) return false;
  let [fromHash, toHash] = [first, first];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      [fromHash, toHash] = [hashNode(sha256, sibling, fromHash), hashNode(sha256, sibling, toHash)];
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      toHash = hashNode(sha256, toHash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(fromHash, fromRoot) && equalBytes(toHash, toRoot);
}
