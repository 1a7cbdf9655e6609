// Starting the compiled binary when something is wrong: one line with a code, every problem, what to do about it, the right
// exit code, and neither a stack trace nor a secret.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { type AppDir, createAppDir, endPylons, manifest, SERVE_ENV, SHOP, startPylon } from "../cli/running-pylon.ts";
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

interface Failure {
  readonly args?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly code: string;
  /** What has to be said as well. */
  readonly says: readonly (string | RegExp)[];
  readonly exitCode?: number;
}

const HOOK = { entity: "Order", events: ["insert"], url: "https://hooks.example.com/", secret_env: "WEBHOOK_SECRET" };

const FAILURES: Readonly<Record<string, Failure>> = {
  "no admin token": { env: { PYLON_ADMIN_TOKEN: "" }, code: "ADMIN_TOKEN_MISSING", says: ["PYLON_ADMIN_TOKEN"] },
  "an admin token that is too short": {
    env: { PYLON_ADMIN_TOKEN: "hunter2" },
    code: "CONFIG_INVALID",
    says: ["PYLON_ADMIN_TOKEN"],
  },
  "a folder that does not exist": { args: ["serve", "nowhere"], code: "APP_NOT_FOUND", says: ["nowhere"] },
  "a folder without an application": {
    files: { "pylon.manifest.json": "", "functions/a.ts": "" },
    args: ["serve", "functions"],
    code: "APP_INVALID",
    says: ["app.ts", "pylon.manifest.json"],
  },
  "a manifest that is no JSON": {
    files: { "pylon.manifest.json": '{"manifest_version": 1,,}' },
    code: "APP_INVALID",
    says: ["pylon.manifest.json"],
  },
  "a manifest with several problems": {
    files: { "pylon.manifest.json": manifest({ total: "money", "bad name": "int" }) },
    code: "MANIFEST_INVALID",
    says: ["entities.0.fields.0.type: ", "entities.0.fields.1.name: "],
  },
  "a policy that does not parse": {
    files: {
      "pylon.manifest.json": manifest(
        { total: "int" },
        { policies: [{ name: "p", entity: "Order", allowRead: "auth.userId == == 1" }] },
      ),
    },
    code: "MANIFEST_INVALID",
    says: ["policies.0.allowRead", /16|column|position|\^/i],
  },
  "a syntax error": {
    files: { ...SHOP, "app.ts": "import { app } from '@pylonsync/sdk';\nexport default app({ name: });\n" },
    code: "APP_INVALID",
    says: [/app\.ts:2:\d+/],
  },
  "an import that is missing": {
    files: { "app.ts": 'import { thing } from "./lib/thing";\nexport default thing;\n' },
    code: "APP_INVALID",
    says: [/app\.ts:1:\d+/, "./lib/thing"],
  },
  "an unknown plugin": {
    files: { "pylon.manifest.json": manifest({ total: "int" }, { plugins: [{ name: "web_hooks", config: {} }] }) },
    code: "PLUGIN_INVALID",
    says: ["plugins.0.name", "web_hooks", "webhooks"],
  },
  "a variable of a hook that is not set": {
    files: {
      "pylon.manifest.json": manifest({ total: "int" }, { plugins: [{ name: "webhooks", config: { hooks: [HOOK] } }] }),
    },
    code: "CONFIG_ENV_MISSING",
    says: ["WEBHOOK_SECRET"],
  },
  "a database server of another make": {
    env: { DATABASE_URL: "mysql://ada:hunter2secret@127.0.0.1/shop" },
    code: "STORE_UNSUPPORTED",
    says: ["DATABASE_URL"],
  },
  "a Postgres that is not there": {
    env: { DATABASE_URL: "postgres://ada:hunter2secret@127.0.0.1:1/shop", PYLON_DB_WAIT_SECS: "0" },
    code: "STORE_UNAVAILABLE",
    says: ["postgres://127.0.0.1:1/shop"],
  },
  "a database that cannot be made": {
    files: { ...SHOP, file: "" },
    args: ["serve", "--db", "file/pylon.db"],
    code: "STORE_UNWRITABLE",
    says: ["file/pylon.db"],
  },
  "a database that is none": {
    files: { ...SHOP, "pylon.db": "this is a text of some length and no database at all, by no means".repeat(40) },
    args: ["serve", "--db", "pylon.db"],
    code: "STORE_UNWRITABLE",
    says: ["pylon.db"],
  },
  "a variable that does not fit": {
    env: { PYLON_DRAIN_SECS: "soon", PYLON_MAX_BODY_BYTES: "-1" },
    code: "CONFIG_INVALID",
    says: ["PYLON_DRAIN_SECS", "PYLON_MAX_BODY_BYTES"],
  },
  "a port that is none": { env: { PYLON_PORT: "http" }, code: "CONFIG_INVALID", says: ["PYLON_PORT"] },
  "an address of another machine": {
    args: ["serve", "--host", "203.0.113.7"],
    code: "LISTEN_FAILED",
    says: ["203.0.113.7"],
  },
  "a log format that is none": { env: { PYLON_LOG_FORMAT: "xml" }, code: "CONFIG_INVALID", says: ["PYLON_LOG_FORMAT"] },
  "an option that is mistyped": {
    args: ["serve", "--prot", "1"],
    code: "USAGE",
    says: ["--prot", "--port"],
    exitCode: 2,
  },
  "an option without its value": { args: ["serve", "--port"], code: "USAGE", says: ["--port PORT"], exitCode: 2 },
  "a port beyond all": { args: ["serve", "--port=65536"], code: "USAGE", says: ["65535"], exitCode: 2 },
  "a second folder": { args: ["serve", ".", "two"], code: "USAGE", says: ["two"], exitCode: 2 },
  "a command that is mistyped": { args: ["serv"], code: "USAGE", says: ["pylon serve"], exitCode: 2 },
};

describe("what goes wrong is said in one line with a code, and what to do", () => {
  test.each(Object.entries(FAILURES))("%s", async (_name, failure) => {
    const { dir } = await makeApp(failure.files ?? SHOP);
    const env = { ...SERVE_ENV, ...failure.env };
    const { exitCode, stdout, stderr } = await runPylon(failure.args ?? ["serve"], { cwd: dir, env });
    expect(stderr).toStartWith(`error ${failure.code}: `);
    for (const said of failure.says) expect(stderr).toMatch(said);
    expect({ exitCode, stdout }).toEqual({ exitCode: failure.exitCode ?? 1, stdout: "" });
    expect(stderr).not.toContain("hunter2");
    expect(stderr).not.toContain("    at ");
  });

  test("a port that is taken, by another Pylon too", async () => {
    const [one, two] = [await makeApp(SHOP), await makeApp(SHOP)];
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const pylon = startPylon(["serve"], { cwd: one.dir, env: SERVE_ENV });
    const taken = [String(other.port), new URL(await pylon.url()).port];
    for (const port of taken) {
      const { exitCode, stdout, stderr } = await runPylon(["serve", "--port", port], { cwd: two.dir, env: SERVE_ENV });
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
      expect(stderr).toStartWith("error PORT_BUSY: ");
      expect(stderr).toContain(port);
      expect(stderr).toContain("--port");
    }
    expect((await pylon.stop()).exitCode).toBe(0);
  });

  test("a database of a newer version", async () => {
    const { dir } = await makeApp(SHOP);
    mkdirSync(join(dir, ".pylon"));
    new DatabaseSync(join(dir, ".pylon/pylon.db")).exec("PRAGMA user_version = 999");
    const { exitCode, stderr } = await runPylon(["serve"], { cwd: dir, env: SERVE_ENV });
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("error STORE_NEWER: ");
    expect(stderr).toContain("999");
  });
});
