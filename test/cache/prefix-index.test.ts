// What an invalidation looks at: the keys that it removes and one leaf, however many there are.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PrefixIndex } from "../../src/cache/prefix-index.ts";

/** As many keys as a leaf holds before it bursts. */
const LEAF = 64;

describe("PrefixIndex", () => {
  it("looks at one leaf at most beside what it finds, among a hundred or a hundred thousand keys", () => {
    for (const size of [100, 100_000]) {
      const keys = Array.from({ length: size }, (_, i) => `post:${i % 1_000}:${i}`);
      let looked = 0;
      const index = new PrefixIndex((slot) => {
        looked++;
        return keys[slot] as string;
      });
      for (const [slot, key] of keys.entries()) index.add(slot, key);
      for (const prefix of ["post:7:", "post:12", "post:55:5", "user:", "post:9", "po"]) {
        const expected = keys.flatMap((key, slot) => (key.startsWith(prefix) ? [slot] : []));
        looked = 0;
        const taken = index.take(prefix);
        assert.deepEqual(
          taken.toSorted((a, b) => a - b),
          expected,
          prefix,
        );
        assert.ok(looked <= LEAF, `${looked} keys looked at for ${prefix} among ${size}`);
        assert.deepEqual(index.take(prefix), []);
        for (const slot of expected) index.add(slot, keys[slot] as string);
      }
    }
  });
});
