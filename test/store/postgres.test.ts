// Postgres under the store contract, and what is Postgres's own: transactions that are run again, connections that are lost,
// a server that goes away, and replicas that hear of each other.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import postgres from "postgres";

import { createSystemClock } from "../../src/core/clock.ts";
import { isPylonError } from "../../src/core/errors.ts";
import { entity, field } from "../../src/manifest/dsl.ts";
import { applyMigration, createSystemTables, planMigration } from "../../src/data/migration.ts";
import { postgresPlatform } from "../../src/platform/postgres-platform.ts";
import { openPostgresStore, type PostgresStoreOptions } from "../../src/store/postgres/open-postgres-store.ts";
import type { PostgresPlatform } from "../../src/store/postgres/postgres-client.ts";
import type { LaneDue, Store } from "../../src/store/store.ts";
import { describeStore } from "../conformance/store.ts";
import {
  claim,
  createGate,
  createTables,
  enqueue,
  findIds,
  hasCode,
  insertAll,
  newJob,
  note,
  NOTE,
  ORDER,
  settle,
  T0,
} from "../conformance/store-fixture.ts";
import { openTestDatabase } from "../support/postgres.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { connectionLost, replaceNextCommit } from "./replace-commit.ts";
import { openTestPostgres, type TestPostgres } from "./open-test-postgres.ts";

describeStore("Postgres", () => openTestPostgres());

const TIMEOUT = { timeout: 60_000 };

function openAt(url: string, options: Partial<PostgresStoreOptions> = {}): Promise<Store> {
  return openPostgresStore({
    url,
    platform: postgresPlatform,
    clock: createSystemClock(),
    connections: 4,
    ...options,
  });
}

async function withPostgres(
  run: (opened: TestPostgres) => Promise<void>,
  platform: PostgresPlatform = postgresPlatform,
): Promise<void> {
  const opened = await openTestPostgres(platform);
  try {
    await run(opened);
  } finally {
    await opened.cleanup();
  }
}

/** Asks the server something, beside every store. */
async function ask(url: string, sql: string): Promise<readonly postgres.Row[]> {
  const client = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await client.unsafe(sql);
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** Looks again until it is so. */
async function until(isSo: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const endsMs = performance.now() + withinMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < endsMs, `not so within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("a transaction on Postgres", () => {
  it("is run again when others undo it, and gives up with a time to try again", TIMEOUT, () =>
    withPostgres(async ({ store, second }) => {
      await createTables(store);
      await insertAll(store, "Note", [note("hot", { size: 0 })]);
      const other = await second();
      other.describe([NOTE]);
      let runs = 0;
      const spoiled = store.write(async (tx) => {
        runs += 1;
        const size = (await tx.get("Note", "hot"))?.size as number;
        await other.write((rival) => rival.update("Note", "hot", { size: runs }));
        await tx.update("Note", "hot", { size: size + 1 });
      });
      await assert.rejects(spoiled, (error) => {
        assert.ok(isPylonError(error, "STORE_BUSY"), String(error));
        assert.equal(error.retryAfterSecs, 1);
        return true;
      });
      assert.ok(runs > 5, `${runs} runs`);
      assert.equal((await store.reader.get("Note", "hot"))?.size, runs);
    }),
  );

  it("that waits for one which waits for it ends, as does the other", TIMEOUT, () =>
    withPostgres(async ({ store }) => {
      await createTables(store);
      await insertAll(store, "Note", [note("a", { size: 0 }), note("b", { size: 0 })]);
      const both = createGate();
      let arrived = 0;
      const cross = (first: string, then: string): Promise<void> =>
        store.write(async (tx) => {
          await tx.update("Note", first, { size: 1 });
          arrived += 1;
          if (arrived === 2) both.open();
          await both.opened;
          await tx.update("Note", then, { size: 1 });
        });
      await Promise.all([cross("a", "b"), cross("b", "a")]);
      assert.ok(arrived > 2, "nobody had to run again");
    }),
  );

  it("whose connection is cut before it commits is done once, on another connection", TIMEOUT, () =>
    withPostgres(async ({ store, url }) => {
      await createTables(store);
      let runs = 0;
      const answer = await store.write(async (tx) => {
        runs += 1;
        await tx.insert("Note", note("one"));
        await tx.enqueueJob(newJob("one"));
        if (runs === 1) {
          const busy = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()`;
          await ask(url, busy);
          await until(() =>
            tx.count("Note", []).then(
              () => false,
              () => true,
            ),
          );
        }
        return runs;
      });
      assert.equal(answer, 2);
      assert.deepEqual(await findIds(store, "Note"), ["one"]);
      assert.equal((await store.reader.countJobs()).ready, 1);
    }),
  );

  it("or a read that finds its connection dead is asked again on another", TIMEOUT, () =>
    withPostgres(async ({ store, url }) => {
      await createTables(store);
      await insertAll(store, "Note", [note("one")]);
      const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle' AND pid <> pg_backend_pid()`;
      for (let round = 0; round < 5; round += 1) {
        await Promise.all([store.reader.get("Note", "one"), store.reader.count("Note", [])]);
        await ask(url, cut);
        assert.equal((await store.reader.get("Note", "one"))?.id, "one");
        assert.deepEqual(await store.write((tx) => tx.update("Note", "one", { size: round })), { kind: "updated" });
      }
    }),
  );

  for (const sent of [true, false]) {
    it(
      `whose answer to COMMIT is lost is known to be ${sent ? "done" : "undone, and done again"}`,
      TIMEOUT,
      async () => {
        const platform = replaceNextCommit(async (send) => sent && send());
        await withPostgres(async ({ store }) => {
          await createTables(store);
          let runs = 0;
          platform.arm();
          const run = await store.write(async (tx) => {
            runs += 1;
            await tx.insert("Note", note(`run ${runs}`));
            return runs;
          });
          assert.equal(run, sent ? 1 : 2);
          assert.deepEqual(await findIds(store, "Note"), [`run ${run}`]);
        }, platform);
      },
    );
  }

  it("waits for a connection no longer than it may", TIMEOUT, async () => {
    const database = await openTestDatabase();
    const store = await openAt(database.url, { connections: 2, connectionWaitMs: 100 });
    try {
      const go = createGate();
      const holding = [1, 2].map(() => store.write(() => go.opened, { exclusive: true }));
      await assert.rejects(
        store.write(() => Promise.resolve()),
        (error) => isPylonError(error, "STORE_BUSY") && error.message.includes("2 connections"),
      );
      // Neither readers nor the job engine wait for the writers.
      await store.reader.countJobs();
      await store.write((tx) => tx.expireLeases(T0, 1), { isolation: "read-committed" });
      go.open();
      await Promise.all(holding);
      await store.write(() => Promise.resolve());
    } finally {
      await store.close();
      await database.drop();
    }
  });

  it("does not wait for ever for a row that somebody else holds", TIMEOUT, async () => {
    const database = await openTestDatabase();
    const store = await openAt(database.url, { lockTimeoutMs: 200 });
    const rival = postgres(database.url, { max: 1 });
    try {
      await createTables(store);
      await insertAll(store, "Note", [note("held")]);
      await rival.unsafe(`BEGIN; UPDATE "Note" SET size = 1 WHERE id = 'held'`).simple();
      await assert.rejects(
        store.write((tx) => tx.update("Note", "held", { size: 2 })),
        hasCode("STORE_BUSY"),
      );
      await rival.unsafe("ROLLBACK");
      await store.write((tx) => tx.update("Note", "held", { size: 2 }));
    } finally {
      await rival.end({ timeout: 1 });
      await store.close();
      await database.drop();
    }
  });

  it("survives that a statement was prepared before another process changed the table", TIMEOUT, () =>
    withPostgres(async ({ store, second }) => {
      await createTables(store);
      await insertAll(store, "Note", [note("row", { size: 7 })]);
      assert.equal((await store.write((tx) => tx.get("Note", "row")))?.size, 7);
      assert.equal((await store.reader.get("Note", "row"))?.size, 7);
      const other = await second();
      const column = { name: "size", type: "text" as const };
      await other.changeSchema([{ kind: "convert-column", table: "Note", column, from: "int" }], async () => undefined);
      assert.equal((await store.write((tx) => tx.get("Note", "row")))?.size, "7");
      assert.equal((await store.reader.get("Note", "row"))?.size, "7");
    }),
  );
});

describe("a Postgres server", () => {
  it("that is not there yet is waited for, and each try is told", TIMEOUT, async () => {
    const server = await startPostgres();
    const heard: string[] = [];
    try {
      await server.kill();
      await assert.rejects(openAt(server.url), (error) => {
        assert.ok(isPylonError(error, "STORE_UNAVAILABLE"), String(error));
        assert.ok(!error.message.includes(new URL(server.url).password), "the message holds the password");
        return true;
      });
      const restarted = createGate();
      const opening = openAt(server.url, {
        startWaitMs: 30_000,
        onWaiting: ({ reason }) => {
          heard.push(reason);
          if (heard.length === 2) restarted.open();
        },
      });
      await restarted.opened;
      await server.restart();
      const store = await opening;
      await store.ping();
      await store.close();
      assert.ok(heard.length >= 2 && heard.every((reason) => reason.length > 0), heard.join());
    } finally {
      await server.stop();
    }
  });

  it("that goes away is told at once, and everything goes on when it is back", { timeout: 120_000 }, async () => {
    const server = await startPostgres();
    const store = await openAt(server.url);
    const other = await openAt(server.url);
    try {
      await createTables(store);
      await insertAll(store, "Note", [note("before")]);
      const heard: LaneDue[] = [];
      other.onDue((due) => heard.push(...due));
      await server.kill();
      // A backend that outlives its server for a moment may still commit.
      await until(() =>
        store.ping().then(
          () => false,
          () => true,
        ),
      );
      const startedMs = performance.now();
      for (const call of [
        () => store.write((tx) => tx.insert("Note", note("lost"))),
        () => store.reader.get("Note", "before"),
        () => store.ping(),
      ]) {
        await assert.rejects(call, (error) => {
          assert.ok(isPylonError(error, "STORE_UNAVAILABLE"), String(error));
          assert.ok((error.retryAfterSecs ?? 0) > 0);
          return true;
        });
      }
      assert.ok(performance.now() - startedMs < 5_000, "a request hung");
      await server.restart();
      await until(() =>
        store.ping().then(
          () => true,
          () => false,
        ),
      );
      await insertAll(store, "Note", [note("after")]);
      assert.deepEqual(await findIds(store, "Note"), ["after", "before"]);
      // The channel between the replicas is mended as well.
      let sent = 0;
      await until(async () => {
        sent += 1;
        await enqueue(store, newJob(`job ${sent}`, { lane: "news" }));
        await new Promise((resolve) => setTimeout(resolve, 100));
        return heard.some(({ lane }) => lane === "news");
      });
    } finally {
      await store.close();
      await other.close();
      await server.stop();
    }
  });

  it("that does not let us in, or has no such database, is not waited for", TIMEOUT, () =>
    withPostgres(async ({ url }) => {
      const stranger = new URL(url);
      stranger.username = "nobody_we_know";
      const missing = new URL(url);
      missing.pathname = "/no_such_database";
      for (const { href } of [stranger, missing]) {
        await assert.rejects(openAt(href, { startWaitMs: 30_000 }), hasCode("STORE_REFUSED"));
      }
    }),
  );

  it("with the tables of a newer Pylon is left alone", TIMEOUT, () =>
    withPostgres(async ({ url }) => {
      await ask(url, "UPDATE _pylon_meta SET value = '999' WHERE key = 'system-version'");
      await assert.rejects(openAt(url), hasCode("STORE_NEWER"));
    }),
  );
});

const SHOP = [
  entity("Customer", { email: field.string().unique() }),
  entity("Sale", { total: field.int(), at: field.datetime() }, { indexes: [{ name: "by_at", fields: ["at"] }] }),
];

describe("replicas on one Postgres", () => {
  it("that start together on an empty database make its tables once", TIMEOUT, async () => {
    const database = await openTestDatabase();
    const opened = await Promise.all([1, 2, 3, 4].map(() => openAt(database.url)));
    try {
      await Promise.all(
        opened.map(async (store) => {
          await createSystemTables(store, []);
          await applyMigration(store, await planMigration(store, SHOP), { allowDestructive: false });
        }),
      );
      await Promise.all(
        opened.map((store, place) =>
          store.write((tx) => tx.insert("Customer", { id: String(place), email: `${place}@example.com` })),
        ),
      );
      assert.equal(await opened[0]?.reader.count("Customer", []), 4);
      assert.equal(opened.filter(({ openedAlone }) => openedAlone).length <= 1, true);
      const indexes = await ask(database.url, `SELECT indexname FROM pg_indexes WHERE tablename = 'Sale'`);
      assert.equal(indexes.length, 2);
    } finally {
      await Promise.all(opened.map((store) => store.close()));
      await database.drop();
    }
  });

  it("refuse a plan that was made before another one migrated", TIMEOUT, () =>
    withPostgres(async ({ store, second }) => {
      await createSystemTables(store, []);
      const other = await second();
      const stale = await planMigration(store, SHOP);
      await applyMigration(other, await planMigration(other, [...SHOP, entity("More", {})]), {
        allowDestructive: false,
      });
      await assert.rejects(applyMigration(store, stale, { allowDestructive: false }), hasCode("MIGRATION_RACED"));
    }),
  );

  it("hear of each other's work, also of more lanes than one message names", TIMEOUT, () =>
    withPostgres(async ({ store, second }) => {
      const other = await second();
      const [mine, theirs]: Set<string>[] = [new Set(), new Set()];
      store.onDue((due) => due.forEach(({ lane }) => mine?.add(lane)));
      other.onDue((due) => due.forEach(({ lane }) => theirs?.add(lane)));
      const lanes = Array.from({ length: 200 }, (_, place) => `lane ${place} ${"x".repeat(60)}`);
      await enqueue(store, ...lanes.map((lane) => newJob(lane, { lane })));
      assert.equal(mine?.size, 200);
      await until(() => theirs?.size === 200);
      const many = Array.from({ length: 400 }, (_, place) => `many ${place}`);
      await enqueue(store, ...many.map((lane) => newJob(lane, { lane })));
      await until(() => theirs?.size === 600);
    }),
  );

  it("mend the channel between them when it is cut, and look at what they may have missed", TIMEOUT, () =>
    withPostgres(async ({ store, second, url }) => {
      const other = await second();
      const heard = new Set<string>();
      other.onDue((due) => due.forEach(({ lane }) => heard.add(lane)));
      const channels = `FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%pg_locks%' AND pid <> pg_backend_pid()`;
      await until(async () => (await ask(url, `SELECT pid ${channels}`)).length === 2);
      assert.equal((await ask(url, `SELECT pg_terminate_backend(pid) ${channels}`)).length, 2);
      await enqueue(store, newJob("while it was cut", { lane: "missed" }));
      await until(() => heard.has("missed"));
      await enqueue(store, newJob("after", { lane: "mended" }));
      await until(() => heard.has("mended"));
    }),
  );

  it(
    "free what one that was killed had leased, long before its leases end, and not what one has that is there",
    TIMEOUT,
    async () => {
      const database = await openTestDatabase();
      const connections = new Set<{ destroy(): void }>();
      let isDead = false;
      /** A process that can be killed: its connections end, and it makes no others. */
      const mortal: PostgresPlatform = {
        async connect(url, options) {
          if (isDead) throw connectionLost();
          const connection = await postgresPlatform.connect(url, options);
          connections.add(connection);
          return connection;
        },
      };
      const killed = await openAt(database.url, { platform: mortal });
      const alive = await openAt(database.url);
      try {
        const now = Date.now();
        await enqueue(killed, newJob("left", { dueAt: now }), newJob("kept", { dueAt: now }));
        const [left] = await claim(killed, { owner: "killed", limit: 1, now });
        const [kept] = await claim(alive, { owner: "alive", limit: 1, now });
        assert.deepEqual([left?.id, kept?.id], ["left", "kept"]);
        isDead = true;
        for (const connection of connections) connection.destroy();
        const diedMs = performance.now();
        let heardMs = 0;
        alive.onDue(() => {
          heardMs = performance.now();
        });
        assert.equal(await alive.reader.laneDue("mail"), undefined);
        // News of what the dead one had enqueued may still be on its way: that is not what is waited for.
        await until(async () => (await alive.reader.laneDue("mail")) !== undefined);
        await until(() => heardMs - diedMs > 4_000);
        const [again] = await claim(alive, { owner: "alive", now });
        assert.deepEqual([again?.id, again?.attempt, again?.lost], ["left", 2, 1]);
        assert.equal((await alive.reader.getJob("kept"))?.leaseOwner, "alive");
        assert.equal(await settle(alive, kept!, { owner: "alive" }), true);
      } finally {
        await killed.close();
        await alive.close();
        await database.drop();
      }
    },
  );

  it("show no password in their name", TIMEOUT, () =>
    withPostgres(async ({ store, url }) => {
      assert.equal(store.name, `postgres://${new URL(url).host}${new URL(url).pathname}`);
      await store.write((tx) => tx.writeMeta("order", ORDER.name));
    }),
  );
});
