// SQLite against the plain model of a store.

import { describeStoreModel } from "../conformance/store-model.ts";
import { openTempSqlite } from "./open-temp-sqlite.ts";

describeStoreModel("SQLite", openTempSqlite, { keepsOrder: true });
