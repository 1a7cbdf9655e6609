// The SQLite platform with an ear and a hand in it: it counts what each connection runs and can make one call fail.

import { sqlitePlatform } from "../../src/platform/sqlite-platform.ts";
import type { SqliteConnection, SqlitePlatform, SqliteStatement } from "../../src/store/sqlite/sqlite-client.ts";

export interface RecordingPlatform extends SqlitePlatform {
  /** In the order they were opened. */
  readonly connections: readonly SqliteConnection[];
  /** Every text that was prepared, once. */
  readonly prepared: ReadonlySet<string>;
  /** How often `sql` ran, through `exec` or as a prepared statement's `run`. */
  runs(sql: string): number;
  /** The next run of `sql` throws `error` instead. */
  failNext(sql: string, error: Error): void;
}

export function createRecordingPlatform(): RecordingPlatform {
  const connections: SqliteConnection[] = [];
  const prepared = new Set<string>();
  const counts = new Map<string, number>();
  const failures = new Map<string, Error>();
  const note = (sql: string): void => {
    counts.set(sql, (counts.get(sql) ?? 0) + 1);
    const failure = failures.get(sql);
    failures.delete(sql);
    if (failure) throw failure;
  };
  const wrapStatement = (sql: string, statement: SqliteStatement): SqliteStatement => ({
    run(...values) {
      note(sql);
      return statement.run(...values);
    },
    get: (...values) => statement.get(...values),
    all: (...values) => statement.all(...values),
    setReadBigInts: (enabled) => statement.setReadBigInts(enabled),
  });
  const wrap = (connection: SqliteConnection): SqliteConnection => ({
    exec(sql) {
      note(sql);
      connection.exec(sql);
    },
    prepare(sql) {
      prepared.add(sql);
      return wrapStatement(sql, connection.prepare(sql));
    },
    close: () => connection.close(),
    get isTransaction() {
      return connection.isTransaction;
    },
  });
  return {
    connections,
    prepared,
    open(path) {
      const connection = sqlitePlatform.open(path);
      connections.push(connection);
      return wrap(connection);
    },
    defer: (task) => sqlitePlatform.defer(task),
    runs: (sql) => counts.get(sql) ?? 0,
    failNext(sql, error) {
      failures.set(sql, error);
    },
  };
}
