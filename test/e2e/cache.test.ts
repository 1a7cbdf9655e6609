// The cache sections of the documentation in the compiled binary: their configuration and their code as they stand, one
// process with `cache`, and two that share a Redis with `cache_client`.

import { afterEach, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventsOf, endPylons, post, SERVE_ENV, startPylon, type RunningPylon } from "../cli/running-pylon.ts";
import { type CacheServer, missing, until, withServer } from "../support/cache-servers.ts";
import { withFolder } from "../support/child.ts";
import { runPylon } from "../support/pylon-binary.ts";

const APPS = join(import.meta.dir, "../../fixtures/apps");
const POST = { name: "Post", fields: [{ name: "title", type: "string" }] };

afterEach(endPylons);

function writeApp(dir: string, ...plugins: readonly ("cache" | "cache-client")[]): void {
  mkdirSync(dir, { recursive: true });
  cpSync(join(APPS, "cache/functions"), join(dir, "functions"), { recursive: true });
  cpSync(join(APPS, "seeds/functions/fetchUrl.ts"), join(dir, "functions/fetchUrl.ts"));
  const entries = plugins.map((plugin): unknown =>
    JSON.parse(readFileSync(join(APPS, `cache/${plugin}.json`), "utf8")),
  );
  const manifest = { manifest_version: 1, name: "blog", entities: [POST], plugins: entries };
  writeFileSync(join(dir, "pylon.manifest.json"), JSON.stringify(manifest));
}

interface Running {
  readonly pylon: RunningPylon;
  call(name: string, args: object): Promise<unknown>;
}

async function serve(dir: string, env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const pylon = startPylon(["serve", "."], { cwd: dir, env: { ...SERVE_ENV, ...env } });
  const url = await pylon.url();
  return {
    pylon,
    async call(name, args) {
      const { status, json } = await post(url, `/api/fn/${name}`, args);
      expect({ name, status, json }).toMatchObject({ status: 200 });
      return json;
    },
  };
}

/** A server that counts how often it is asked. */
async function withOrigin(use: (url: string, asked: () => number) => Promise<void>): Promise<void> {
  let asked = 0;
  const origin = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ answer: ++asked }) });
  try {
    await use(`http://127.0.0.1:${origin.port}/data`, () => asked);
  } finally {
    await origin.stop(true);
  }
}

describe("cache", () => {
  test("the documentation's function asks once, and its invalidation makes the next reader see the write", () =>
    withFolder((dir) =>
      withOrigin(async (url, asked) => {
        writeApp(dir, "cache");
        const { pylon, call } = await serve(dir);
        expect([await call("fetchUrl", { url }), await call("fetchUrl", { url }), asked()]).toEqual([
          { answer: 1 },
          { answer: 1 },
          1,
        ]);
        const created = await post(await pylon.url(), "/api/entities/Post", { title: "first" });
        const { id } = created.json as { id: string };
        expect(await call("readPost", { id })).toMatchObject({ title: "first" });
        await call("updatePost", { id, patch: { title: "second" } });
        expect(await call("readPost", { id })).toMatchObject({ title: "second" });
        expect(await call("remember", { key: "k", value: [1, { a: null }] })).toBe(false);
        expect(await call("peek", { key: "k" })).toMatchObject({
          near: [1, { a: null }],
          stats: { entries: 3, hits: 2, evictions: 0, expirations: 0, lost: 0 },
        });
        expect((await pylon.stop()).exitCode).toBe(0);
      }),
    ));

  test("without a plugin that gives it, using it says so", () =>
    withFolder(async (dir) => {
      writeApp(dir);
      const { pylon } = await serve(dir);
      const answer = await post(await pylon.url(), "/api/fn/peek", { key: "k" });
      expect(answer).toMatchObject({ status: 500, json: { error: { code: "HANDLER_ERROR" } } });
      const failed = await pylon.seen(({ stdout }) =>
        eventsOf(stdout).find(({ event }) => event === "function.failed"),
      );
      expect(failed["message"]).toContain('Cannot use "cache"');
    }));

  test("both plugins at once are refused, and so is a URL that is missing or does not fit, showing none", () =>
    withFolder(async (dir) => {
      writeApp(dir, "cache", "cache-client");
      const both = await runPylon(["check", "."], { cwd: dir, env: { REDIS_URL: "redis://127.0.0.1:1" } });
      expect({ code: both.exitCode, text: both.stdout + both.stderr }).toMatchObject({
        code: 1,
        text: expect.stringContaining("keep one of them"),
      });
      writeApp(dir, "cache-client");
      const none = await runPylon(["serve", "."], { cwd: dir, env: SERVE_ENV });
      expect({ code: none.exitCode, text: none.stdout + none.stderr }).toMatchObject({
        code: 1,
        text: expect.stringMatching(/CONFIG_ENV_MISSING[\s\S]*REDIS_URL/),
      });
      const odd = await runPylon(["serve", "."], { cwd: dir, env: { ...SERVE_ENV, REDIS_URL: "http://u:hunter2@h" } });
      expect(odd.exitCode).toBe(1);
      expect(odd.stdout + odd.stderr).toContain("REDIS_URL does not fit: expected redis://");
      expect(odd.stdout + odd.stderr).not.toContain("hunter2");
    }));
});

const skip = missing("redis-server") !== undefined;

describe.skipIf(skip)("cache_client", () => {
  const withTwo = (use: (a: Running, b: Running, redis: CacheServer) => Promise<void>): Promise<void> =>
    withFolder((dir) =>
      withServer("redis-server", async (redis) => {
        for (const replica of ["a", "b"]) writeApp(join(dir, replica), "cache-client");
        const env = { REDIS_URL: redis.url };
        await use(await serve(join(dir, "a"), env), await serve(join(dir, "b"), env), redis);
      }),
    );

  test("two processes that share a Redis see each other's writes and invalidations", () =>
    withTwo((a, b) =>
      withOrigin(async (url, asked) => {
        const near = async (of: Running, key: string): Promise<unknown> =>
          ((await of.call("peek", { key })) as { near: unknown }).near;
        expect(await a.call("fetchUrl", { url })).toEqual({ answer: 1 });
        await until(
          () => near(b, `fetch:${url}`),
          (seen) => seen !== null,
        );
        expect([await b.call("fetchUrl", { url }), asked()]).toEqual([{ answer: 1 }, 1]);
        await b.call("remember", { key: "post:1", value: "from b" });
        await until(
          () => near(a, "post:1"),
          (seen) => seen === "from b",
        );
        // The write itself changes nothing, because there is no such post; what it invalidates is what counts.
        await a.call("updatePost", { id: "1", patch: {} });
        await until(
          () => near(b, "post:1"),
          (seen) => seen === null,
        );
        expect((await a.pylon.stop()).exitCode).toBe(0);
        expect((await b.pylon.stop()).exitCode).toBe(0);
      }),
    ));

  test("an application starts, answers and stops while its Redis is gone", () =>
    withTwo((a, _b, redis) =>
      withOrigin(async (url) => {
        await redis.kill();
        expect(await a.call("fetchUrl", { url })).toEqual({ answer: 1 });
        await until(
          async () => JSON.stringify(await a.call("peek", { key: "x" })),
          (seen) => !seen.includes('"lost":0'),
        );
        expect((await a.pylon.stop()).exitCode).toBe(0);
        expect(a.pylon.output().stdout).toContain("cache.unavailable");
      }),
    ));
});
