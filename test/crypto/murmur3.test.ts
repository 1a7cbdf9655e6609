// MurmurHash3_x86_32 against published values, and a prefix that is read once against the whole text.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { createPrefixHash, murmur3 } from "../../src/crypto/murmur3.ts";

/** Of the reference implementation, by text and seed. */
const PUBLISHED: readonly (readonly [string, number, number])[] = [
  ["", 0, 0],
  ["", 1, 0x514e28b7],
  ["", 0xffffffff, 0x81f16f39],
  ["a", 0, 1009084850],
  ["hello", 0, 613153351],
  ["test", 0x9747b28c, 0x704b81dc],
  ["Hello, world!", 0x9747b28c, 0x24884cba],
  ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
  ["aaaa", 0x9747b28c, 0x5a97808a],
  ["ππππππππ", 0x9747b28c, 0xd58063c1],
];

describe("murmur3", () => {
  for (const [text, seed, hash] of PUBLISHED) {
    it(`hashes ${JSON.stringify(text)} with seed ${seed}`, () => assert.equal(murmur3(text, seed), hash));
  }

  it("takes a text that is no UTF-16 as its UTF-8 with replacement characters", () => {
    assert.equal(murmur3("a\ud800"), murmur3("a\ufffd"));
  });
});

describe("createPrefixHash", () => {
  it("gives the hash of the prefix and the text together, wherever the cut is", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }),
        fc.string({ unit: "grapheme" }),
        fc.integer(),
        (prefix, text, seed) => {
          assert.equal(createPrefixHash(prefix, seed).hash(text), murmur3(prefix + text, seed));
        },
      ),
    );
  });
});
