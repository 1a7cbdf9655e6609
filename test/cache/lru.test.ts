// The cache of one process: the seed's calls, copies, times, bounds, and one loader per key.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Cache, createLru, type LruOptions } from "../../src/cache/lru.ts";
import { isPylonError } from "../../src/core/errors.ts";

interface Timed {
  readonly cache: Cache;
  wait(ms: number): void;
}

function timed(options: LruOptions = {}): Timed {
  let now = 0;
  return {
    cache: createLru({ ...options, now: () => now }),
    wait(ms) {
      now += ms;
    },
  };
}

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    isPylonError(error, expected);

describe("createLru()", () => {
  it("answers what was set until its time is over, and not a millisecond longer", () => {
    const { cache, wait } = timed({ defaultTtlSecs: 300 });
    cache.set("a", { n: 1 });
    cache.set("b", "short", { ttl_secs: 0.5 });
    wait(499);
    assert.equal(cache.get("b"), "short");
    wait(1);
    assert.equal(cache.get("b"), undefined);
    wait(299_499);
    assert.deepEqual(cache.get("a"), { n: 1 });
    wait(1);
    assert.equal(cache.get("a"), undefined);
    assert.deepEqual(cache.stats(), {
      entries: 0,
      bytes: 0,
      hits: 2,
      misses: 2,
      evictions: 0,
      expirations: 2,
      lost: 0,
    });
  });

  it("copies in and out", () => {
    const { cache } = timed();
    const given = { tags: ["x"], at: new Date(0), skipped: undefined };
    cache.set("a", given);
    given.tags.push("changed");
    const first = cache.get("a") as { tags: string[] };
    assert.deepEqual(first, { tags: ["x"], at: "1970-01-01T00:00:00.000Z" });
    first.tags.push("changed");
    assert.deepEqual((cache.get("a") as { tags: string[] }).tags, ["x"]);
    cache.set("p", JSON.parse('{"__proto__":{"admin":true}}'));
    const odd = cache.get("p") ?? {};
    assert.equal(Object.getPrototypeOf(odd), Object.prototype);
    assert.equal(JSON.stringify(odd), '{"__proto__":{"admin":true}}');
  });

  it("keeps null, false, 0 and the empty string, under any key", () => {
    const { cache } = timed();
    for (const [key, value] of [
      ["", null],
      ["f", false],
      ["z", 0],
      ["__proto__", ""],
    ] as const) {
      cache.set(key, value);
      assert.equal(cache.get(key), value);
    }
  });

  it("lets the least recently used make room", () => {
    const { cache } = timed({ maxEntries: 2 });
    cache.set("a", 1);
    cache.set("b", 2);
    cache.get("a");
    cache.set("c", 3);
    assert.deepEqual([cache.get("a"), cache.get("b"), cache.get("c")], [1, undefined, 3]);
    assert.equal(cache.stats().evictions, 1);
  });

  it("counts keys and JSON values in UTF-8, and stays within max bytes", () => {
    const { cache } = timed({ maxBytes: 20 });
    cache.set("é", "ö");
    assert.equal(cache.stats().bytes, 2 + 4);
    cache.set("k", [1, 2]);
    assert.equal(cache.stats().bytes, 6 + 6);
    cache.set("long", "0123456789");
    assert.deepEqual([cache.stats().entries, cache.stats().bytes, cache.get("long")], [1, 16, "0123456789"]);
    cache.set("long", "x".repeat(30));
    assert.deepEqual([cache.get("long"), cache.stats().bytes], [undefined, 0]);
  });

  it("removes every key that starts with a prefix, a raw string", () => {
    const { cache } = timed();
    for (const key of ["post:1", "post:1:comments", "post:12", "post:2", "user:1", "pos"]) cache.set(key, key);
    assert.equal(cache.invalidate("post:1"), 3);
    assert.equal(cache.invalidate("nothing"), 0);
    assert.deepEqual([cache.get("post:2"), cache.get("pos")], ["post:2", "pos"]);
    assert.equal(cache.invalidate(""), 3);
  });

  it("finds by prefix what took the place of an evicted entry, once, and not what was evicted", () => {
    const { cache } = timed({ maxEntries: 3 });
    for (const key of ["old:1", "old:2", "old:3"]) cache.set(key, key);
    // From here on the prefixes of the old ones are known.
    assert.equal(cache.invalidate("nothing"), 0);
    for (const key of ["new:1", "new:2"]) cache.set(key, key);
    assert.deepEqual([cache.invalidate("old:1"), cache.invalidate("new:1")], [0, 1]);
    assert.equal(cache.invalidate(""), 2);
    const { entries, bytes, evictions } = cache.stats();
    assert.deepEqual({ entries, bytes, evictions }, { entries: 0, bytes: 0, evictions: 2 });
  });

  it("tells whether there was something to delete", () => {
    const { cache, wait } = timed();
    cache.set("a", 1, { ttl_secs: 1 });
    assert.deepEqual([cache.delete("a"), cache.delete("a")], [true, false]);
    cache.set("a", 1, { ttl_secs: 1 });
    wait(1_000);
    assert.equal(cache.delete("a"), false);
  });

  it("keeps nothing whose time is over already, and forgets what it replaces", () => {
    const { cache } = timed();
    cache.set("a", 1);
    cache.set("a", 2, { ttl_secs: -1 });
    assert.equal(cache.get("a"), undefined);
    assert.equal(cache.stats().entries, 0);
  });

  it("frees the room of the dead before it evicts the living", () => {
    const { cache, wait } = timed({ maxEntries: 2 });
    cache.set("alive", 1, { ttl_secs: 100 });
    cache.set("dead", 2, { ttl_secs: 1 });
    wait(2_000);
    cache.set("new", 3);
    assert.equal(cache.get("alive"), 1);
    assert.deepEqual([cache.stats().evictions, cache.stats().expirations], [0, 1]);
  });

  const unknown: readonly (readonly [options: unknown, message: RegExp])[] = [
    [{ ttl: 5 }, /^PylonError: There is no option "ttl": use ttl_secs$/],
    [{ ttl_secs: 5, staleSecs: 5 }, /"staleSecs": use stale_secs$/],
    [{ ["x".repeat(1_000)]: 1 }, /"x{64}": use ttl_secs$/],
    [60, /^PylonError: Cannot use these options: number$/],
  ];
  for (const [options, message] of unknown) {
    it(`refuses an option that it would ignore: ${JSON.stringify(options).slice(0, 40)}`, async () => {
      const { cache } = timed();
      const given = options as { ttl_secs: number };
      assert.throws(() => cache.set("a", 1, given), code("CACHE_OPTION_INVALID"));
      assert.throws(() => cache.set("a", 1, given), message);
      await assert.rejects(
        cache.fetch("a", () => 1, given),
        message,
      );
      assert.equal(cache.get("a"), undefined);
    });
  }

  it("says what a key or a loader is that it cannot use", async () => {
    const { cache } = timed();
    assert.throws(() => cache.get(null as unknown as string), /^PylonError: Cannot use this as a key: null$/);
    assert.throws(() => cache.delete([] as unknown as string), /: array$/);
    cache.set("there", 1);
    for (const loader of [undefined, null, { ttl_secs: 5 }, "value"]) {
      // Whether or not it comes to be used.
      for (const key of ["there", "missing"]) {
        await assert.rejects(cache.fetch(key, loader as unknown as () => number), code("CACHE_LOADER_INVALID"));
      }
    }
  });

  class Money {
    readonly cents = 5;
    toJSON(): string {
      return String(this.cents);
    }
  }
  const cycle: unknown[] = [];
  cycle.push({ cycle });
  const lossy: readonly (readonly [what: string, value: unknown, message: RegExp])[] = [
    ["undefined", undefined, /: undefined$/],
    ["a bigint", { n: [1, 10n] }, /: bigint at n\.1$/],
    ["NaN", [Number.NaN], /: NaN at 0$/],
    ["Infinity", { a: -Infinity }, /: -Infinity at a$/],
    ["a function", { a: () => 1 }, /: function at a$/],
    ["a symbol", Symbol("s"), /: symbol$/],
    ["a symbol as a key", { a: { [Symbol("s")]: 1 } }, /: a symbol as a key at a$/],
    ["undefined in an array", [1, undefined], /: undefined at 1$/],
    ["a hole in an array", Array.from({ length: 2 }).concat(1), /: undefined at 0$/],
    ["an invalid Date", { at: new Date(Number.NaN) }, /: an invalid Date at at$/],
    ["a Map", new Map(), /: an instance of Map$/],
    ["a Set", new Set(), /: an instance of Set$/],
    ["bytes", new Uint8Array(2), /: an instance of Uint8Array$/],
    ["a boxed string", new String("s"), /: an instance of String$/],
    ["a URL, which has toJSON", new URL("https://example.com"), /: an instance of URL$/],
    ["a class that has toJSON", { price: new Money() }, /: an instance of Money at price$/],
    ["toJSON in a plain object", { toJSON: () => 1 }, /: function at toJSON$/],
    ["an object of no named class", Object.create(Object.create(null)), /: an instance of a class$/],
    ["a promise", Promise.resolve(1), /: an instance of Promise$/],
    ["a cycle", cycle, /: more than 64 levels, or a cycle at /],
  ];
  for (const [what, value, message] of lossy) {
    it(`refuses what would not come back as it was: ${what}`, async () => {
      const { cache } = timed();
      assert.throws(() => cache.set("a", value), { code: "CACHE_VALUE_INVALID", message });
      // What is undefined is answered, and not cached.
      if (value === undefined || value instanceof Promise) return;
      await assert.rejects(
        cache.fetch("a", () => value),
        { code: "CACHE_VALUE_INVALID", message },
      );
      assert.equal(cache.get("a"), undefined);
    });
  }

  it("answers whatever else it takes as it was, but for dates and properties that are undefined", () => {
    const { cache } = timed();
    const bare = Object.assign(Object.create(null) as object, { a: 1 });
    const nested = { list: [[], {}, [null, true, -1.5e300, "\ud800"]], ["__proto__"]: { a: 1 }, "": "" };
    for (const value of [nested, [], {}, null, false, 0, "", [nested, nested]]) {
      cache.set("a", value);
      assert.deepEqual(cache.get("a"), value);
    }
    assert.equal(Object.getPrototypeOf(cache.get("a")), Array.prototype);
    cache.set("a", { at: new Date(0), gone: undefined, bare });
    assert.deepEqual(cache.get("a"), { at: "1970-01-01T00:00:00.000Z", bare: { a: 1 } });
  });

  it("refuses what it cannot use, without showing it", () => {
    const { cache } = timed();
    assert.throws(() => cache.get(undefined as unknown as string), code("CACHE_KEY_INVALID"));
    assert.throws(() => cache.set("x".repeat(65_537), 1), code("CACHE_KEY_INVALID"));
    cache.set("x".repeat(65_536), 1, { ttl_secs: 315_360_000 });
    assert.equal(cache.get("x".repeat(65_536)), 1);
    for (const value of [undefined, Number.NaN, () => 1, new Map(), new Error("e"), Symbol("s")]) {
      assert.throws(() => cache.set("a", value), code("CACHE_VALUE_INVALID"));
    }
    assert.throws(
      () => cache.set("a", { secret: "hunter2", bad: Number.NaN }),
      /^PylonError: Cannot cache this value: NaN at bad$/,
    );
    for (const ttl_secs of [Number.NaN, Infinity, 315_360_001, "5" as unknown as number]) {
      assert.throws(() => cache.set("a", 1, { ttl_secs }), code("CACHE_OPTION_INVALID"));
    }
    assert.throws(() => createLru({ maxEntries: 0 }), RangeError);
    assert.throws(() => createLru({ maxEntries: 10_000_001 }), RangeError);
    assert.throws(() => createLru({ maxBytes: 1.5 }), RangeError);
  });
});

describe("cache.fetch()", () => {
  it("runs one loader per key at a time and gives everyone a copy", async () => {
    const { cache } = timed();
    let loads = 0;
    const gate = Promise.withResolvers<{ n: number[] }>();
    const load = (): Promise<{ n: number[] }> => {
      loads++;
      return gate.promise;
    };
    const waiting = [cache.fetch("k", load), cache.fetch("k", load), cache.fetch("k", load)];
    gate.resolve({ n: [1] });
    const [first, second] = await Promise.all(waiting);
    assert.equal(loads, 1);
    first?.n.push(2);
    assert.deepEqual([second, cache.get("k")], [{ n: [1] }, { n: [1] }]);
    await cache.fetch("k", load);
    assert.equal(loads, 1);
    assert.deepEqual([cache.stats().hits, cache.stats().misses], [2, 3]);
  });

  it("answers the old value while one loader brings the new one", async () => {
    const { cache, wait } = timed();
    const options = { ttl_secs: 10, stale_secs: 5 };
    assert.equal(await cache.fetch("k", () => 1, options), 1);
    wait(10_000);
    assert.equal(cache.get("k"), undefined);
    const gate = Promise.withResolvers<number>();
    let loads = 0;
    const load = (): Promise<number> => {
      loads++;
      return gate.promise;
    };
    assert.deepEqual(await Promise.all([cache.fetch("k", load, options), cache.fetch("k", load, options)]), [1, 1]);
    assert.equal(loads, 1);
    gate.resolve(2);
    await gate.promise;
    await Promise.resolve();
    assert.equal(cache.get("k"), 2);
    wait(15_000);
    assert.equal(await cache.fetch("k", () => 3, options), 3);
  });

  it("keeps the old value when the refresh fails, and loads again when its time is over", async () => {
    const { cache, wait } = timed();
    const options = { ttl_secs: 1, stale_secs: 1 };
    await cache.fetch("k", () => "old", options);
    wait(1_000);
    const fail = (): Promise<string> => Promise.reject(new Error("down"));
    assert.equal(await cache.fetch("k", fail, options), "old");
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(await cache.fetch("k", fail, options), "old");
    wait(1_000);
    await assert.rejects(cache.fetch("k", fail, options), /down/);
  });

  it("gives a failure to everyone who waits, caches none, and a loader may throw at once", async () => {
    const { cache } = timed();
    const boom = (): never => {
      throw new Error("boom");
    };
    const [a, b] = await Promise.allSettled([cache.fetch("k", boom), cache.fetch("k", boom)]);
    assert.deepEqual([a?.status, b?.status], ["rejected", "rejected"]);
    assert.equal(await cache.fetch("k", () => 5), 5);
  });

  it("does not cache undefined", async () => {
    const { cache } = timed();
    assert.equal(await cache.fetch("k", () => undefined), undefined);
    assert.equal(await cache.fetch("k", () => null), null);
    assert.equal(cache.get("k"), null);
  });

  for (const [what, change] of [
    ["invalidated", (cache: Cache) => void cache.invalidate("k")],
    ["deleted", (cache: Cache) => void cache.delete("k")],
    ["set", (cache: Cache) => cache.set("k", "newer")],
  ] as const) {
    it(`does not keep what was loaded when the key is ${what} meanwhile, and nobody joins that loader`, async () => {
      const { cache } = timed();
      const gate = Promise.withResolvers<string>();
      const before = cache.fetch("k", () => gate.promise);
      change(cache);
      const after = await cache.fetch("k", () => "newer");
      gate.resolve("older");
      assert.deepEqual([await before, after, cache.get("k")], ["older", "newer", "newer"]);
    });
  }

  it("does not wait for a loader that hangs once it has hung for 30 s", async () => {
    const { cache, wait } = timed();
    const gate = Promise.withResolvers<string>();
    const hung = cache.fetch("k", () => gate.promise);
    wait(29_999);
    let joined = true;
    const second = cache.fetch("k", () => {
      joined = false;
      return "x";
    });
    assert.equal(joined, true);
    wait(1);
    assert.equal(await cache.fetch("k", () => "fresh"), "fresh");
    gate.resolve("late");
    assert.deepEqual([await hung, await second, cache.get("k")], ["late", "late", "fresh"]);
  });

  it("refuses a bad option before it loads", async () => {
    const { cache } = timed();
    await assert.rejects(
      cache.fetch("k", () => assert.fail("loaded"), { stale_secs: Number.NaN }),
      code("CACHE_OPTION_INVALID"),
    );
  });
});
