// The cache without an instance, under the name by which a program imports it.

import { expect, test } from "bun:test";
import { createLru } from "pylon-runtime/cache";

test("pylon-runtime/cache gives the cache alone", async () => {
  const cache = createLru({ maxEntries: 2, defaultTtlSecs: 60 });
  cache.set("a", { n: 1 });
  expect(await cache.fetch("b", () => 2)).toBe(2);
  cache.set("c", 3);
  expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([undefined, 2, 3]);
  expect(cache.invalidate("")).toBe(2);
  expect(cache.stats()).toEqual({ entries: 0, bytes: 0, hits: 2, misses: 2, evictions: 1, expirations: 0, lost: 0 });
});
