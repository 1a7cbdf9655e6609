// SQLite under the store contract.

import { describeStore } from "../conformance/store.ts";
import { openTempSqlite } from "./open-temp-sqlite.ts";

describeStore("SQLite", openTempSqlite);
