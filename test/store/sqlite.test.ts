// SQLite under the store contract, and what is SQLite's own: the file, its settings, its locks and its commits.

import assert from "node:assert/strict";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { constants, type DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";

import { sqlitePlatform } from "../../src/platform/sqlite-platform.ts";
import { openSqliteStore } from "../../src/store/sqlite/open-sqlite-store.ts";
import type { SqliteConnection } from "../../src/store/sqlite/sqlite-client.ts";
import type { Store, Tx } from "../../src/store/store.ts";
import { describeStore } from "../conformance/store.ts";
import {
  claim,
  createGate,
  createTables,
  enqueue,
  findIds,
  hasCode,
  insertAll,
  letOthersRun,
  newJob,
  note,
  settle,
  T0,
} from "../conformance/store-fixture.ts";
import { createTempDir } from "../support/temp-dir.ts";
import { openTempSqlite } from "./open-temp-sqlite.ts";
import { withSqlite } from "./with-sqlite.ts";

describeStore("SQLite", openTempSqlite);

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await createTempDir();
  try {
    await run(folder.path);
  } finally {
    await folder.remove();
  }
}

const pragma = (connection: SqliteConnection, name: string): unknown =>
  Object.values(connection.prepare(`PRAGMA ${name}`).get() as object)[0];

const open = (path: string, busyTimeoutMs = 50): Store =>
  openSqliteStore({ path, platform: sqlitePlatform, busyTimeoutMs });

describe("a SQLite store's settings", () => {
  it("are the durable ones, read back from its connections", () =>
    withSqlite(async (_, { connections }) => {
      const [writer, , reader] = connections;
      assert.equal(pragma(writer!, "journal_mode"), "wal");
      const FULL = 2;
      assert.equal(pragma(writer!, "synchronous"), FULL);
      assert.equal(pragma(writer!, "trusted_schema"), 0);
      assert.equal(pragma(writer!, "busy_timeout"), 5_000);
      assert.equal(pragma(reader!, "query_only"), 1);
      assert.equal(pragma(reader!, "busy_timeout"), 5_000);
    }));

  it("make every table STRICT, so that a value of another type is refused", () =>
    withSqlite(async ({ store, path }) => {
      await createTables(store);
      const outside = sqlitePlatform.open(path);
      const tables = outside.prepare("PRAGMA table_list").all() as { name: string; type: string; strict: number }[];
      outside.close();
      const ours = tables.filter(({ name, type }) => type === "table" && !name.startsWith("sqlite_"));
      assert.ok(ours.length >= 6);
      for (const { name, strict } of ours) assert.equal(strict, 1, name);
      const wrong = store.write((tx) => tx.insert("Note", note("1", { size: "five" })));
      await assert.rejects(wrong, hasCode("STORE_FAILED"));
      await assert.rejects(
        store.write((tx) => tx.insert("Note", note("1", { size: 1.5 }))),
        hasCode("STORE_FAILED"),
      );
      assert.deepEqual(await findIds(store, "Note"), []);
    }));

  it("leave the database file alone and whole after closing", () =>
    withSqlite(async ({ store, path }) => {
      await createTables(store);
      await insertAll(store, "Note", [note("1")]);
      await store.close();
      const left = (await readdir(dirname(path))).sort();
      assert.deepEqual(left, ["pylon.db", "pylon.db-alone"]);
      const outside = sqlitePlatform.open(path);
      assert.equal(pragma(outside, "integrity_check"), "ok");
      outside.close();
    }));

  it("answer every question about jobs from an index", () =>
    withSqlite(async ({ store }, { prepared, connections }) => {
      await enqueue(store, newJob("1", { key: "k" }), newJob("2", { key: "k" }), newJob("3"));
      const [first, second] = await claim(store);
      await settle(store, first!);
      await settle(store, second!, { state: "ready" });
      await store.write(async (tx) => {
        await tx.cancelJob("2", T0);
        await tx.requeueJob("2", T0);
        await tx.extendLeases("a", [1], T0);
        await tx.releaseJobs("a", [1]);
        await tx.laneDue("mail");
        await tx.dueLanes(T0, 5);
        await tx.countJobs();
        await tx.listAttempts("1");
        await tx.listJobs({ kind: "mail", states: ["ready", "leased", "blocked"], limit: 5 });
        await tx.listJobs({ kind: "mail", states: ["dead"], limit: 5 });
        await tx.purgeJobs(T0, 5);
      });
      const texts = [...prepared].filter((sql) => /_pylon_job/.test(sql));
      assert.ok(texts.length > 15);
      for (const sql of texts) {
        const plan = connections[0]!.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[];
        for (const { detail } of plan) {
          // Counting walks an index; nothing else may walk or sort jobs.
          const walks = sql.includes("count(*)") ? /^SCAN _pylon_jobs$/ : /^SCAN (?:_pylon_|job)|ORDER BY/;
          assert.doesNotMatch(detail, walks, `${sql}\n${detail}`);
        }
      }
    }));

  it("store rows in the order of what their table is clustered by, without an index for it", () =>
    withSqlite(async ({ store, path }, { prepared, connections }) => {
      const index = { name: "Part_stock", columns: ["stock"], unique: true };
      const table = { name: "Part", columns: [{ name: "stock", type: "int" as const }], indexes: [index] };
      const clustered = { ...table, clusteredBy: "stock" };
      const indexes = (): string[] => {
        const outside = sqlitePlatform.open(path);
        const found = outside
          .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'Part'")
          .all();
        outside.close();
        return (found as { name: string }[]).map(({ name }) => name).filter((name) => !name.startsWith("sqlite_"));
      };
      store.describe([clustered]);
      const makeTwice = async (): Promise<void> => {
        await store.changeSchema(
          [{ kind: "create-table", table: { ...clustered, indexes: [] } }],
          async () => undefined,
        );
        await store.changeSchema([{ kind: "create-table", table: clustered }], async () => undefined);
        await store.changeSchema([{ kind: "create-index", table: "Part", index }], async () => undefined);
      };
      await makeTwice();
      assert.deepEqual(indexes(), []);
      await insertAll(store, "Part", [{ id: "b", stock: 1 }]);
      const before = new Set(prepared);
      const order = { column: "stock", descending: true };
      await store.reader.find("Part", { order, where: [{ column: "stock", op: "gte", value: 1 }], limit: 5 });
      await store.reader.find("Part", { where: [{ column: "stock", op: "eq", value: 1 }], limit: 5 });
      const asked = [...prepared].filter((sql) => !before.has(sql));
      const plans = asked.flatMap((sql) => connections[0]!.prepare(`EXPLAIN QUERY PLAN ${sql}`).all());
      assert.equal(plans.length, 2);
      for (const plan of plans)
        assert.match((plan as { detail: string }).detail, /^SEARCH Part USING INTEGER PRIMARY KEY/);

      // Its index goes, and the others stay.
      const other = { name: "Part_again", columns: ["stock"], unique: false };
      await store.changeSchema([{ kind: "create-index", table: "Part", index: other }], async () => undefined);
      await store.changeSchema([{ kind: "drop-index", table: "Part", index: "Part_again" }], async () => undefined);
      await store.changeSchema([{ kind: "create-index", table: "Part", index: other }], async () => undefined);
      await store.changeSchema([{ kind: "drop-index", table: "Part", index: "Part_stock" }], async () => undefined);
      assert.deepEqual(indexes(), ["Part_again"]);

      // As an earlier version has made it.
      await store.changeSchema([{ kind: "drop-table", table: "Part" }], async () => undefined);
      await store.changeSchema([{ kind: "create-table", table }], async () => undefined);
      await makeTwice();
      assert.deepEqual(indexes(), ["Part_stock"]);
    }));

  it("compile each question once, whatever is asked with it", () =>
    withSqlite(async ({ store }, { connections }) => {
      await createTables(store);
      const ask = async (round: number): Promise<void> => {
        const [id, lane] = [`row${round}`, `lane${round}`];
        await enqueue(store, newJob(`a${round}`, { lane, key: lane }), newJob(`b${round}`, { lane, key: lane }));
        await insertAll(store, "Note", [note(id, { title: lane, size: round })]);
        await store.write(async (tx) => {
          await tx.claimJobs({ lane, limit: round, owner: "a", now: T0, leaseUntil: T0 + round });
          await tx.laneDue(lane);
          await tx.expireLeases(T0 + round, round);
          await tx.cancelJob(`a${round}`, T0);
          await tx.purgeJobs(T0 + round, round);
          await tx.deleteWhere("Note", [{ column: "size", op: "eq", value: -round }], round);
        });
        await store.reader.listJobs({ kind: "mail", states: ["ready"], limit: round });
        await store.reader.dueLanes(T0 + round, round);
        const where = [{ column: "size", op: "eq", value: round }] as const;
        const order = { column: "title", descending: true };
        await store.reader.find("Note", { where, order, limit: round, after: { value: lane, id } });
      };
      await ask(1);
      let compiled = 0;
      // SQLite asks for leave whenever it compiles, and compiles everything again for whom it has to ask. A batch sets where its
      // scratch is, which is no question.
      for (const connection of connections as readonly DatabaseSync[]) {
        connection.setAuthorizer((action) => {
          if (action !== constants.SQLITE_PRAGMA) compiled += 1;
          return constants.SQLITE_OK;
        });
      }
      await ask(2);
      assert.ok(compiled > 0);
      compiled = 0;
      await ask(3);
      assert.equal(compiled, 0);
    }));
});

describe("a SQLite file that cannot be used", () => {
  it("of a newer version is refused and left as it is", () =>
    withFolder(async (folder) => {
      const path = join(folder, "pylon.db");
      await open(path).close();
      const newer = sqlitePlatform.open(path);
      newer.exec("PRAGMA user_version = 999");
      newer.close();
      const [bytes, files] = [await readFile(path), await readdir(folder)];
      assert.throws(() => open(path), hasCode("STORE_NEWER"));
      assert.deepEqual(await readFile(path), bytes);
      assert.deepEqual(await readdir(folder), files);
    }));

  it("of a newer version that keeps a rollback journal is not turned to WAL", () =>
    withFolder(async (folder) => {
      const path = join(folder, "pylon.db");
      const newer = sqlitePlatform.open(path);
      newer.exec("PRAGMA user_version = 2; CREATE TABLE something (id TEXT)");
      newer.close();
      const bytes = await readFile(path);
      assert.throws(() => open(path), hasCode("STORE_NEWER"));
      assert.deepEqual(await readFile(path), bytes);
    }));

  /** Fails with STORE_UNWRITABLE, and the message says which file. */
  const refuses = (path: string): void => {
    assert.throws(
      () => open(path),
      (error) => hasCode("STORE_UNWRITABLE")(error) && (error as Error).message.includes(path),
    );
  };

  it("because it is a folder, is below a file, or is no database: the error names it", () =>
    withFolder(async (folder) => {
      refuses(folder);
      const file = join(folder, "letter.txt");
      const letter = "Dear database, ".repeat(500);
      await writeFile(file, letter);
      refuses(file);
      refuses(join(file, "pylon.db"));
      assert.equal(await readFile(file, "utf8"), letter);
    }));

  it("because its folder cannot be written: the error names it", () =>
    withFolder(async (folder) => {
      if (process.platform === "win32") return refuses(join(folder, "nul|", "pylon.db"));
      // Root may write anywhere but into the kernel's own folders.
      if (process.getuid?.() === 0) return refuses("/proc/pylon/pylon.db");
      await chmod(folder, 0o500);
      refuses(join(folder, "pylon.db"));
      refuses(join(folder, "below", "pylon.db"));
      await chmod(folder, 0o700);
    }));

  it("releases what it had opened", () =>
    withFolder(async (folder) => {
      const path = join(folder, "pylon.db");
      await open(path).close();
      const locker = sqlitePlatform.open(path);
      locker.exec("BEGIN IMMEDIATE");
      assert.throws(() => open(path), hasCode("STORE_BUSY"));
      locker.exec("ROLLBACK");
      locker.close();
      const store = open(path);
      assert.equal(store.openedAlone, true);
      await store.close();
    }));
});

describe("a SQLite store beside another process", () => {
  it("answers STORE_BUSY when the file stays locked, in time, and works again afterwards", () =>
    withFolder(async (folder) => {
      const path = join(folder, "pylon.db");
      const store = open(path);
      const locker = sqlitePlatform.open(path);
      locker.exec("BEGIN IMMEDIATE");
      const startedAt = performance.now();
      const writes = await Promise.allSettled([
        store.write((tx) => tx.writeMeta("a", "1")),
        store.write((tx) => tx.writeMeta("b", "1"), { exclusive: true }),
        store.changeSchema([], (tx) => tx.writeMeta("c", "1")),
      ]);
      assert.ok(performance.now() - startedAt < 2_000);
      for (const write of writes) {
        assert.equal(write.status, "rejected");
        hasCode("STORE_BUSY")(write.reason);
      }
      assert.equal(await store.reader.readMeta("a"), undefined);
      locker.exec("ROLLBACK");
      locker.close();
      await store.write((tx) => tx.writeMeta("d", "1"));
      assert.equal(await store.reader.readMeta("d"), "1");
      await store.close();
    }));
});

describe("group commit", () => {
  const write = (store: Store, count: number): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, (_, place) => store.write((tx) => tx.writeMeta(`k${place}`, "v"))));

  it("shares commits among writes that wait together, within a bound", () =>
    withSqlite(async ({ store }, platform) => {
      const before = platform.runs("COMMIT");
      await write(store, 1_000);
      const commits = platform.runs("COMMIT") - before;
      assert.ok(commits <= 100, `${commits} commits for 1,000 concurrent writes`);
      assert.ok(commits >= 4, `${commits} commits: a batch was larger than its bound`);
    }));

  it("commits one by one what comes one by one", () =>
    withSqlite(async ({ store }, platform) => {
      const before = platform.runs("COMMIT");
      for (let turn = 0; turn < 5; turn += 1) await write(store, 1);
      assert.equal(platform.runs("COMMIT") - before, 5);
    }));

  it("gives an exclusive writer a commit of its own, in its turn", () =>
    withSqlite(async ({ store }, platform) => {
      const order: string[] = [];
      const commitsAt = new Map<string, number>();
      const log = (name: string) => async (): Promise<void> => {
        order.push(name);
        commitsAt.set(name, platform.runs("COMMIT"));
      };
      await Promise.all([
        store.write(log("1")),
        store.write(log("2")),
        store.write(log("alone"), { exclusive: true }),
        store.write(log("3")),
        store.write(log("4")),
      ]);
      assert.deepEqual(order, ["1", "2", "alone", "3", "4"]);
      const [first] = commitsAt.values();
      assert.deepEqual(
        [...commitsAt.values()].map((commits) => commits - (first ?? 0)),
        [0, 0, 1, 2, 2],
      );
    }));

  it("acknowledges nobody when the commit fails, keeps nothing of it, and goes on", () =>
    withSqlite(async ({ store }, platform) => {
      await createTables(store);
      let heard = 0;
      store.onDue(() => {
        heard += 1;
      });
      platform.failNext("COMMIT", Object.assign(new Error("disk I/O error"), { errcode: 10 }));
      const writes = await Promise.allSettled(
        ["a", "b", "c"].map((id) =>
          store.write(async (tx) => {
            await tx.insert("Note", note(id));
            await tx.enqueueJob(newJob(id));
          }),
        ),
      );
      for (const one of writes) if (one.status === "rejected") hasCode("STORE_FAILED")(one.reason);
      // A machine that is slow enough commits the last of them by themselves.
      const kept = ["a", "b", "c"].filter((_, place) => writes[place]?.status === "fulfilled");
      assert.ok(!kept.includes("a"));
      assert.equal(heard > 0, kept.length > 0);
      await insertAll(store, "Note", [note("d")]);
      assert.deepEqual(await findIds(store, "Note"), [...kept, "d"]);
      assert.equal(await store.reader.getJob("a"), undefined);
    }));
});

describe("a full disk", () => {
  const TOO_LARGE = "x".repeat(1_000_000);

  /** SQLite's own bound on the file's pages raises what a full disk raises. */
  const withFullDisk = (run: (store: Store, makeRoom: () => void) => Promise<void>): Promise<void> =>
    withSqlite(async ({ store }, { connections }) => {
      await createTables(store);
      const writer = connections[0]!;
      writer.exec(`PRAGMA max_page_count = ${Number(pragma(writer, "page_count")) + 20}`);
      await run(store, () => writer.exec("PRAGMA max_page_count = 1000000"));
    });

  it("answers STORE_FULL, keeps nothing of the batch, and works again once there is room", () =>
    withFullDisk(async (store, makeRoom) => {
      const writes = await Promise.allSettled([
        store.write((tx) => tx.insert("Note", note("before"))),
        store.write((tx) => tx.insert("Note", note("large", { title: TOO_LARGE }))),
      ]);
      for (const one of writes) {
        assert.equal(one.status, "rejected");
        hasCode("STORE_FULL")(one.reason);
      }
      assert.deepEqual(await findIds(store, "Note"), []);
      await insertAll(store, "Note", [note("small")]);
      makeRoom();
      await insertAll(store, "Note", [note("large", { title: TOO_LARGE })]);
      assert.deepEqual(await findIds(store, "Note"), ["large", "small"]);
    }));

  for (const exclusive of [false, true]) {
    it(`ends the transaction even for a callback that goes on after the error (exclusive: ${exclusive})`, () =>
      withFullDisk(async (store) => {
        const seen: unknown[] = [];
        const writing = store.write(
          async (tx) => {
            await tx.insert("Note", note("before"));
            await tx.insert("Note", note("large", { title: TOO_LARGE })).catch((error) => seen.push(error));
            await tx.insert("Note", note("after")).catch((error) => seen.push(error));
          },
          { exclusive },
        );
        await assert.rejects(writing, hasCode("STORE_FULL"));
        assert.equal(seen.length, 2);
        hasCode("STORE_FULL")(seen[0]);
        hasCode("TX_ENDED")(seen[1]);
        assert.deepEqual(await findIds(store, "Note"), []);
        await insertAll(store, "Note", [note("next")]);
        assert.deepEqual(await findIds(store, "Note"), ["next"]);
      }));
  }
});

describe("a SQLite store's one writer", () => {
  it("an exclusive writer may wait for other things while every other writer waits for it", () =>
    withSqlite(async ({ store }) => {
      await createTables(store);
      const log: string[] = [];
      const [begun, go] = [createGate(), createGate()];
      const exclusive = store.write(
        async (tx) => {
          log.push("exclusive begins");
          begun.open();
          await go.opened;
          await tx.insert("Note", note("exclusive"));
          log.push("exclusive ends");
          return "answer";
        },
        { exclusive: true },
      );
      await begun.opened;
      const other = store.write(async (tx) => {
        log.push("other");
        assert.equal((await tx.get("Note", "exclusive"))?.id, "exclusive");
      });
      await letOthersRun();
      assert.deepEqual(log, ["exclusive begins"]);
      go.open();
      assert.equal(await exclusive, "answer");
      await other;
      assert.deepEqual(log, ["exclusive begins", "exclusive ends", "other"]);
    }));

  it("a call that escaped does not land in a neighbour's transaction", () =>
    withSqlite(async ({ store }) => {
      await createTables(store);
      let escaped: Tx | undefined;
      let late: Promise<unknown> | undefined;
      await Promise.all([
        store.write(async (tx) => {
          escaped = tx;
          await tx.insert("Note", note("first"));
        }),
        store.write(async (tx) => {
          await tx.insert("Note", note("second"));
          late = escaped?.insert("Note", note("late"));
          late?.catch(() => undefined);
          await tx.insert("Note", note("third"));
        }),
      ]);
      assert.ok(late);
      await assert.rejects(late, hasCode("TX_ENDED"));
      assert.deepEqual(await findIds(store, "Note"), ["first", "second", "third"]);
    }));
});
