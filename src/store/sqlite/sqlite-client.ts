// The few methods of a SQLite connection that this room calls. `node:sqlite` fits, and a platform hands one in.

/** What SQLite stores: `json` and `bool` columns are encoded into these. */
export type SqlValue = string | number | bigint | null | Uint8Array;
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface SqliteStatement {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
  setReadBigInts(enabled: boolean): void;
}

export interface SqliteConnection {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
  readonly isTransaction: boolean;
}

/** What the platform gives a SQLite store. */
export interface SqlitePlatform {
  /** Opens a connection to `path` (a file, or `:memory:`), making its folder when that is missing. */
  open(path: string): SqliteConnection;
  /** Runs `task` in a macrotask of its own, after the I/O that is already waiting. */
  defer(task: () => void): void;
}
