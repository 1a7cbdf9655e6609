// A subtree at once is its leaves one by one.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createCompactRange, createSubtreeHasher, HASH_BYTES } from "../../src/crypto/merkle-tree.ts";
import { portableSha256 as sha256 } from "../../src/crypto/sha256.ts";

const LEVEL = 3;
const LEAVES = 2 ** LEVEL;

describe("a complete subtree", () => {
  it("is appended as its leaves are, subtree after subtree", () => {
    const [oneByOne, atOnce] = [createCompactRange(sha256), createCompactRange(sha256)];
    const hashSubtree = createSubtreeHasher(sha256, LEVEL);
    for (let round = 0; round < 7; round++) {
      const leaves = new Uint8Array(LEAVES * HASH_BYTES).map((_, index) => index * 7 + round);
      for (let slot = 0; slot < LEAVES; slot++) {
        oneByOne.append(leaves.slice(slot * HASH_BYTES, (slot + 1) * HASH_BYTES));
      }
      atOnce.appendSubtree(LEVEL, hashSubtree(leaves).slice());
      assert.equal(atOnce.size, oneByOne.size);
      assert.deepEqual(atOnce.encode(), oneByOne.encode());
      assert.deepEqual(atOnce.root(), oneByOne.root());
    }
  });

  it("has its place behind as many leaves alone", () => {
    const range = createCompactRange(sha256);
    range.append(new Uint8Array(HASH_BYTES));
    assert.throws(() => range.appendSubtree(LEVEL, new Uint8Array(HASH_BYTES)), RangeError);
  });
});
