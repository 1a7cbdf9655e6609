// What shares a commit on SQLite: how long it is waited for, and where SQLite keeps what undoes it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers";

import { sqlitePlatform } from "../../src/platform/sqlite-platform.ts";
import type { SqliteConnection } from "../../src/store/sqlite/sqlite-client.ts";
import type { Store } from "../../src/store/store.ts";
import { createTables, findIds, insertAll, note } from "../conformance/store-fixture.ts";
import { openTempSqlite } from "./open-temp-sqlite.ts";
import { createRecordingPlatform } from "./recording-platform.ts";
import { withSqlite } from "./with-sqlite.ts";

function scratchOf(connection: SqliteConnection | undefined): unknown {
  return Object.values(connection?.prepare("PRAGMA temp_store").get() as object)[0];
}

describe("a batch", () => {
  it("keeps what undoes small writes in memory, and of writes that may be large in files", () =>
    withSqlite(async ({ store }, { connections }) => {
      await createTables(store);
      const places: unknown[] = [];
      const look = async (): Promise<void> => void places.push(scratchOf(connections[0]));
      await store.write(look);
      await store.write(look, { exclusive: true });
      await store.write(look);
      await store.changeSchema([], look);
      // A read sorts in files too, whoever hears first that a batch has ended.
      await store.write(async () => undefined).then(look);
      const [DEFAULT, FILE, MEMORY] = [0, 1, 2];
      assert.deepEqual(places, [MEMORY, FILE, MEMORY, FILE, FILE]);
      assert.equal(scratchOf(connections[2]), DEFAULT);
      assert.deepEqual(await findIds(store, "Note"), []);
    }));

  /** One write, and another one in each of the first turns of the event loop that are waited for. */
  async function commit(others: number, msPerTurn = 0): Promise<{ readonly commits: number; readonly turns: number }> {
    const recording = createRecordingPlatform();
    const writes: Promise<void>[] = [];
    let turns = 0;
    let isWatched = false;
    const write = (store: Store): void => void writes.push(insertAll(store, "Note", [note(`n${writes.length}`)]));
    const defer = (task: () => void): void =>
      sqlitePlatform.defer(() => {
        if (isWatched && ++turns <= others) write(opened.store);
        task();
      });
    const opened = await openTempSqlite({ ...recording, defer });
    const { now } = performance;
    try {
      await createTables(opened.store);
      const before = recording.runs("COMMIT");
      isWatched = true;
      // A turn takes as long as it is said to, however busy the machine is.
      performance.now = () => turns * msPerTurn;
      write(opened.store);
      for (let known = 0; known < writes.length;) {
        known = writes.length;
        await Promise.all(writes);
      }
      return { commits: recording.runs("COMMIT") - before, turns };
    } finally {
      isWatched = false;
      performance.now = now;
      await opened.cleanup();
    }
  }

  it("waits one turn of the event loop for one write", async () => {
    assert.deepEqual(await commit(0), { commits: 1, turns: 1 });
  });
  it("waits for as long as each turn brings another one", async () => {
    assert.deepEqual(await commit(5), { commits: 1, turns: 6 });
  });
  it("leaves the process a turn between two commits, however many wait", () =>
    withSqlite(async ({ store }, platform) => {
      let turns = 0;
      let isOver = false;
      const count = (): void => {
        if (isOver) return;
        turns += 1;
        setImmediate(count);
      };
      setImmediate(count);
      const before = platform.runs("COMMIT");
      await Promise.all(Array.from({ length: 3_000 }, (_, n) => store.write((tx) => tx.writeMeta(`k${n}`, "v"))));
      isOver = true;
      const commits = platform.runs("COMMIT") - before;
      assert.ok(turns >= commits - 1, `${turns} turns for ${commits} commits`);
    }));
  it("does not wait longer than a bound, whatever comes", async () => {
    const { turns } = await commit(100, 0.5);
    assert.ok(turns <= 3, `${turns} turns`);
  });
});
