// The shared cache over a real Memcached: no bus, so replicas agree within the time that the near cache lives.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { missing, until, withServer } from "../../support/cache-servers.ts";
import { withReplicas } from "./replicas.ts";

/** A busy machine is not a slow server. */
const MEMCACHED = { backend: "memcached", timeout_ms: 5_000 };
const skip = missing("memcached") ?? false;
/** Asks the server and keeps nothing. */
const nothing = (): undefined => undefined;

describe("cache_client with memcached", { skip }, () => {
  it("shows a write, a deletion and an invalidation to every replica", () =>
    withServer("memcached", ({ url }) =>
      withReplicas(url, [MEMCACHED, { ...MEMCACHED, near_ttl_secs: 0.1 }], async ([a, b]) => {
        a?.cache.set("post:1", { n: 1 });
        assert.deepEqual(a?.cache.get("post:1"), { n: 1 });
        await until(
          () => b?.cache.get("post:1"),
          (seen) => JSON.stringify(seen) === '{"n":1}',
        );
        a?.cache.set("post:1", { n: 2 });
        a?.cache.set("post:12", "twelve");
        a?.cache.set("post:2", "two");
        await until(
          () => b?.cache.get("post:1"),
          (seen) => JSON.stringify(seen) === '{"n":2}',
        );
        assert.equal(a?.cache.invalidate("post:1"), 2);
        assert.equal(await a?.cache.fetch("post:1", nothing), undefined);
        await until(
          () => b?.cache.get("post:1"),
          (seen) => seen === undefined,
        );
        assert.equal(await b?.cache.fetch("post:12", nothing), undefined);
        assert.equal(await b?.cache.fetch("post:2", nothing), "two");
        a?.cache.delete("post:2");
        await until(
          () => b?.cache.get("post:2"),
          (seen) => seen === undefined,
        );
        assert.deepEqual([a?.cache.stats().lost, b?.cache.stats().lost], [0, 0]);
      }),
    ));

  it("answers from near for at most a second by default", () =>
    withServer("memcached", ({ url }) =>
      withReplicas(url, [MEMCACHED, MEMCACHED], async ([a, b]) => {
        a?.cache.set("k", 1);
        await until(
          () => b?.cache.get("k"),
          (seen) => seen === 1,
        );
        const startedMs = performance.now();
        a?.cache.set("k", 2);
        await until(
          () => b?.cache.get("k"),
          (seen) => seen === 2,
        );
        assert.ok(performance.now() - startedMs < 3_000);
      }),
    ));

  it("takes any key and any value, and lets none become a command", () =>
    withServer("memcached", ({ url }) =>
      withReplicas(url, [MEMCACHED, MEMCACHED], async ([a, b]) => {
        const keys = ["a b", "x\r\nset evil 0 0 1\r\n1", "é😀", "k".repeat(1_000), "", "\0", "#hash"];
        for (const key of keys) a?.cache.set(key, `${key}\r\nEND\r\n`);
        for (const key of keys) {
          await until(
            () => b?.cache.fetch<string | undefined>(key, nothing),
            (seen) => seen === `${key}\r\nEND\r\n`,
          );
        }
        assert.equal(await b?.cache.fetch("evil", nothing), undefined);
      }),
    ));

  it("keeps nothing older than a value that is too large for the server", () =>
    withServer("memcached", ({ url }) =>
      withReplicas(url, [{ ...MEMCACHED, near_ttl_secs: 0.05 }, MEMCACHED], async ([a, b]) => {
        a?.cache.set("k", "old");
        assert.equal(await a?.cache.fetch("k", nothing), "old");
        a?.cache.set("k", "x".repeat(3_000_000));
        await until(
          () => a?.cache.stats().lost,
          (lost) => lost === 1,
        );
        assert.equal(await b?.cache.fetch("k", nothing), undefined);
        assert.equal(a?.cache.get("k"), undefined);
      }),
    ));

  it("spreads keys over servers, and loses those of one server alone when it is gone", () =>
    withServer("memcached", (first) =>
      withServer("memcached", ({ port }) =>
        withReplicas(`${first.url},127.0.0.1:${port}`, [MEMCACHED, MEMCACHED], async ([a, b]) => {
          const keys = Array.from({ length: 100 }, (_, i) => `k:${i}`);
          for (const key of keys) a?.cache.set(key, 1);
          const held = async (): Promise<number> => {
            const values = await Promise.all(keys.map(async (key) => b?.cache.fetch<number | undefined>(key, nothing)));
            return values.filter((value) => value === 1).length;
          };
          await until(held, (count) => count === 100);
          await first.kill();
          const left = await until(held, (count) => count < 100);
          assert.ok(left >= 20 && left <= 80, `${left} of 100`);
          a?.cache.invalidate("k:1");
          await until(
            () => a?.cache.stats().lost,
            (lost) => lost === 1,
          );
          assert.equal(await until(held, (count) => count < left), await held());
          await first.start();
          await until(
            () => {
              for (const key of keys) a?.cache.set(key, 1);
              return held();
            },
            (count) => count === 100,
          );
        }),
      ),
    ));

  it("acts as a cache that misses while the server is frozen or gone, and comes back by itself", () =>
    withServer("memcached", (server) =>
      withReplicas(server.url, [{ ...MEMCACHED, timeout_ms: 100 }], async ([a]) => {
        a?.cache.set("k", "before");
        await until(
          () => a?.cache.fetch("k", nothing),
          (seen) => seen !== undefined,
        );
        server.freeze();
        const startedMs = performance.now();
        for (let i = 0; i < 50; i++) assert.equal(await a?.cache.fetch(`k${i}`, () => i), i);
        assert.ok(performance.now() - startedMs < 3_000);
        server.thaw();
        await until(
          () => a?.cache.fetch("k", nothing),
          (seen) => seen === "before",
        );
        await server.kill();
        await until(
          () => {
            a?.cache.set("k", "lost");
            return a?.cache.get("k");
          },
          (seen) => seen === undefined,
        );
        await server.start();
        await until(
          () => {
            a?.cache.set("k", "after");
            return a?.cache.get("k");
          },
          (seen) => seen === "after",
        );
      }),
    ));
});
