// The store that the tests of the other rooms run on: SQLite, or Postgres when PYLON_TEST_STORE says so. `test/run.ts` runs
// the files of the rooms that lean on transactions a second time with it.

import process from "node:process";

import type { Store } from "../../src/store/store.ts";
import type { OpenedStore } from "../conformance/store-fixture.ts";
import { openTempSqlite } from "./open-temp-sqlite.ts";

export interface TestStore extends OpenedStore {
  readonly reopen: () => Promise<Store>;
  readonly second: () => Promise<Store>;
}

/** An empty one. */
export async function openTestStore(): Promise<TestStore> {
  if (process.env["PYLON_TEST_STORE"] !== "postgres") return openTempSqlite();
  const { openTestPostgres } = await import("./open-test-postgres.ts");
  return openTestPostgres();
}
