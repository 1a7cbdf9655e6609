// The stores against the plain model of a store.

import { describeStoreModel } from "../conformance/store-model.ts";
import { openTempSqlite } from "./open-temp-sqlite.ts";
import { openTestPostgres } from "./open-test-postgres.ts";

describeStoreModel("SQLite", openTempSqlite, { keepsOrder: true });
describeStoreModel("Postgres", () => openTestPostgres(), { keepsOrder: false });
