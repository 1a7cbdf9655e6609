// The shared cache over a real Redis: replicas that agree, and a server that is gone, slow, full or refuses.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { freePort, missing, until, withServer } from "../../support/cache-servers.ts";
import { withReplicas } from "./replicas.ts";

// A busy machine is not a slow server.
const REDIS = { backend: "redis", timeout_ms: 5_000 };
const skip = missing("redis-server") ?? false;

describe("cache_client with redis", { skip }, () => {
  it("shows a write, a deletion and an invalidation to every replica, by a synchronous get", () =>
    withServer("redis-server", ({ url }) =>
      withReplicas(url, [REDIS, REDIS], async ([a, b]) => {
        a?.cache.set("post:1", { n: 1 });
        assert.deepEqual(a?.cache.get("post:1"), { n: 1 });
        await until(
          () => b?.cache.get("post:1"),
          (seen) => seen !== undefined,
        );
        b?.cache.set("post:1", { n: 2 });
        b?.cache.set("post:12", "twelve");
        b?.cache.set("post:2", "two");
        await until(
          () => [a?.cache.get("post:1"), a?.cache.get("post:2")],
          ([one, two]) => JSON.stringify(one) === '{"n":2}' && two === "two",
        );
        a?.cache.delete("post:2");
        await until(
          () => b?.cache.get("post:2"),
          (seen) => seen === undefined,
        );
        b?.cache.set("post:2", "two");
        assert.equal(b?.cache.invalidate("post:1"), 2);
        await until(
          () => [a?.cache.get("post:1"), a?.cache.get("post:12")],
          (seen) => seen.every((value) => value === undefined),
        );
        // Everywhere: also for those who ask the server.
        assert.deepEqual(await a?.cache.fetch("post:1", () => "loaded again"), "loaded again");
        assert.deepEqual(await a?.cache.fetch("post:2", () => assert.fail("it was not invalidated")), "two");
        assert.deepEqual([a?.cache.stats().lost, b?.cache.stats().lost], [0, 0]);
      }),
    ));

  it("brings a near miss from the server in the background, and keeps values across a restart of the application", () =>
    withServer("redis-server", async ({ url }) => {
      await withReplicas(url, [REDIS], async ([a]) => a?.cache.set("k", [1, 2]));
      await withReplicas(url, [REDIS], async ([b]) => {
        assert.equal(b?.cache.get("k"), undefined);
        assert.deepEqual(
          await until(
            () => b?.cache.get("k"),
            (seen) => seen !== undefined,
          ),
          [1, 2],
        );
      });
    }));

  it("refuses what the cache of one process refuses", () =>
    withServer("redis-server", ({ url }) =>
      withReplicas(url, [REDIS], async ([a]) => {
        const misspelt = { ttl: 5 } as { ttl_secs?: number };
        assert.throws(() => a?.cache.set("k", 1, misspelt), { code: "CACHE_OPTION_INVALID", message: /use ttl_secs$/ });
        await assert.rejects(a?.cache.fetch("k", () => 1, misspelt) ?? Promise.resolve(), {
          code: "CACHE_OPTION_INVALID",
        });
        const none = undefined as unknown as () => number;
        await assert.rejects(a?.cache.fetch("k", none) ?? Promise.resolve(), { code: "CACHE_LOADER_INVALID" });
        assert.throws(() => a?.cache.set("k", 10n), { code: "CACHE_VALUE_INVALID" });
        assert.equal(a?.cache.stats().entries, 0);
      }),
    ));

  it("gives a time to live to the server and to everyone near", () =>
    withServer("redis-server", ({ url, tell }) =>
      withReplicas(url, [REDIS, { ...REDIS, default_ttl_secs: 2 }], async ([a, b]) => {
        a?.cache.set("short", 1, { ttl_secs: 0.4 });
        b?.cache.set("default", 1);
        await until(
          () => b?.cache.get("short"),
          (seen) => seen === 1,
        );
        await until(
          () => tell("PTTL pylon:v:default"),
          (seen) => /^:1\d{3}\r/.test(seen),
        );
        await until(
          () => [a?.cache.get("short"), b?.cache.get("short")],
          (seen) => seen.every((value) => value === undefined),
        );
        assert.equal(await b?.cache.fetch("short", () => "again"), "again");
        a?.cache.set("default", 2, { ttl_secs: 0 });
        await until(
          () => tell("EXISTS pylon:v:default"),
          (seen) => seen === ":0\r\n",
        );
      }),
    ));

  it("keeps nothing longer than the longest life, its stale time included", () =>
    withServer("redis-server", ({ url, tell }) =>
      withReplicas(url, [{ ...REDIS, default_ttl_secs: 1, max_ttl_secs: 2 }], async ([a]) => {
        a?.cache.set("long", 1, { ttl_secs: 100 });
        await a?.cache.fetch("stale", () => 1, { ttl_secs: 1, stale_secs: 100 });
        for (const key of ["long", "stale"]) {
          await until(
            () => tell(`PTTL pylon:v:${key}`),
            (seen) => /^:(1\d{3}|2000)\r/.test(seen),
          );
        }
        assert.equal(await a?.cache.fetch("long", () => assert.fail("its time is not over")), 1);
        await until(
          () => a?.cache.get("long"),
          (seen) => seen === undefined,
        );
      }),
    ));

  it("answers an old value to everyone while one loader per process refreshes it", () =>
    withServer("redis-server", ({ url }) =>
      withReplicas(url, [REDIS, REDIS], async ([a, b]) => {
        const options = { ttl_secs: 0.2, stale_secs: 30 };
        assert.equal(await a?.cache.fetch("k", () => "old", options), "old");
        await until(
          () => a?.cache.get("k"),
          (seen) => seen === undefined,
        );
        assert.deepEqual(
          await Promise.all([b?.cache.fetch("k", () => "new", options), b?.cache.fetch("k", () => "newer", options)]),
          ["old", "old"],
        );
        await until(
          () => a?.cache.fetch("k", () => "newest", { ttl_secs: 30 }),
          (seen) => seen !== "old",
        );
      }),
    ));

  it("does not let a loader that began before an invalidation bring the old value back, in any replica", () =>
    withServer("redis-server", ({ url }) =>
      withReplicas(url, [REDIS, REDIS], async ([a, b]) => {
        const gate = Promise.withResolvers<string>();
        const started = Promise.withResolvers<void>();
        const loading = a?.cache.fetch("post:1", () => {
          started.resolve();
          return gate.promise;
        });
        await started.promise;
        b?.cache.invalidate("post:");
        // On the server by now, because what b asks for comes behind it.
        await b?.cache.fetch("post:9", () => 9);
        gate.resolve("old");
        assert.equal(await loading, "old");
        assert.equal(await b?.cache.fetch("post:1", () => "new"), "new");
        await until(
          () => a?.cache.get("post:1"),
          (seen) => seen === "new",
        );
      }),
    ));

  it("scans nothing: an invalidation is a handful of commands among any number of keys", () =>
    withServer("redis-server", ({ url, tell }) =>
      withReplicas(url, [REDIS], async ([a]) => {
        for (let i = 0; i < 2_000; i++) a?.cache.set(`k:${i}`, i);
        await a?.cache.fetch("done", () => 1);
        await tell("CONFIG RESETSTAT");
        a?.cache.invalidate("k:1");
        assert.equal(await a?.cache.fetch("k:1999", () => "gone"), "gone");
        assert.equal(await a?.cache.fetch("k:2", () => assert.fail("it was not invalidated")), 2);
        const stats = await tell("INFO commandstats");
        assert.doesNotMatch(stats, /cmdstat_(?:keys|scan|flushdb|flushall|eval)/);
        const calls = [...stats.matchAll(/cmdstat_[^:]+:calls=(\d+)/g)].reduce(
          (sum, [, count]) => sum + Number(count),
          0,
        );
        assert.ok(calls < 40, stats);
      }),
    ));

  it("acts as a cache that misses while the server is gone, counts what is lost, and comes back by itself", () =>
    withServer("redis-server", (server) =>
      withReplicas(server.url, [REDIS, REDIS], async ([a, b]) => {
        a?.cache.set("k", "before");
        await until(
          () => b?.cache.get("k"),
          (seen) => seen === "before",
        );
        await server.kill();
        await until(
          () => [a?.cache.get("k"), b?.cache.get("k")],
          (seen) => seen.every((value) => value === undefined),
        );
        a?.cache.set("k", "nobody hears");
        a?.cache.delete("other");
        a?.cache.invalidate("x");
        assert.equal(a?.cache.get("k"), undefined);
        assert.equal(await a?.cache.fetch("k", () => "loaded"), "loaded");
        await until(
          () => a?.cache.stats().lost,
          (lost) => lost === 4,
        );
        await server.start();
        await until(
          async () => {
            a?.cache.set("k", "after");
            return b?.cache.get("k");
          },
          (seen) => seen === "after",
        );
        const events = a?.logged.map(({ event }) => event);
        assert.equal(events?.filter((event) => event === "cache.available").length, 1);
        assert.ok(events?.includes("cache.unavailable"));
      }),
    ));

  it("starts without its server, and uses it when it comes", () =>
    withServer("redis-server", async (server) => {
      await server.kill();
      await withReplicas(server.url, [REDIS], async ([a]) => {
        assert.equal(a?.cache.get("k"), undefined);
        assert.equal(await a?.cache.fetch("k", () => 1), 1);
        await server.start();
        await until(
          () => {
            a?.cache.set("k", 2);
            return a?.cache.get("k");
          },
          (seen) => seen === 2,
        );
      });
    }));

  it("waits for a server that is slow no longer than the timeout, and not at all after that", () =>
    withServer("redis-server", (server) =>
      withReplicas(server.url, [{ ...REDIS, timeout_ms: 200 }], async ([a]) => {
        a?.cache.set("k", "kept");
        assert.equal(await a?.cache.fetch("k", () => "x"), "kept");
        server.freeze();
        const startedMs = performance.now();
        assert.equal(await a?.cache.fetch("k", () => "loaded"), "loaded");
        const firstMs = performance.now() - startedMs;
        for (let i = 0; i < 50; i++) await a?.cache.fetch(`k${i}`, () => i);
        const allMs = performance.now() - startedMs;
        server.thaw();
        assert.ok(firstMs >= 150 && firstMs < 2_000, `${firstMs} ms`);
        assert.ok(allMs < 4_000, `${allMs} ms for calls that would have waited 10,000`);
        await until(
          () => {
            a?.cache.set("k", "again");
            return a?.cache.get("k");
          },
          (seen) => seen === "again",
        );
      }),
    ));

  it("empties the near cache when the bus is lost, although the commands go on", () =>
    withServer("redis-server", (server) =>
      withReplicas(server.url, [REDIS, REDIS], async ([a, b]) => {
        a?.cache.set("k", "v1");
        await until(
          () => b?.cache.get("k"),
          (seen) => seen === "v1",
        );
        const evictions = b?.cache.stats().entries;
        assert.equal(evictions, 1);
        await server.tell("CLIENT KILL TYPE pubsub");
        await until(() => b?.logged.some(({ event }) => event === "cache.unavailable"), Boolean);
        await until(
          () => b?.cache.get("k"),
          (seen) => seen === "v1",
        );
      }),
    ));

  it("makes up for what was lost: nobody is answered what was invalidated while the server could not be reached", () =>
    withServer("redis-server", (server) =>
      withReplicas(server.url, [{ ...REDIS, timeout_ms: 100 }, REDIS], async ([a, b]) => {
        a?.cache.set("post:1", "old");
        a?.cache.set("user:1", "old");
        a?.cache.set("kept", "kept");
        await until(
          () => [b?.cache.get("user:1"), b?.cache.get("kept")],
          ([user, kept]) => user === "old" && kept === "kept",
        );
        server.freeze();
        a?.cache.invalidate("post:");
        a?.cache.set("user:1", "new");
        await until(
          () => a?.cache.stats().lost,
          (lost) => lost === 2,
        );
        server.thaw();
        await until(
          () => [b?.cache.get("post:1"), b?.cache.get("user:1")],
          (seen) => !seen.includes("old"),
        );
        await until(
          () => b?.cache.fetch("post:1", () => "fresh"),
          (seen) => seen === "fresh",
        );
        assert.notEqual(await b?.cache.fetch("user:1", () => "fresh"), "old");
        assert.equal(await b?.cache.fetch("kept", () => assert.fail("it was not invalidated")), "kept");
      }),
    ));

  it("makes up for more than a thousand losses by removing everything", () =>
    withServer("redis-server", (server) =>
      withReplicas(server.url, [{ ...REDIS, timeout_ms: 100 }, REDIS], async ([a, b]) => {
        a?.cache.set("k1", "old");
        a?.cache.set("bystander", "old");
        await until(
          () => [b?.cache.get("k1"), b?.cache.get("bystander")],
          (seen) => seen.every((value) => value === "old"),
        );
        server.freeze();
        for (let i = 0; i < 1_001; i++) a?.cache.delete(`k${i}`);
        await until(
          () => a?.cache.stats().lost,
          (lost) => lost === 1_001,
        );
        server.thaw();
        await until(
          () => [b?.cache.get("k1"), b?.cache.get("bystander")],
          (seen) => seen.every((value) => value === undefined),
        );
        await until(
          () => b?.cache.fetch("bystander", () => "fresh"),
          (seen) => seen === "fresh",
        );
      }),
    ));

  it("never answers the older value when there is no room for the newer", () =>
    withServer("redis-server", (server) =>
      withReplicas(server.url, [REDIS, REDIS], async ([a, b]) => {
        a?.cache.set("k", "old");
        await until(
          () => b?.cache.get("k"),
          (seen) => seen === "old",
        );
        await server.tell("CONFIG SET maxmemory 1");
        a?.cache.set("k", "new");
        await until(
          () => a?.cache.stats().lost,
          (lost) => lost === 1,
        );
        await until(
          () => b?.cache.get("k"),
          (seen) => seen === undefined,
        );
        assert.equal(await b?.cache.fetch("k", () => "loaded"), "loaded");
        // An invalidation is a write as well; it is owed until there is room.
        a?.cache.invalidate("other:");
        await server.tell("CONFIG SET maxmemory 0");
        await until(
          () => {
            a?.cache.set("k", "room");
            return b?.cache.get("k");
          },
          (seen) => seen === "room",
        );
      }),
    ));

  it("does not start again and again over wrong credentials, and shows none", () =>
    withServer(
      "redis-server",
      async ({ port, url, tell }) => {
        const secret = "a-password-that-nobody-sees";
        await withReplicas(`redis://:${secret}@127.0.0.1:${port}`, [REDIS], async ([a]) => {
          assert.equal(await a?.cache.fetch("k", () => 1), 1);
          assert.deepEqual(
            a?.logged.filter(({ event }) => event === "cache.unavailable").map(({ fields }) => fields),
            [{ server: `127.0.0.1:${port}`, reason: "WRONGPASS" }],
          );
          assert.ok(!JSON.stringify(a?.logged).includes(secret));
        });
        await withReplicas(url, [REDIS], async ([a]) => {
          assert.equal(await a?.cache.fetch("k", () => 1), 1);
          assert.ok((a?.cache.stats().lost ?? 0) >= 1);
        });
        assert.match(await tell("AUTH the-right-one"), /OK/);
        await withReplicas(`redis://default:the-right-one@127.0.0.1:${port}/3`, [REDIS], async ([a]) => {
          a?.cache.set("k", 1);
          await until(
            () => a?.cache.get("k"),
            (seen) => seen === 1,
          );
        });
      },
      ["--requirepass", "the-right-one"],
    ));

  it("does not storm a server that closes every connection", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    const port = await freePort();
    await new Promise<void>((resolve) => {
      server.listen(port, "127.0.0.1", resolve);
    });
    try {
      await withReplicas(`redis://127.0.0.1:${port}`, [REDIS], async ([a]) => {
        const startedMs = performance.now();
        await until(
          () => performance.now() - startedMs,
          (ms) => ms > 3_000,
        );
        for (let i = 0; i < 1_000; i++) a?.cache.set(`k${i}`, i);
        await until(
          () => a?.cache.stats().lost,
          (lost) => lost === 1_000,
        );
      });
      // Two connections that wait 50, 100, 200, 400 … ms and as much again at most.
      assert.ok(connections >= 4 && connections <= 16, `${connections} connections in 3 s`);
    } finally {
      server.close();
    }
  });

  it("agrees in the end when many write the same key at once", () =>
    withServer("redis-server", ({ url }) =>
      withReplicas(url, [REDIS, REDIS, REDIS], async (replicas) => {
        for (let round = 0; round < 200; round++) {
          for (const [index, { cache }] of replicas.entries()) cache.set(`k${round % 5}`, `${index}:${round}`);
          if (round % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        }
        for (let key = 0; key < 5; key++) {
          await until(
            () => replicas.map(({ cache }) => cache.get(`k${key}`)),
            (seen) => new Set(seen).size === 1 && seen[0] !== undefined,
          );
        }
        const near = replicas.map(({ cache }) => [0, 1, 2, 3, 4].map((key) => cache.get(`k${key}`)));
        const stored = await Promise.all(
          [0, 1, 2, 3, 4].map(async (key) => replicas[0]?.cache.fetch(`k${key}`, () => "none")),
        );
        for (const seen of near) assert.deepEqual(seen, stored);
      }),
    ));

  it("shows values that are too large for a message as well", () =>
    withServer("redis-server", ({ url }) =>
      withReplicas(url, [REDIS, REDIS], async ([a, b]) => {
        b?.cache.set("big", "small");
        await until(
          () => a?.cache.get("big"),
          (seen) => seen === "small",
        );
        const big = "é".repeat(100_000);
        a?.cache.set("big", big);
        await until(
          () => b?.cache.get("big"),
          (seen) => seen === big,
        );
      }),
    ));

  it("keeps applications with different prefixes apart, and goes on after FLUSHALL", () =>
    withServer("redis-server", ({ url, tell }) =>
      withReplicas(
        url,
        [
          { ...REDIS, key_prefix: "one:" },
          { ...REDIS, key_prefix: "two:" },
          { ...REDIS, key_prefix: "one:" },
        ],
        async ([a, b, c]) => {
          a?.cache.set("k", 1);
          await until(
            () => c?.cache.get("k"),
            (seen) => seen === 1,
          );
          assert.equal(await b?.cache.fetch("k", () => "own"), "own");
          await tell("FLUSHALL");
          await until(
            async () => {
              a?.cache.set("after", 2);
              // What is undefined is not cached.
              return c?.cache.fetch<number | undefined>("after", () => undefined);
            },
            (seen) => seen === 2,
          );
          b?.cache.invalidate("");
          await b?.cache.fetch("x", () => 1);
          assert.equal(await c?.cache.fetch("after", () => "none"), 2);
        },
      ),
    ));
});
