// The few things that this room asks of a Postgres driver: one connection at a time, statements with text parameters, and
// to be told at once when the connection is gone. A platform hands a driver in.

/** Parameters go as text; the server knows each one's type. */
export type SqlValue = string | null;
/** What comes back: `int8` as a number or, beyond 2^53, as a bigint; `bytea` as bytes. */
export type SqlRow = Readonly<Record<string, string | number | bigint | boolean | Uint8Array | null>>;

export interface SqlResult {
  readonly rows: readonly SqlRow[];
  /** Rows that the statement touched. */
  readonly count: number;
  /** As the server names it: `COMMIT`, `ROLLBACK`, `INSERT` … */
  readonly command: string;
}

/** One connection. Statements are sent in the order of the calls, without waiting for the answers before them. */
export interface PostgresConnection {
  query(sql: string, values?: readonly SqlValue[]): Promise<SqlResult>;
  /** Several statements without parameters, one after the other. */
  script(sql: string): Promise<void>;
  /** Ends it at once: what is under way rejects. */
  destroy(): void;
}

export interface ConnectOptions {
  /** Settings of the session, such as `statement_timeout`. */
  readonly settings: Readonly<Record<string, string | number>>;
  /** A notification arrived. */
  readonly onNotify?: (channel: string, payload: string) => void;
  /** The connection is gone; every statement after this would go to another one. Called once. */
  readonly onClosed: () => void;
}

/** What the platform gives a Postgres store. */
export interface PostgresPlatform {
  /** Resolves when the server has let us in; rejects with the driver's error when it has not. */
  connect(url: string, options: ConnectOptions): Promise<PostgresConnection>;
}
