// The tests' own Postgres: databases that do not see each other, commits that survive a crash of the server, and nothing
// left on the machine whichever way the process that started it ends.

import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";

import postgres from "postgres";

import { startScript } from "./child.ts";
import { startPostgres } from "./postgres-server.ts";
import { openTestDatabase } from "./postgres.ts";
import { createTempDir } from "./temp-dir.ts";

const scratch = await createTempDir();
afterAll(() => scratch.remove());

/** Runs `use` with one connection. */
async function connected<T>(url: string, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The code of the error of a first query; undefined when it succeeds. */
function tryQuery(url: string): Promise<string | undefined> {
  return connected(url, (sql) => sql`select 1`).then(
    () => undefined,
    (error) => error.code,
  );
}

describe("openTestDatabase", () => {
  test("gives each caller an empty database of its own, in UTF-8", async () => {
    const [a, b] = await Promise.all([openTestDatabase(), openTestDatabase()]);
    try {
      await connected(a.url, (sql) => sql`create table taken (id int)`);
      await connected(b.url, (sql) => sql`create table taken (id int)`);
      const [row] = await connected(b.url, (sql) => sql`show server_encoding`);
      expect(row).toEqual({ server_encoding: "UTF8" });
    } finally {
      await Promise.all([a.drop(), b.drop()]);
    }
  });

  test("removes it although somebody is connected, and again does nothing", async () => {
    const database = await openTestDatabase();
    const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
    await sql`select 1`;
    await database.drop();
    await database.drop();
    // The driver may have noticed the end of its connection, and then asks for a new one.
    expect(await sql`select 1`.then(String, (error: postgres.PostgresError) => error.code)).toMatch(/^(57P01|3D000)$/);
    await sql.end({ timeout: 1 });
  });
});

describe("startPostgres", () => {
  test("keeps what was committed through a crash and a restart, on the same port, and is gone after stop", async () => {
    const server = await startPostgres({ settings: { max_connections: "7" } });
    const count = (): Promise<number> => connected(server.url, async (sql) => (await sql`select id from kept`).length);
    const [shown] = await connected(server.url, (sql) => sql`show max_connections`);
    expect(shown).toEqual({ max_connections: "7" });
    await connected(server.url, (sql) => sql`create table kept (id int)`);
    await connected(server.url, (sql) => sql`insert into kept values (1), (2)`);
    await server.kill();
    expect(await tryQuery(server.url)).toBe("ECONNREFUSED");
    await server.restart();
    expect(await count()).toBe(2);
    await server.restart();
    expect(await count()).toBe(2);
    await server.stop();
    await server.stop();
    expect(await tryQuery(server.url)).toBe("ECONNREFUSED");
  });

  test("ends, and leaves no folder, when the process that started it is killed", async () => {
    // The server may run as another user, who has to come in.
    await chmod(scratch.path, 0o755);
    const script = join(scratch.path, "owner.ts");
    const module = join(import.meta.dir, "postgres-server.ts");
    await Bun.write(
      script,
      `import { startPostgres } from ${JSON.stringify(module)}; console.log("url " + (await startPostgres()).url);`,
    );
    const owner = startScript(script, [], { env: { TMPDIR: scratch.path } });
    const url = await owner.line("url ");
    const folders = (): string[] => readdirSync(scratch.path).filter((name) => name.startsWith("pylon-postgres-"));
    expect([await tryQuery(url), folders().length]).toEqual([undefined, 1]);
    await owner.stop("SIGKILL");
    while ((await tryQuery(url)) !== "ECONNREFUSED") await Bun.sleep(10);
    // `bun test --no-orphans` leaves nobody to tidy up; there `test/run.ts` removes the folder of all.
    while (folders().length > 0 && !process.env["BUN_FEATURE_FLAG_NO_ORPHANS"]) await Bun.sleep(10);
  });
});
