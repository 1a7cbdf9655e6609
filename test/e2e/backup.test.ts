// `pylon backup` as an operator uses it: beside a server that is being written to. What it leaves is a database that serves,
// or nothing.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { type AppDir, createAppDir, endPylons, post, SERVE_ENV, SHOP, startPylon } from "../cli/running-pylon.ts";
import { PYLON_BINARY, runPylon } from "../support/pylon-binary.ts";

const apps: AppDir[] = [];
afterEach(endPylons);
afterAll(async () => {
  for (const app of apps) await app.remove();
});

async function makeShop(): Promise<string> {
  const app = await createAppDir(SHOP);
  apps.push(app);
  return app.dir;
}

/** A shop with some orders, and nobody at work. */
async function makeStockedShop(count: number): Promise<string> {
  const dir = await makeShop();
  const pylon = startPylon(["serve"], { cwd: dir, env: SERVE_ENV });
  const url = await pylon.url();
  const orders = Array.from({ length: count }, (_, total) => post(url, "/api/entities/Order", orderOf(total)));
  expect((await Promise.all(orders)).filter(({ status }) => status !== 201)).toEqual([]);
  await pylon.stop();
  return dir;
}

const orderOf = (total: number): object => ({ customer: "ada".repeat(50), total });

function idsIn(path: string): Set<string> {
  const database = new DatabaseSync(path);
  try {
    expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    return new Set(
      database
        .prepare('SELECT "id" FROM "Order"')
        .all()
        .map(({ id }) => String(id)),
    );
  } finally {
    database.close();
  }
}

/** Inserts orders one after the other until told to end; `acknowledged` holds the ids of those that are. */
async function writeOrders(url: string, acknowledged: string[], isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const { status, json } = await post(url, "/api/entities/Order", orderOf(acknowledged.length));
    expect(status).toBe(201);
    acknowledged.push((json as { readonly id: string }).id);
  }
}

describe("pylon backup", () => {
  test("copies every acknowledged write while others are made, and the copy serves", async () => {
    const dir = await makeShop();
    const pylon = startPylon(["serve"], { cwd: dir, env: SERVE_ENV });
    const url = await pylon.url();
    const acknowledged: string[] = [];
    let isOver = false;
    const writers = Array.from({ length: 8 }, () => writeOrders(url, acknowledged, () => isOver));
    while (acknowledged.length < 2_000) await Bun.sleep(5);

    const before = [...acknowledged];
    const file = join(dir, "copy.db");
    const ended = await runPylon(["backup", "--to", "copy.db", "--json"], { cwd: dir });
    const during = acknowledged.length - before.length;
    isOver = true;
    await Promise.all(writers);
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    expect(during).toBeGreaterThan(0);
    expect(JSON.parse(ended.stdout)).toEqual({
      database: join(dir, ".pylon/pylon.db"),
      file,
      bytes: statSync(file).size,
      duration_ms: expect.any(Number),
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).filter((name) => name.startsWith("copy.db"))).toEqual(["copy.db"]);
    const copied = idsIn(file);
    expect(before.filter((id) => !copied.has(id))).toEqual([]);

    const restored = startPylon(["serve", "--db", file], { cwd: dir, env: SERVE_ENV });
    const copyUrl = await restored.url();
    expect(await post(copyUrl, "/api/entities/Order", orderOf(1))).toMatchObject({ status: 201 });
    const answer = await fetch(`${copyUrl}/api/entities/Order/${before[0]}`, {
      headers: { authorization: `Bearer ${SERVE_ENV.PYLON_ADMIN_TOKEN}` },
    });
    expect(answer.status).toBe(200);
  });

  test("says how large the copy is, and writes over nothing", async () => {
    const dir = await makeStockedShop(3);
    const made = await runPylon(["backup", ".", "--to", "copy.db"], { cwd: dir });
    expect(made.stdout).toMatch(/^Copied \S+\/\.pylon\/pylon\.db to \S+\/copy\.db: \d+\.\d kB in \d+\.\d\d s\n$/);
    const bytes = readFileSync(join(dir, "copy.db"));
    for (const target of ["copy.db", ".pylon/pylon.db", "."]) {
      const again = await runPylon(["backup", "--to", target], { cwd: dir });
      expect({ target, ...again }).toMatchObject({ exitCode: 1, stdout: "" });
      expect(again.stderr).toStartWith("error FILES_EXIST: ");
    }
    expect(readFileSync(join(dir, "copy.db"))).toEqual(bytes);
  });

  test("leaves nothing when there is no room", async () => {
    const dir = await makeStockedShop(500);
    // No file may grow beyond 32 blocks of 512 bytes.
    const limited = Bun.spawn(["sh", "-c", `trap '' XFSZ; ulimit -f 32; exec "$0" backup --to copy.db`, PYLON_BINARY], {
      cwd: dir,
      env: { PATH: process.env["PATH"], HOME: dir },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const stderr = await new Response(limited.stderr).text();
    expect(await limited.exited).toBe(1);
    expect(stderr).toMatch(/^error STORE_(FULL|FAILED): /);
    expect(stderr).not.toContain("    at ");
    expect(readdirSync(dir).toSorted()).toEqual([".pylon", "pylon.manifest.json"]);
    expect(idsIn(join(dir, ".pylon/pylon.db")).size).toBe(500);
  });

  test("leaves nothing where it may not write, or there is nothing to copy", async () => {
    const dir = await makeStockedShop(1);
    writeFileSync(join(dir, "file"), "");
    const refused = await runPylon(["backup", "--to", "file/copy.db"], { cwd: dir });
    expect(refused.stderr).toStartWith("error FILES_UNWRITABLE: ");
    expect(refused.exitCode).toBe(1);
    const empty = await makeShop();
    const missing = await runPylon(["backup", "--to", "copy.db"], { cwd: empty });
    expect(missing.stderr).toStartWith("error DATABASE_NOT_FOUND: ");
    expect(missing.exitCode).toBe(1);
    expect(readdirSync(empty)).toEqual(["pylon.manifest.json"]);
  });

  test("does not take a damaged database for a backup", async () => {
    const dir = await makeStockedShop(500);
    const path = join(dir, ".pylon/pylon.db");
    const bytes = readFileSync(path);
    // Every page but the first, which says what the file is, loses its header.
    for (let page = 4_096; page < bytes.length; page += 4_096) bytes.fill(0xff, page, page + 8);
    writeFileSync(path, bytes);
    const { exitCode, stderr } = await runPylon(["backup", "--to", "copy.db"], { cwd: dir });
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("error STORE_FAILED: ");
    expect(existsSync(join(dir, "copy.db"))).toBe(false);
  });

  test("is refused with how to do it right", async () => {
    const dir = await makeShop();
    const unnamed = await runPylon(["backup"], { cwd: dir });
    expect(unnamed.stderr).toContain("--to FILE");
    const env = { DATABASE_URL: "postgres://pylon:s3cret@127.0.0.1:1/shop" };
    const postgres = await runPylon(["backup", "--to", "copy.db"], { cwd: dir, env });
    expect([unnamed.exitCode, postgres.exitCode]).toEqual([2, 2]);
    expect(postgres.stderr).toContain("pg_dump");
    expect(postgres.stderr).not.toContain("s3cret");
    expect(readdirSync(dir)).toEqual(["pylon.manifest.json"]);
  });
});
