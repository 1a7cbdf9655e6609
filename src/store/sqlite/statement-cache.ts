// Prepared statements of one connection, by their text. SQL here is built from table specs only, never from input, so
// the number of texts is small; the bound keeps a mistake from growing memory.

import type { SqliteConnection, SqliteStatement, SqlRow, SqlValue } from "./sqlite-client.ts";

const MAX_STATEMENTS = 1_000;

/**
 * Hides parameters from the planner. A bare one in a query with an ORDER BY or a LIMIT is looked at while it is planned, and
 * the statement is then compiled again for every value that is bound to it, which costs several times what running it does.
 * The unary plus changes no value, type or affinity (https://sqlite.org/c3ref/prepare.html, https://sqlite.org/lang_expr.html).
 */
function plannedOnce(sql: string): string {
  return sql.replaceAll("?", "+?");
}

export interface StatementCache {
  run(sql: string, values: readonly SqlValue[]): number;
  get(sql: string, values: readonly SqlValue[]): SqlRow | undefined;
  all(sql: string, values: readonly SqlValue[]): SqlRow[];
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}

/** Reads integers as numbers, and the whole row again as bigints when one of them would be rounded. */
function exactly<T>(statement: SqliteStatement, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isOutOfRange(error)) throw error;
    statement.setReadBigInts(true);
    try {
      return read();
    } finally {
      statement.setReadBigInts(false);
    }
  }
}

export function createStatementCache(connection: SqliteConnection): StatementCache {
  const statements = new Map<string, SqliteStatement>();
  const prepared = (sql: string): SqliteStatement => {
    const known = statements.get(sql);
    if (known) return known;
    if (statements.size >= MAX_STATEMENTS) {
      const oldest = statements.keys().next().value;
      if (oldest !== undefined) statements.delete(oldest);
    }
    const statement = connection.prepare(plannedOnce(sql));
    statements.set(sql, statement);
    return statement;
  };
  return {
    run: (sql, values) => Number(prepared(sql).run(...values).changes),
    get(sql, values) {
      const statement = prepared(sql);
      return exactly(statement, () => statement.get(...values)) as SqlRow | undefined;
    },
    all(sql, values) {
      const statement = prepared(sql);
      return exactly(statement, () => statement.all(...values)) as SqlRow[];
    },
  };
}

/** Each statement on one of two connections, as it is asked for. */
export function chooseCache(choose: () => StatementCache): StatementCache {
  return {
    run: (sql, values) => choose().run(sql, values),
    get: (sql, values) => choose().get(sql, values),
    all: (sql, values) => choose().all(sql, values),
  };
}
