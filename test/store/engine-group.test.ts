// The group that engines on one Postgres are: who is alone owns every lane at once, two divide them, one that leaves lets the
// others have its lanes, and nothing is held by who has gone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import postgres from "postgres";

import { createSystemClock } from "../../src/core/clock.ts";
import { postgresPlatform } from "../../src/platform/postgres-platform.ts";
import { PooledConnection } from "../../src/store/postgres/connection-pool.ts";
import { HANDOVER_MS } from "../../src/store/postgres/engine-share.ts";
import { openPostgresStore } from "../../src/store/postgres/open-postgres-store.ts";
import { endWhenSilent } from "../../src/store/postgres/presence.ts";
import type { EngineGroup, Store } from "../../src/store/store.ts";
import { openTestDatabase } from "../support/postgres.ts";

const LANES = Array.from({ length: 50 }, (_, place) => `lane ${place}`);
const TIMEOUT = { timeout: 60_000 };
const AT_ONCE_MS = 1_000;
/** Two beats and a handover. */
const SOON_MS = 10_000;

async function until(holds: () => boolean | Promise<boolean>, what: string, withinMs: number): Promise<void> {
  for (const endsMs = performance.now() + withinMs; performance.now() < endsMs;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Not within ${withinMs} ms: ${what}`);
}

interface Joined extends EngineGroup {
  /** How many lanes it owns. */
  readonly count: number;
  readonly changes: number;
}

class Group {
  readonly url: string;
  readonly stores: Store[] = [];

  constructor(url: string) {
    this.url = url;
  }

  async open(): Promise<Store> {
    const store = await openPostgresStore({
      url: this.url,
      platform: postgresPlatform,
      clock: createSystemClock(),
      connections: 2,
      // All of them want the same number.
      random: () => 0.5,
    });
    this.stores.push(store);
    return store;
  }

  join(store: Store): Joined {
    let changes = 0;
    const group = store.joinEngines?.(() => {
      changes += 1;
    });
    assert.ok(group);
    return {
      ...group,
      get count() {
        return LANES.filter((lane) => group.owns(lane)).length;
      },
      get changes() {
        return changes;
      },
    };
  }

  /** Engines that the server knows of. */
  async held(): Promise<number> {
    const client = postgres(this.url, { max: 1, onnotice: () => undefined });
    try {
      const rows = await client.unsafe(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 1349152844
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
      return rows.length;
    } finally {
      await client.end({ timeout: 5 });
    }
  }
}

async function withGroup(use: (group: Group) => Promise<void>): Promise<void> {
  const database = await openTestDatabase();
  const group = new Group(database.url);
  try {
    await use(group);
  } finally {
    await Promise.all(group.stores.map((store) => store.close()));
    await database.drop();
  }
}

describe("engines on one Postgres", () => {
  it("divide the lanes: the first owns all at once, the next its share when the first has let go of it", TIMEOUT, () =>
    withGroup(async (group) => {
      const one = group.join(await group.open());
      await until(() => one.count === LANES.length, "the first owns every lane", AT_ONCE_MS);
      assert.equal(one.changes, 1);
      const store = await group.open();
      const startedMs = performance.now();
      const two = group.join(store);
      await until(() => one.count < LANES.length, "the first has heard of the other", AT_ONCE_MS);
      assert.equal(two.count, 0);
      await until(() => two.count > 0, "the other owns its share", SOON_MS);
      assert.ok(performance.now() - startedMs >= HANDOVER_MS, "it did not wait");
      for (const lane of LANES) assert.notEqual(one.owns(lane), two.owns(lane), lane);
      await two.leave();
      assert.equal(two.count, 0);
      await until(() => one.count === LANES.length, "the first owns every lane again", SOON_MS);
      await two.leave();
      assert.equal(await group.held(), 1);
    }),
  );

  it("hold nothing when they left before they had joined, or when their store was closed", TIMEOUT, () =>
    withGroup(async (group) => {
      const store = await group.open();
      const hasty = group.join(store);
      await hasty.leave();
      assert.deepEqual([await group.held(), hasty.changes], [0, 0]);
      const lasting = group.join(store);
      await until(() => lasting.count === LANES.length, "it owns every lane", AT_ONCE_MS);
      await store.close();
      assert.equal(lasting.count, 0);
      const next = group.join(await group.open());
      await until(() => next.count === LANES.length, "the next one is alone", AT_ONCE_MS);
    }),
  );

  it("are not held by the server for a process that stands still", TIMEOUT, () =>
    withGroup(async ({ url }) => {
      const options = { settings: {}, onClosed: () => undefined };
      const connection = new PooledConnection(await postgresPlatform.connect(url, options), createSystemClock());
      try {
        const { rows: versions } = await connection.query("SHOW server_version_num");
        await endWhenSilent(connection);
        if (Number(versions[0]?.["server_version_num"]) >= 140_000) {
          const { rows } = await connection.query("SHOW idle_session_timeout");
          assert.equal(rows[0]?.["idle_session_timeout"], "30s");
        }
        const { rows } = await connection.query("SHOW tcp_keepalives_idle");
        assert.equal(rows[0]?.["tcp_keepalives_idle"], "10");
      } finally {
        connection.break();
      }
    }),
  );
});
