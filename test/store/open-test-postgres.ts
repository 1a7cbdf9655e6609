// A Postgres store in a database of its own, for tests.

import { createSystemClock } from "../../src/core/clock.ts";
import { postgresPlatform } from "../../src/platform/postgres-platform.ts";
import { openPostgresStore } from "../../src/store/postgres/open-postgres-store.ts";
import type { PostgresPlatform } from "../../src/store/postgres/postgres-client.ts";
import type { Store } from "../../src/store/store.ts";
import type { OpenedStore } from "../conformance/store.ts";
import { openTestDatabase } from "../support/postgres.ts";

export interface TestPostgres extends OpenedStore {
  readonly url: string;
  readonly reopen: () => Promise<Store>;
  readonly second: () => Promise<Store>;
}

export async function openTestPostgres(platform: PostgresPlatform = postgresPlatform): Promise<TestPostgres> {
  const database = await openTestDatabase();
  const opened: Store[] = [];
  const open = async (): Promise<Store> => {
    const store = await openPostgresStore({ url: database.url, platform, clock: createSystemClock(), connections: 6 });
    opened.push(store);
    return store;
  };
  const closeAll = async (): Promise<void> => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
  };
  try {
    return {
      url: database.url,
      store: await open(),
      second: open,
      reopen: async () => {
        await closeAll();
        return open();
      },
      cleanup: async () => {
        await closeAll();
        await database.drop();
      },
    };
  } catch (error) {
    await database.drop();
    throw error;
  }
}
