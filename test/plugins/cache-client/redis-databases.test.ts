// The databases of one Redis: each is a cache of its own, and one that cannot be selected is never another one.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { missing, until, withServer } from "../../support/cache-servers.ts";
import { withReplicas } from "./replicas.ts";

// A busy machine is not a slow server.
const REDIS = { backend: "redis", timeout_ms: 5_000 };
const skip = missing("redis-server") ?? false;

describe("cache_client and the databases of redis", { skip }, () => {
  it("keeps applications in different databases of one server apart, with the same prefix and the same keys", () =>
    withServer("redis-server", ({ url }) =>
      withReplicas(`${url}/0`, [REDIS, REDIS], ([a, b]) =>
        withReplicas(`${url}/1`, [REDIS], async ([other]) => {
          other?.cache.set("price", "the other application's");
          other?.cache.invalidate("post:");
          // Behind both on the server, so that what they publish has been delivered.
          assert.equal(await other?.cache.fetch("price", () => "lost"), "the other application's");
          a?.cache.set("post:1", "own");
          await until(
            () => b?.cache.get("post:1"),
            (seen) => seen === "own",
          );
          assert.deepEqual([a?.cache.get("price"), b?.cache.get("price")], [undefined, undefined]);
          assert.equal(await a?.cache.fetch("price", () => "own"), "own");
          // A stamp of the other's count would void what is written after it.
          a?.cache.invalidate("post:");
          a?.cache.set("post:1", "newer");
          await until(
            () => b?.cache.get("post:1"),
            (seen) => seen === "newer",
          );
        }),
      ),
    ));

  it("is unavailable when there is no such database, says so once, and touches no other", () =>
    withServer("redis-server", async ({ port, url, tell }) => {
      await tell("CONFIG RESETSTAT");
      await withReplicas(`${url}/99`, [REDIS], async ([a]) => {
        a?.cache.set("k", "stray");
        assert.equal(await a?.cache.fetch("k", () => "loaded"), "loaded");
        await until(
          () => a?.cache.stats().lost,
          (lost) => lost === 2,
        );
        // Long enough for a client that does not wait longer each time to connect a hundred times.
        const startedMs = performance.now();
        await until(
          () => performance.now() - startedMs,
          (ms) => ms > 1_500,
        );
        assert.deepEqual(
          a?.logged.filter(({ event }) => event.startsWith("cache.")).map(({ event, fields }) => ({ event, fields })),
          [{ event: "cache.unavailable", fields: { server: `127.0.0.1:${port}`, reason: "NO_DATABASE" } }],
        );
      });
      assert.equal(await tell("DBSIZE"), ":0\r\n");
      const selects = /cmdstat_select:calls=(\d+)/.exec(await tell("INFO commandstats"))?.[1];
      // Twice per connection, which waits 50, 100, 200 … ms and as much again at most.
      assert.ok(Number(selects) <= 20, `${selects} times`);
    }));

  it("goes on by itself once the database may be selected", () =>
    withServer("redis-server", async ({ port, tell }) => {
      await tell("ACL SETUSER app on >secret ~* &* +@all -select");
      await withReplicas(`redis://app:secret@127.0.0.1:${port}/3`, [REDIS], async ([a]) => {
        a?.cache.set("k", 1);
        await until(
          () => a?.logged.map(({ fields }) => fields?.["reason"]),
          (reasons) => reasons?.includes("NOPERM") === true,
        );
        await tell("ACL SETUSER app +select");
        await until(
          () => {
            a?.cache.set("k", 2);
            return a?.cache.get("k");
          },
          (seen) => seen === 2,
        );
        await tell("CLIENT KILL TYPE normal SKIPME yes");
        await until(
          () => {
            a?.cache.set("k", 3);
            return a?.cache.get("k");
          },
          (seen) => seen === 3,
        );
      });
      assert.equal(await tell("DBSIZE"), ":0\r\n");
    }));
});
