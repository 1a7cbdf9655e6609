// SQLite stores over one file in a folder of its own, in the shape that the conformance suite opens.

import { join } from "node:path";

import { sqlitePlatform } from "../../src/platform/sqlite-platform.ts";
import { openSqliteStore } from "../../src/store/sqlite/open-sqlite-store.ts";
import type { SqlitePlatform } from "../../src/store/sqlite/sqlite-client.ts";
import type { Store } from "../../src/store/store.ts";
import type { OpenedStore } from "../conformance/store-fixture.ts";
import { createTempDir } from "../support/temp-dir.ts";

export interface TempSqlite extends OpenedStore {
  readonly path: string;
  readonly reopen: () => Promise<Store>;
  readonly second: () => Promise<Store>;
}

export async function openTempSqlite(platform: SqlitePlatform = sqlitePlatform): Promise<TempSqlite> {
  const folder = await createTempDir();
  const path = join(folder.path, "data", "pylon.db");
  const stores: Store[] = [];
  const open = (): Store => {
    const store = openSqliteStore({ path, platform });
    stores.push(store);
    return store;
  };
  const closeAll = async (): Promise<void> => {
    for (const store of stores) await store.close();
  };
  return {
    path,
    store: open(),
    async second() {
      return open();
    },
    async reopen() {
      await closeAll();
      return open();
    },
    async cleanup() {
      await closeAll();
      await folder.remove();
    },
  };
}
