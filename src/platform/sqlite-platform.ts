// SQLite for Bun, Deno and Node through the one client that all of them have: `node:sqlite`.

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SqliteConnection, SqlitePlatform } from "../store/sqlite/sqlite-client.ts";

function openConnection(path: string): SqliteConnection {
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true });
  return new DatabaseSync(path);
}

export const sqlitePlatform: SqlitePlatform = {
  open: openConnection,
  defer: (task) => {
    setImmediate(task);
  },
};
