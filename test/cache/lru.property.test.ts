// The cache against a naive model: the order of use, expiry at the boundary, sets of prefixes, and the bytes.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createLru } from "../../src/cache/lru.ts";
import { NaiveCache } from "./naive-cache.ts";

/** Few letters, so that keys share prefixes, are prefixes of each other and meet again. */
const key = fc.string({ unit: fc.constantFrom("a", "b", ":", "é", "😀"), maxLength: 5 });
const value = fc.oneof(
  fc.constant("v"),
  fc.integer(),
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.jsonValue({ maxDepth: 2 }),
);
const secs = fc.constantFrom(undefined, 0, 0.25, 1, 2, 5, 1_500);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("set" as const), key, value, secs }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("get" as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("invalidate" as const), prefix: key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 249, 250, 1_000, 3_000, 1_100_000, 1_500_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stats" as const) }) },
);
const bounds = fc.record({
  maxEntries: fc.integer({ min: 1, max: 12 }),
  maxBytes: fc.option(fc.integer({ min: 1, max: 120 }), { nil: Infinity }),
});
const DEFAULT_TTL_SECS = 3;
/** As JSON has it: -0 is 0. */
const plain = (given: unknown): unknown => JSON.parse(JSON.stringify(given)) as unknown;

/** How the cache is told the time: at every call, or by a clock whose readings it holds while no timer fires. */
const timings = fc.constantFrom("asked", "held");

describe("createLru() and a naive cache", () => {
  it("answer, hold, evict, expire and count the same", () => {
    fc.assert(
      fc.property(bounds, timings, fc.array(step, { maxLength: 120 }), ({ maxEntries, maxBytes }, timing, script) => {
        let now = 1_000_000;
        let release = (): void => undefined;
        const setTimer = (_delayMs: number, fire: () => void): (() => void) => {
          release = fire;
          return () => undefined;
        };
        const time = timing === "asked" ? { now: () => now } : { clock: { monotonic: () => now, setTimer } };
        const cache = createLru({ maxEntries, maxBytes, defaultTtlSecs: DEFAULT_TTL_SECS, ...time });
        const model = new NaiveCache({ maxEntries, maxBytes });
        const compareStats = (): void => {
          model.sweep(now);
          const { hits, misses, evictions, expirations, bytes, entries } = model;
          assert.deepEqual(cache.stats(), {
            entries: entries.length,
            bytes,
            hits,
            misses,
            evictions,
            expirations,
            lost: 0,
          });
        };
        for (const at of script) {
          if (at.kind === "wait") {
            now += at.ms;
            release();
            continue;
          }
          if (at.kind === "stats") compareStats();
          else if (at.kind === "get")
            assert.deepEqual(plain(cache.get(at.key) ?? null), plain(model.get(at.key, now) ?? null));
          else if (at.kind === "delete") assert.equal(cache.delete(at.key), model.delete(at.key, now));
          else if (at.kind === "invalidate")
            assert.equal(cache.invalidate(at.prefix), model.invalidate(at.prefix, now));
          else {
            const ttl = at.secs === undefined ? {} : { ttl_secs: at.secs };
            cache.set(at.key, at.value, ttl);
            model.set(at.key, at.value, { now, ttlMs: (at.secs ?? DEFAULT_TTL_SECS) * 1_000, staleMs: 0 });
          }
        }
        compareStats();
        for (const { key: held } of [...model.entries])
          assert.deepEqual(plain(cache.get(held)), plain(model.get(held, now)));
      }),
      { numRuns: 800 },
    );
  });

  it("find the same keys by prefix, whatever comes and goes", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "b", "0", "1", ":"), maxLength: 9 });
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 100, maxLength: 600 }),
        fc.array(name.map((text) => text.slice(0, 4))),
        (names, prefixes) => {
          const cache = createLru({ maxEntries: 300 });
          const model = new NaiveCache({ maxEntries: 300, maxBytes: Infinity });
          const add = (text: string): void => {
            cache.set(text, 1);
            model.set(text, 1, { now: 0, ttlMs: 1_000, staleMs: 0 });
          };
          for (const text of names) add(text);
          for (const prefix of prefixes) {
            assert.equal(cache.invalidate(prefix), model.invalidate(prefix, 0), prefix);
            add(`${prefix}again`);
          }
          assert.equal(cache.invalidate(""), model.invalidate("", 0));
          assert.equal(cache.stats().entries, 0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
