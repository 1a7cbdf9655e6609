// The commands of the compiled binary, as a person at a terminal and a supervisor of processes meet them: what they print,
// what they answer, how they fail, and how they end.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import {
  ADMIN_TOKEN,
  type AppDir,
  createAppDir,
  endPylons,
  eventsOf,
  fn,
  manifest,
  post,
  type RunningPylon,
  SERVE_ENV,
  SHOP,
  startPylon,
} from "../cli/running-pylon.ts";
import { runPylon } from "../support/pylon-binary.ts";

const apps: AppDir[] = [];

async function makeApp(files: Readonly<Record<string, string>> = {}): Promise<AppDir> {
  const app = await createAppDir(files);
  apps.push(app);
  return app;
}

afterEach(endPylons);
afterAll(async () => {
  for (const app of apps) await app.remove();
});

/** Takes requests, says so, and never answers them. */
function openHangingServer(onRequest: () => void): Bun.Server<undefined> {
  return Bun.serve({
    port: 0,
    fetch() {
      onRequest();
      return new Promise<Response>(() => undefined);
    },
  });
}

describe("pylon init", () => {
  test("makes an application that checks, serves and stops", async () => {
    const { dir } = await makeApp();
    const made = await runPylon(["init", "my shop"], { cwd: dir });
    expect({ exitCode: made.exitCode, stderr: made.stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(made.stdout).toContain("pylon dev 'my shop'");
    expect(statSync(join(dir, "my shop", ".env")).mode & 0o077).toBe(0);

    const checked = await runPylon(["check", "my shop", "--json"], { cwd: dir });
    expect(checked.exitCode).toBe(0);
    expect(JSON.parse(checked.stdout)).toEqual({
      ok: true,
      problems: [],
      application: {
        name: "my shop",
        version: "0.1.0",
        entities: ["Order"],
        functions: ["ordersOf", "placeOrder"],
        plugins: [],
      },
    });

    const pylon = startPylon(["dev", "my shop", "--port", "0"], { cwd: dir });
    const url = await pylon.url();
    const token = /^PYLON_ADMIN_TOKEN=(\S+)$/m.exec(readFileSync(join(dir, "my shop", ".env"), "utf8"))?.[1] ?? "";
    const placed = await post(url, "/api/fn/placeOrder", { customer: "ada", total: 1_299 }, token);
    expect(placed).toEqual({ status: 200, json: expect.any(String) });
    const orders = await post(url, "/api/fn/ordersOf", { customer: "ada" }, token);
    expect(orders.json).toEqual([{ id: placed.json, customer: "ada", total: 1_299, status: "placed" }]);
    const refused = await post(url, "/api/fn/placeOrder", { customer: "ada", total: 0 }, token);
    expect(refused).toMatchObject({ status: 400, json: { error: { code: "INVALID_TOTAL" } } });
    expect((await pylon.stop()).exitCode).toBe(0);
  });

  test("writes over nothing, and names what is in the way", async () => {
    const { dir, write } = await makeApp({ "notes.txt": "mine" });
    expect((await runPylon(["init", "."], { cwd: dir })).exitCode).toBe(0);
    write({ "app.ts": "mine" });
    rmSync(join(dir, "tsconfig.json"));
    const again = await runPylon(["init", "."], { cwd: dir });
    expect({ exitCode: again.exitCode, stdout: again.stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(again.stderr).toStartWith("error FILES_EXIST: ");
    expect(again.stderr).toContain("app.ts");
    expect(readFileSync(join(dir, "app.ts"), "utf8")).toBe("mine");
    expect(statSync(join(dir, "tsconfig.json"), { throwIfNoEntry: false })).toBeUndefined();
  });

  test("says why it cannot write", async () => {
    const { dir } = await makeApp({ file: "" });
    const { exitCode, stderr } = await runPylon(["init", "file/app"], { cwd: dir });
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("error FILES_UNWRITABLE: ");
    expect(stderr).not.toContain("    at ");
  });
});

describe("pylon dev", () => {
  test("prints a token it made, and a request that works as it stands", async () => {
    const { dir } = await makeApp(SHOP);
    const pylon = startPylon(["dev", "--port", "0"], { cwd: dir, env: { PYLON_LOG_FORMAT: "text" } });
    const command = await pylon.seen(({ stdout }) => /^ {2}try +(curl .*)$/m.exec(stdout)?.[1]);
    await pylon.seen(({ stdout }) => stdout.includes("listening"));
    const { stdout } = pylon.output();
    expect(stdout).toContain(join(dir, ".pylon/pylon.db"));
    expect(stdout).toContain("1 entity, 0 functions, 0 plugins");
    expect(stdout).toMatch(/admin token +adm_[\w-]{32} /);
    expect(stdout).not.toContain("\u001b");
    const [, target = ""] = /curl -X POST (\S+)/.exec(command) ?? [];
    const [, token = ""] = /Bearer (\S+)"/.exec(command) ?? [];
    const [, body = ""] = /-d '(.*)'$/.exec(command) ?? [];
    const { origin, pathname } = new URL(target);
    expect(await post(origin, pathname, JSON.parse(body), token)).toMatchObject({ status: 201 });
    const { exitCode, stderr } = await pylon.stop();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  test("keeps the banner out of JSON lines", async () => {
    const { dir } = await makeApp(SHOP);
    const pylon = startPylon(["dev", "--port", "0"], { cwd: dir });
    await pylon.url();
    const { stdout, stderr } = await pylon.stop();
    expect(eventsOf(stdout)).toHaveLength(stdout.trim().split("\n").length);
    expect(stderr).toMatch(/admin token +adm_/);
  });

  test("reads .env, then .env.local; what the environment holds wins and is not shown", async () => {
    const { dir } = await makeApp({
      ...SHOP,
      ".env": "PYLON_ADMIN_TOKEN=from-the-file\nSHARED=env\nONLY_ENV=env\nGIVEN=env\n",
      ".env.local": 'SHARED="local"\nPYLON_PORT=0\n',
      "functions/show.ts": fn(
        "query",
        "(ctx) => [ctx.env.SHARED, ctx.env.ONLY_ENV, ctx.env.GIVEN, process.env.SHARED]",
      ),
    });
    const env = { PYLON_ADMIN_TOKEN: ADMIN_TOKEN, GIVEN: "given" };
    const pylon = startPylon(["dev"], { cwd: dir, env });
    const url = await pylon.url();
    expect((await post(url, "/api/fn/show", {})).json).toEqual(["local", "env", "given", "local"]);
    const { stdout, stderr } = await pylon.stop();
    expect(stdout + stderr).not.toContain(ADMIN_TOKEN);
    expect(stderr).toContain("PYLON_ADMIN_TOKEN");
  });

  test("says which line of .env is wrong, without what it holds", async () => {
    const { dir } = await makeApp({ ...SHOP, ".env": "A=1\nsecret thing\nB='open\n" });
    const { exitCode, stderr } = await runPylon(["dev", "--port", "0"], { cwd: dir });
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("error ENV_FILE_INVALID: ");
    expect(stderr).toContain(".env:2:");
    expect(stderr).toContain(".env:3:");
    expect(stderr).not.toContain("thing");
  });
});

describe("a reload", () => {
  const answer = (value: string): Record<string, string> => ({
    "lib/value.ts": `export const value = ${JSON.stringify(value)};\n`,
  });
  const APP = {
    ...SHOP,
    ...answer("first"),
    ".env": "COLOUR=red\n",
    "functions/value.ts": `import { value } from "../lib/value";\n${fn("query", "(ctx) => [value, ctx.env.COLOUR]")}`,
  };
  const env = { PYLON_ADMIN_TOKEN: ADMIN_TOKEN };

  test("serves what changed, on the same address and database", async () => {
    const app = await makeApp(APP);
    const pylon = startPylon(["dev", "--port", "0"], { cwd: app.dir, env });
    const url = await pylon.url();
    const reloads = (count: number): Promise<true> =>
      pylon.seen(({ stdout }) => eventsOf(stdout).filter(({ event }) => event === "reloaded").length >= count);
    expect((await post(url, "/api/fn/value", {})).json).toEqual(["first", "red"]);
    expect((await post(url, "/api/entities/Order", { customer: "ada", total: 1 })).status).toBe(201);

    app.write(answer("second"));
    await reloads(1);
    expect((await post(url, "/api/fn/value", {})).json).toEqual(["second", "red"]);

    app.write({ ".env": "OTHER=1\n" });
    await reloads(2);
    expect((await post(url, "/api/fn/value", {})).json).toEqual(["second", null]);

    app.write({ "pylon.manifest.json": manifest({ customer: "string", total: "int", paid: "bool?" }) });
    await reloads(3);
    const list = await fetch(`${url}/api/entities/Order`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    expect(await list.json()).toMatchObject({ data: [{ customer: "ada", total: 1, paid: null }] });
    expect((await pylon.stop()).exitCode).toBe(0);
  });

  test("that does not stand is told with its position, and the version before keeps serving", async () => {
    const app = await makeApp(APP);
    const pylon = startPylon(["dev", "--port", "0"], { cwd: app.dir, env });
    const url = await pylon.url();
    app.write({ "functions/broken.ts": "export default\n  nothing +;\n" });
    await pylon.seen(({ stderr }) => /functions\/broken\.ts:2:\d+: /.test(stderr));
    expect((await post(url, "/api/fn/value", {})).json).toEqual(["first", "red"]);
    app.write({ "functions/broken.ts": fn("query", "() => 'mended'") });
    await pylon.seen(({ stdout }) => eventsOf(stdout).some(({ event }) => event === "reloaded"));
    expect((await post(url, "/api/fn/broken", {})).json).toBe("mended");
    const { exitCode, stderr } = await pylon.stop();
    expect(exitCode).toBe(0);
    expect(stderr).toContain("error APP_INVALID: ");
  });

  test("lets a request that is under way end as it began", async () => {
    const arrived = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    using gate = Bun.serve({
      port: 0,
      async fetch() {
        arrived.resolve();
        await open.promise;
        return new Response("through");
      },
    });
    const wait = (tail: string): string =>
      fn("action", `async (ctx) => [await (await fetch(ctx.env.GATE)).text(), "${tail}"]`);
    const app = await makeApp({ ...SHOP, "functions/wait.ts": wait("old") });
    const pylon = startPylon(["dev", "--port", "0"], { cwd: app.dir, env: { ...env, GATE: gate.url.href } });
    const url = await pylon.url();
    const waiting = post(url, "/api/fn/wait", {});
    await arrived.promise;
    app.write({ "functions/wait.ts": wait("new") });
    await pylon.seen(({ stdout }) => eventsOf(stdout).some(({ event }) => event === "reloaded"));
    open.resolve();
    expect(await waiting).toEqual({ status: 200, json: ["through", "old"] });
    expect((await post(url, "/api/fn/wait", {})).json).toEqual(["through", "new"]);
    expect((await pylon.stop()).exitCode).toBe(0);
  });
});

describe("pylon serve", () => {
  test("says where it answers, in one JSON line, and takes options before variables", async () => {
    const { dir } = await makeApp(SHOP);
    const env = { ...SERVE_ENV, PYLON_PORT: "1", PYLON_HOST: "203.0.113.1", PYLON_DB_PATH: "elsewhere.db" };
    const pylon = startPylon(["start", "--port", "0", "--host=127.0.0.1", "--db", "data/shop.db"], { cwd: dir, env });
    const url = await pylon.url();
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: "ok" });
    expect(statSync(join(dir, "data/shop.db")).isFile()).toBe(true);
    const { exitCode, stdout, stderr } = await pylon.stop();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toStartWith('{"event":"listening"');
    expect(eventsOf(stdout).map(({ event }) => event)).toEqual(["listening", "request", "stopping", "stopped"]);
    expect(eventsOf(stdout)[0]).toMatchObject({
      url,
      mode: "serve",
      database: join(dir, "data/shop.db"),
      port: Number(new URL(url).port),
    });
  });

  test("finishes what runs when it is told to stop", async () => {
    const arrived = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    using gate = Bun.serve({
      port: 0,
      async fetch() {
        arrived.resolve();
        await open.promise;
        return new Response("through");
      },
    });
    const { dir } = await makeApp({
      ...SHOP,
      "functions/wait.ts": fn(
        "action",
        `async (ctx) => {
          await fetch(ctx.env.GATE);
          return ctx.db.insert("Order", { customer: "late", total: 1 });
        }`,
      ),
    });
    const pylon = startPylon(["serve"], { cwd: dir, env: { ...SERVE_ENV, GATE: gate.url.href } });
    const url = await pylon.url();
    const waiting = post(url, "/api/fn/wait", {});
    await arrived.promise;
    pylon.signal("SIGTERM");
    await pylon.seen(({ stdout }) => stdout.includes('"stopping"'));
    // It takes no new connections.
    expect(
      await fetch(`${url}/health`, { keepalive: false }).then(
        () => "answered",
        () => "refused",
      ),
    ).toBe("refused");
    open.resolve();
    const { status, json } = await waiting;
    expect(status).toBe(200);
    expect((await pylon.ended()).exitCode).toBe(0);
    using database = new DatabaseSync(join(dir, ".pylon/pylon.db"));
    const rows = database.prepare('SELECT id FROM "Order"').all() as { id: unknown }[];
    expect(rows.map(({ id }) => id)).toEqual([json]);
  });

  test("does not wait beyond PYLON_DRAIN_SECS", async () => {
    const arrived = Promise.withResolvers<void>();
    using gate = openHangingServer(() => arrived.resolve());
    const { dir } = await makeApp({ ...SHOP, "functions/wait.ts": fn("action", "(ctx) => fetch(ctx.env.GATE)") });
    const env = { ...SERVE_ENV, GATE: gate.url.href, PYLON_DRAIN_SECS: "0.05" };
    const pylon = startPylon(["serve"], { cwd: dir, env });
    const waiting = post(await pylon.url(), "/api/fn/wait", {}).catch(() => undefined);
    await arrived.promise;
    expect((await pylon.stop()).exitCode).toBe(0);
    await waiting;
  });

  test("ends at once with 1 at a second signal", async () => {
    const arrived = Promise.withResolvers<void>();
    using gate = openHangingServer(() => arrived.resolve());
    const { dir } = await makeApp({ ...SHOP, "functions/wait.ts": fn("action", "(ctx) => fetch(ctx.env.GATE)") });
    const pylon = startPylon(["serve"], {
      cwd: dir,
      env: { ...SERVE_ENV, GATE: gate.url.href, PYLON_DRAIN_SECS: "600" },
    });
    const waiting = post(await pylon.url(), "/api/fn/wait", {}).catch(() => undefined);
    await arrived.promise;
    pylon.signal("SIGINT");
    await pylon.seen(({ stdout }) => stdout.includes('"stopping"'));
    pylon.signal("SIGINT");
    expect((await pylon.ended()).exitCode).toBe(1);
    await waiting;
  });

  test("refuses a migration that would destroy values, with their number; migrate applies it when asked", async () => {
    const app = await makeApp(SHOP);
    const pylon = startPylon(["serve"], { cwd: app.dir, env: SERVE_ENV });
    const url = await pylon.url();
    for (const note of ["a", "b", null]) await post(url, "/api/entities/Order", { customer: "ada", total: 1, note });
    await pylon.stop();
    app.write({ "pylon.manifest.json": manifest({ customer: "string", total: "int", paid: "bool?" }) });

    const refused = await runPylon(["serve"], { cwd: app.dir, env: SERVE_ENV });
    expect({ exitCode: refused.exitCode, stdout: refused.stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(refused.stderr).toStartWith("error MIGRATION_DESTRUCTIVE: ");
    expect(refused.stderr).toMatch(/Order\.note.*2 rows/);

    const plan = await runPylon(["migrate", "--plan"], { cwd: app.dir });
    expect({ exitCode: plan.exitCode, stderr: plan.stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(plan.stdout).toMatch(/^destroys .*note.*\(2 rows\)$/m);
    expect(plan.stdout).toContain("2 steps pending");

    const unasked = await runPylon(["migrate"], { cwd: app.dir });
    expect(unasked.exitCode).toBe(1);
    expect(unasked.stderr).toStartWith("error MIGRATION_DESTRUCTIVE: ");
    const asDocument = await runPylon(["migrate", "--json"], { cwd: app.dir });
    expect(asDocument.exitCode).toBe(1);
    expect(JSON.parse(asDocument.stdout)).toMatchObject({ error: { code: "MIGRATION_DESTRUCTIVE" } });

    const asked = await runPylon(["migrate", "--allow-destructive", "--json"], { cwd: app.dir });
    expect(asked.exitCode).toBe(0);
    expect(JSON.parse(asked.stdout)).toMatchObject({
      applied: true,
      steps: expect.arrayContaining([
        expect.objectContaining({ entity: "Order", field: "note", destructive: true, rows: 2 }),
      ]),
    });
    const after = await runPylon(["migrate", "--plan", "--json"], { cwd: app.dir });
    expect(JSON.parse(after.stdout)).toMatchObject({ applied: false, steps: [] });

    const served = startPylon(["serve"], { cwd: app.dir, env: SERVE_ENV });
    await served.url();
    expect((await served.stop()).exitCode).toBe(0);
  });
});

describe("what application code is given", () => {
  async function serveApp(files: Readonly<Record<string, string>>): Promise<{ url: string; pylon: RunningPylon }> {
    const { dir } = await makeApp({ ...SHOP, ...files });
    const pylon = startPylon(["serve"], { cwd: dir, env: { ...SERVE_ENV, PYLON_LOG_REQUESTS: "off" } });
    return { url: await pylon.url(), pylon };
  }

  test("`fetch` is behind the guard when the application asks for that", async () => {
    using inner = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("inner") });
    using allowed = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("allowed") });
    const get = fn(
      "action",
      `async (ctx, { url }) => {
        const calls = [fetch, globalThis.fetch, self.fetch, Bun.fetch, new Function("url", "return fetch(url)"), byPackage];
        const text = async (call) => { try { return await (await call(url)).text(); } catch (error) { return error.code; } };
        return [...new Set(await Promise.all(calls.map(text)))].join();
      }`,
    );
    const files = {
      "functions/get.ts": `import { get as byPackage } from "client";\n${get}`,
      "node_modules/client/index.js": "module.exports = { get: (url) => globalThis.fetch(url) };",
    };
    const guard = { guard_functions: true, allow_hosts: [`127.0.0.1:${allowed.port}`] };
    const plugins = [{ name: "net_guard", config: guard }];
    const { url } = await serveApp({ ...files, "pylon.manifest.json": manifest({ total: "int" }, { plugins }) });
    expect((await post(url, "/api/fn/get", { url: inner.url.href })).json).toBe("NET_BLOCKED");
    expect((await post(url, "/api/fn/get", { url: allowed.url.href })).json).toBe("allowed");
    const open = await serveApp(files);
    expect((await post(open.url, "/api/fn/get", { url: inner.url.href })).json).toBe("inner");
  });

  test("an export that needs a plugin says so when it is used without one", async () => {
    const { url, pylon } = await serveApp({
      "functions/cached.ts": `import { cache } from "@pylonsync/sdk";\n${fn("query", "() => cache.get('key')")}`,
      "functions/flag.ts": `import { isFeatureEnabled } from "@pylonsync/sdk";\n${fn("query", "(ctx) => isFeatureEnabled('x', ctx.auth)")}`,
    });
    for (const name of ["cached", "flag"]) {
      const answer = await post(url, `/api/fn/${name}`, {});
      expect(answer).toMatchObject({ status: 500, json: { error: { code: "HANDLER_ERROR" } } });
    }
    const { stdout } = await pylon.stop();
    const messages = eventsOf(stdout).flatMap(({ event, message }) => (event === "function.failed" ? [message] : []));
    expect(messages).toEqual([expect.stringContaining('"cache"'), expect.stringContaining('"isFeatureEnabled"')]);
  });

  test("a promise that nobody waits for fails into the log, and the process goes on", async () => {
    const { url, pylon } = await serveApp({
      "functions/loose.ts": fn("query", "() => { void Promise.reject(new Error('nobody waits')); return 1; }"),
    });
    expect((await post(url, "/api/fn/loose", {})).json).toBe(1);
    await pylon.seen(({ stdout }) => eventsOf(stdout).some(({ message }) => message === "nobody waits"));
    expect((await post(url, "/api/fn/loose", {})).json).toBe(1);
    expect((await pylon.stop()).exitCode).toBe(0);
  });
});

describe("pylon migrate", () => {
  test("--plan makes no database", async () => {
    const { dir } = await makeApp(SHOP);
    const { exitCode, stdout } = await runPylon(["migrate", "--plan"], { cwd: dir });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ok .*Order/m);
    expect(statSync(join(dir, ".pylon"), { throwIfNoEntry: false })).toBeUndefined();
  });

  test("says that rows do not fit, and how many", async () => {
    const app = await makeApp(SHOP);
    const pylon = startPylon(["serve"], { cwd: app.dir, env: SERVE_ENV });
    await post(await pylon.url(), "/api/entities/Order", { customer: "ada", total: 1 });
    await pylon.stop();
    app.write({
      "pylon.manifest.json": manifest({ customer: "string", total: "int", note: "string?", paid: "bool" }),
    });
    const plan = await runPylon(["migrate", "--plan"], { cwd: app.dir });
    expect(plan.exitCode).toBe(1);
    expect(plan.stdout).toMatch(/^blocked .*paid.*\(1 row\)$/m);
    const applied = await runPylon(["migrate"], { cwd: app.dir });
    expect(applied.exitCode).toBe(1);
    expect(applied.stderr).toStartWith("error MIGRATION_BLOCKED: ");
  });
});

describe("pylon check", () => {
  test("lists problems of files, manifest and plugins together", async () => {
    const { dir } = await makeApp({
      "pylon.manifest.json": manifest(
        { total: "money" },
        {
          policies: [{ name: "p", entity: "Order", allowRead: "auth.userId ==" }],
          plugins: [
            { name: "webhook", config: {} },
            {
              name: "webhooks",
              config: {
                hooks: [
                  { entity: "Order", events: ["insert"], url: "https://hooks.example.com", secret_env: "NOT_SET" },
                  { entity: "Ordr", events: ["insert"], url: "ftp://x" },
                ],
              },
            },
          ],
        },
      ),
      "functions/broken.ts": "export default {\n",
      "functions/number.ts": "export default 1;\n",
    });
    const json = await runPylon(["check", "--json"], { cwd: dir });
    expect({ exitCode: json.exitCode, stderr: json.stderr }).toEqual({ exitCode: 1, stderr: "" });
    const { ok, problems } = JSON.parse(json.stdout) as { ok: boolean; problems: { path: string; message: string }[] };
    expect(ok).toBe(false);
    const paths = problems.map(({ path }) => path);
    expect(paths).toContain("entities.0.fields.0.type");
    expect(paths).toContain("policies.0.allowRead");
    expect(paths).toContain("plugins.0.name");
    expect(paths).toContain("plugins.1.config.hooks.1.url");
    expect(paths.some((path) => /^functions\/broken\.ts:\d+:\d+$/.test(path))).toBe(true);
    expect(paths).toContain("functions/number.ts");
    const text = await runPylon(["check"], { cwd: dir });
    expect(text.exitCode).toBe(1);
    for (const { path } of problems) expect(text.stdout).toContain(`${path}: `);
    expect(text.stdout).toEndWith(`${problems.length} problems\n`);
  });
});

describe("help and version", () => {
  test.each([["help"], ["--help"], ["-h"]])("pylon %s lists the commands", async (word) => {
    const { dir } = await makeApp();
    const { exitCode, stdout, stderr } = await runPylon([word], { cwd: dir });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const name of ["init", "dev", "serve", "check", "migrate"]) expect(stdout).toContain(`  ${name} `);
  });

  test.each([[["help", "serve"]], [["serve", "--help"]], [["start", "-h"]], [["serve", ".", "--port", "1", "-h"]]])(
    "%j explains serve",
    async (args) => {
      const { dir } = await makeApp();
      const { exitCode, stdout } = await runPylon(args, { cwd: dir });
      expect(exitCode).toBe(0);
      expect(stdout).toContain("Usage: pylon serve [DIR]");
      expect(stdout).toContain("PYLON_ADMIN_TOKEN");
    },
  );

  test("--version and version --json", async () => {
    const { dir } = await makeApp();
    const plain = await runPylon(["--version"], { cwd: dir });
    const json = await runPylon(["version", "--json"], { cwd: dir });
    const { version, commit } = JSON.parse(json.stdout) as { version: string; commit: string };
    expect(plain.stdout).toBe(`${version} (${commit})\n`);
  });
});
