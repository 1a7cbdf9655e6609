// The audit log of the compiled binary: killed while it writes, it verifies; what is done to its file from outside is found;
// and its export proves itself without a database.

import { afterAll, afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import {
  type AppDir,
  createAppDir,
  endPylons,
  manifest,
  post,
  SERVE_ENV,
  startPylon,
  type Stopped,
} from "../cli/running-pylon.ts";

const AUDIT_KEY = "the-audit-key-of-the-tests";
const ENV = { ...SERVE_ENV, AUDIT_SIGNING_KEY: AUDIT_KEY };
const KILLS = 4;
const LIFE_MS = 300;
const WRITERS = 16;

const FILES = {
  "pylon.manifest.json": manifest(
    { total: "int", note: "string?" },
    {
      plugins: [
        {
          name: "audit_log",
          config: {
            entities: ["Order"],
            sign_entries: true,
            signing_key_env: "AUDIT_SIGNING_KEY",
            exclude_fields: ["note"],
          },
        },
      ],
    },
  ),
};

const apps: AppDir[] = [];
afterEach(endPylons);
afterAll(async () => {
  for (const app of apps) await app.remove();
});

async function createApp(): Promise<AppDir> {
  const app = await createAppDir(FILES);
  apps.push(app);
  return app;
}

function audit(app: AppDir, command: string, ...args: string[]): Promise<Stopped> {
  return startPylon(["audit", command, ...args], { cwd: app.dir, env: ENV }).ended();
}

const databaseOf = (app: AppDir): string => join(app.dir, ".pylon", "pylon.db");
const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";

/** Serves until `count` writes are acknowledged. */
async function write(app: AppDir, count: number): Promise<void> {
  const pylon = startPylon(["serve"], { cwd: app.dir, env: ENV });
  const url = await pylon.url();
  for (let total = 0; total < count; total++) {
    expect((await post(url, "/api/entities/Order", { total, note: "excluded-text" })).status).toBe(201);
  }
  expect((await pylon.stop()).exitCode).toBe(0);
}

test("killed while it writes, it has an entry for every acknowledged write and verifies", async () => {
  const app = await createApp();
  const acknowledged: string[] = [];
  for (let life = 0; life < KILLS; life++) {
    const pylon = startPylon(["serve"], { cwd: app.dir, env: ENV });
    const url = await pylon.url();
    let isOver = false;
    const writer = async (): Promise<void> => {
      while (!isOver) {
        const answer = await post(url, "/api/entities/Order", { total: life }).catch(() => undefined);
        if (answer?.status === 201) acknowledged.push((answer.json as { id: string }).id);
        if (!answer) return;
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, writer));
    await new Promise((resolve) => setTimeout(resolve, LIFE_MS));
    pylon.signal("SIGKILL");
    isOver = true;
    await writing;
    await pylon.ended();
  }
  const { stdout, exitCode } = await audit(app, "verify", "--json");
  const report = JSON.parse(stdout) as { findings: { code: string }[]; checked: number; pending: number };
  expect(report.findings.map(({ code }) => code)).toEqual(["FRESHNESS_UNPROVEN"]);
  expect(exitCode).toBe(2);
  expect(acknowledged.length).toBeGreaterThan(KILLS);
  const db = new DatabaseSync(databaseOf(app), { readOnly: true });
  const recorded = new Set(
    (db.prepare("SELECT rowId FROM AuditLog").all() as { rowId: string }[]).map(({ rowId }) => rowId),
  );
  const stored = (db.prepare('SELECT count(*) AS n FROM "Order"').get() as { n: number }).n;
  db.close();
  for (const id of acknowledged) expect(recorded.has(id)).toBe(true);
  expect([recorded.size, report.checked, report.pending]).toEqual([stored, stored, 0]);
}, 120_000);

test("a checkpoint makes it 0, an edited row 1, an older database 1, and 2 without the checkpoint", async () => {
  const app = await createApp();
  await write(app, 3);
  expect((await startPylon(["backup", "--to", "old.db"], { cwd: app.dir, env: ENV }).ended()).exitCode).toBe(0);
  await write(app, 2);
  const checkpoint = await audit(app, "checkpoint");
  expect(checkpoint.exitCode).toBe(0);
  writeFileSync(join(app.dir, "kept.note"), checkpoint.stdout);

  const intact = await audit(app, "verify", "--checkpoint", "kept.note");
  expect(intact.exitCode).toBe(0);
  expect(lastLine(intact.stdout)).toStartWith("Proven: entries 0 to 4 ");
  const plain = await audit(app, "verify");
  expect(plain.exitCode).toBe(2);
  expect(lastLine(plain.stdout)).toContain("freshness unproven");

  const old = await audit(app, "verify", "--db", "old.db", "--checkpoint", "kept.note");
  expect(old.exitCode).toBe(1);
  expect(old.stdout).toContain("SIZE_REGRESSION seq 3");
  expect((await audit(app, "verify", "old.db", "--key", "AUDIT_SIGNING_KEY")).exitCode).toBe(2);

  const db = new DatabaseSync(databaseOf(app));
  db.exec(`UPDATE AuditLog SET after = replace(after, '"total":1', '"total":9') WHERE seq = 1`);
  db.close();
  const edited = await audit(app, "verify", "--checkpoint", "kept.note");
  expect(edited.exitCode).toBe(1);
  expect(edited.stdout).toContain("MAC_BAD seq 1");
  const emptied = new DatabaseSync(databaseOf(app));
  emptied.exec("DELETE FROM AuditLog; DELETE FROM _pylon_audit_head; DELETE FROM _pylon_audit_checkpoints");
  emptied.close();
  const wiped = await audit(app, "verify", "--checkpoint", "kept.note");
  expect(wiped.exitCode).toBe(1);
  expect(wiped.stdout).toContain("SIZE_REGRESSION seq 0 and 4 more");
  expect((await audit(app, "verify")).exitCode).toBe(2);
  expect((await audit(app, "verify", "--checkpoint", "nothing.note")).exitCode).toBe(2);
  expect((await audit(app, "verify", "--db", "nothing.db")).exitCode).toBe(2);
}, 60_000);

test("an export proves itself without a database, and shows when it was edited", async () => {
  const app = await createApp();
  await write(app, 4);
  const key = (await audit(app, "key")).stdout.trim();
  expect((await audit(app, "checkpoint")).exitCode).toBe(0);
  for (const format of ["ndjson", "csv"]) {
    const folder = `export-${format}`;
    expect((await audit(app, "export", "--to", folder, "--format", format, "--since", "1")).exitCode).toBe(0);
    const file = join(app.dir, folder, `entries.${format}`);
    expect(readFileSync(file, "utf8")).not.toContain("excluded-text");
    const proven = await audit(app, "verify", folder, "--key", key);
    expect([proven.exitCode, lastLine(proven.stdout)]).toEqual([0, expect.stringContaining("entries 1 to 3")]);
    writeFileSync(file, readFileSync(file, "utf8").replace("insert", "delete"));
    const edited = await audit(app, "verify", folder, "--key", `${key},AUDIT_SIGNING_KEY`);
    expect(edited.exitCode).toBe(1);
    for (const code of ["FILE_MISMATCH", "MAC_BAD seq 1", "LEAF_MISMATCH seq 1"]) expect(edited.stdout).toContain(code);
  }
  const bucket = await audit(app, "export", "--to", "s3://bucket/log");
  expect([bucket.exitCode, bucket.stderr]).toEqual([1, expect.stringContaining("EXPORT_TARGET_UNSUPPORTED")]);
}, 60_000);

test("a redaction erases, says so, and everything still holds", async () => {
  const app = await createApp();
  await write(app, 2);
  const [first] = (await audit(app, "export")).stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { rowId: string });
  writeFileSync(join(app.dir, "kept.note"), (await audit(app, "checkpoint")).stdout);
  const redacted = await audit(
    app,
    "redact",
    "--entity",
    "Order",
    "--row",
    first?.rowId ?? "",
    "--reason",
    "asked for",
  );
  expect([redacted.exitCode, redacted.stdout]).toEqual([0, expect.stringContaining("Redacted 1 entry")]);
  const report = await audit(app, "verify", "--checkpoint", "kept.note");
  expect([report.exitCode, report.stdout]).toEqual([0, expect.stringContaining("1 redacted")]);
  expect((await audit(app, "redact", "--entity", "Order", "--row", "x", "--reason", "y")).exitCode).toBe(1);
  expect((await audit(app, "redact", "--entity", "Order")).exitCode).toBe(2);
}, 60_000);
