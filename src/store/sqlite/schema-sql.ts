// Schema steps as SQLite statements, and the tables that Pylon itself needs. Tables are STRICT; `NOT NULL` and foreign
// keys stay out: the write path validates, and a constraint that fails at COMMIT would take its neighbours down with it.

import type { ColumnSpec, ColumnType, IndexSpec, SchemaStep, TableSpec } from "../store.ts";
import type { SqliteConnection } from "./sqlite-client.ts";
import { quote } from "../table-columns.ts";

/** Counted up when the tables below change; a file with a higher number is refused. */
export const SYSTEM_VERSION = 1;

const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  text: "TEXT",
  int: "INTEGER",
  real: "REAL",
  bool: "INTEGER",
  json: "TEXT",
  blob: "BLOB",
};

/**
 * States are numbers on disk, all as wide as each other: 10 ready, 11 blocked, 20 done, 21 dead, 22 canceled. A lease is a
 * row of its own beside a ready job: taking one writes 40 bytes instead of the job and its indexes, which is most of what
 * a claim costs. Each partial index holds only the rows of its question, so a million finished jobs cost a claim nothing.
 */
export const SYSTEM_SQL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS _pylon_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS _pylon_jobs (
     seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, kind TEXT NOT NULL, lane TEXT NOT NULL, key TEXT,
     payload TEXT NOT NULL, state INTEGER NOT NULL, due_at INTEGER NOT NULL, attempt INTEGER NOT NULL,
     lost INTEGER NOT NULL, last_status INTEGER, last_error TEXT, created_at INTEGER NOT NULL, finished_at INTEGER) STRICT`,
  `CREATE UNIQUE INDEX IF NOT EXISTS _pylon_jobs_id ON _pylon_jobs (id)`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_ready ON _pylon_jobs (lane, due_at, seq) WHERE state = 10`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_key ON _pylon_jobs (key, seq) WHERE key IS NOT NULL AND state < 20`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_blocked ON _pylon_jobs (key) WHERE state = 11`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_live ON _pylon_jobs (kind, seq) WHERE state < 20`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_dead ON _pylon_jobs (kind, seq) WHERE state = 21`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_finished ON _pylon_jobs (finished_at) WHERE state >= 20`,
  `CREATE TABLE IF NOT EXISTS _pylon_leases (
     seq INTEGER PRIMARY KEY, owner TEXT NOT NULL, lease_until INTEGER NOT NULL, attempt INTEGER NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS _pylon_job_attempts (
     job_seq INTEGER NOT NULL, started_at INTEGER NOT NULL, number INTEGER NOT NULL, duration_ms REAL NOT NULL,
     ok INTEGER NOT NULL, status INTEGER, error TEXT,
     PRIMARY KEY (job_seq, started_at, number)) STRICT, WITHOUT ROWID`,
];

const ID_SQL = { plain: '"id" TEXT PRIMARY KEY NOT NULL', clustered: '"id" TEXT UNIQUE NOT NULL' } as const;

function clusterSql(index: string): string {
  return ` CONSTRAINT ${quote(index)} PRIMARY KEY`;
}

/** Ends with the id, which every order ends with: rows that share a value are read in order and not sorted. */
function createIndexSql(table: string, { name, columns, unique }: IndexSpec): string {
  const all = unique || columns.includes("id") ? columns : [...columns, "id"];
  return `CREATE ${unique ? "UNIQUE " : ""}INDEX IF NOT EXISTS ${quote(name)} ON ${quote(table)} (${all.map(quote).join(", ")})`;
}

/** What the database has now; a step that was done before is planned from it as nothing. */
export interface PresentSchema {
  /** The SQL type of a column; undefined when there is no such column. */
  typeOf(table: string, column: string): string | undefined;
  /** The column that is the table's rowid; undefined when none is. */
  rowIdOf(table: string): string | undefined;
  /** The SQL of a table whose rowid stands for this index, and of its other indexes; undefined when none does. */
  clusterOf(table: string, index: string): { readonly sql: string; readonly indexes: readonly string[] } | undefined;
  /** The indexes that a column is part of. */
  indexesOf(table: string, column: string): readonly { readonly name: string; readonly sql: string }[];
}

export function readPresentSchema(connection: SqliteConnection): PresentSchema {
  return {
    typeOf(table, column) {
      const found = connection.prepare(`SELECT type FROM pragma_table_info(?) WHERE name = ?`).get(table, column);
      return (found as { type: string } | undefined)?.type;
    },
    rowIdOf(table) {
      const found = connection
        .prepare(`SELECT name FROM pragma_table_info(?) WHERE pk = 1 AND type = 'INTEGER'`)
        .get(table);
      return (found as { name: string } | undefined)?.name;
    },
    clusterOf(table, index) {
      const all = `SELECT type, sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL`;
      const made = connection.prepare(all).all(table) as { type: string; sql: string }[];
      const sql = made.find(({ type }) => type === "table")?.sql;
      if (!sql?.includes(clusterSql(index))) return undefined;
      return { sql, indexes: made.filter(({ type }) => type === "index").map((other) => other.sql) };
    },
    indexesOf(table, column) {
      const sql = `SELECT made.name, made.sql FROM sqlite_schema AS made, pragma_index_info(made.name) AS part
        WHERE made.type = 'index' AND made.tbl_name = ? AND made.sql IS NOT NULL AND part.name = ?`;
      return connection.prepare(sql).all(table, column) as { name: string; sql: string }[];
    },
  };
}

/**
 * The column that a table is clustered by is its rowid (https://sqlite.org/lang_createtable.html#rowid), under the name of the
 * index that it stands for.
 */
function columnSql({ clusteredBy, indexes }: TableSpec, { name, type }: ColumnSpec): string {
  const index = indexes.find(({ unique, columns }) => unique && columns.join() === name);
  const key = index ? clusterSql(index.name) : " PRIMARY KEY";
  return `, ${quote(name)} ${SQL_TYPES[type]}${name === clusteredBy ? key : ""}`;
}

/** Rows stay, in a table whose key is the id: with its index, the column stops being the rowid. */
function dropIndexSql(table: string, index: string, present: PresentSchema): string[] {
  const cluster = present.clusterOf(table, index);
  if (!cluster) return [`DROP INDEX IF EXISTS ${quote(index)}`];
  const rows = `${table}__new`;
  const sql = cluster.sql
    .replace(quote(table), quote(rows))
    .replace(clusterSql(index), "")
    .replace(ID_SQL.clustered, ID_SQL.plain);
  return [
    sql,
    `INSERT INTO ${quote(rows)} SELECT * FROM ${quote(table)}`,
    `DROP TABLE ${quote(table)}`,
    `ALTER TABLE ${quote(rows)} RENAME TO ${quote(table)}`,
    ...cluster.indexes,
  ];
}

/** The rowid is unique, and rows are found by it: an index over it would be a second one. */
function isNeeded({ unique, columns }: IndexSpec, rowId: string | undefined): boolean {
  return !unique || columns.length > 1 || columns[0] !== rowId;
}

function createTableSql(table: TableSpec, present: PresentSchema): string[] {
  const { name, clusteredBy, indexes } = table;
  // A table that an earlier version has made stays as it is.
  const rowId = present.typeOf(name, "id") === undefined ? clusteredBy : present.rowIdOf(name);
  const id = clusteredBy === undefined ? ID_SQL.plain : ID_SQL.clustered;
  const columns = table.columns.map((column) => columnSql(table, column)).join("");
  return [
    `CREATE TABLE IF NOT EXISTS ${quote(name)} (${id}${columns}) STRICT`,
    ...indexes.filter((index) => isNeeded(index, rowId)).map((index) => createIndexSql(name, index)),
  ];
}

/** Values as JavaScript and Postgres write them: no "1" for true, no "5.0" for 5. */
function textSql(column: string, from: ColumnType): string {
  if (from === "bool") return `CASE ${column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END`;
  const text = `CAST(${column} AS TEXT)`;
  return from === "real"
    ? `CASE WHEN ${text} LIKE '%.0' THEN substr(${text}, 1, length(${text}) - 2) ELSE ${text} END`
    : text;
}

/** SQLite refuses to drop a column that an index needs; Postgres drops the index with it. */
function dropColumnSql(table: string, column: string, present: PresentSchema): string[] {
  return [
    ...present.indexesOf(table, column).map((index) => `DROP INDEX ${quote(index.name)}`),
    `ALTER TABLE ${quote(table)} DROP COLUMN ${quote(column)}`,
  ];
}

/** SQLite cannot change a column's type, so the values move through a second column and the indexes are made again. */
function convertColumnSql(step: Extract<SchemaStep, { kind: "convert-column" }>, present: PresentSchema): string[] {
  const { name: column, type } = step.column;
  const [from, to, name] = [quote(column), quote(`${column}__new`), quote(step.table)];
  return [
    `ALTER TABLE ${name} ADD COLUMN ${to} ${SQL_TYPES[type]}`,
    `UPDATE ${name} SET ${to} = ${type === "text" ? textSql(from, step.from) : `CAST(${from} AS ${SQL_TYPES[type]})`}`,
    ...dropColumnSql(step.table, column, present),
    `ALTER TABLE ${name} RENAME COLUMN ${to} TO ${from}`,
    ...present.indexesOf(step.table, column).map((index) => index.sql),
  ];
}

/** The statements of one step, none when `present` shows that it was done. */
export function stepSql(step: SchemaStep, present: PresentSchema): string[] {
  switch (step.kind) {
    case "create-table":
      return createTableSql(step.table, present);
    case "drop-table":
      return [`DROP TABLE IF EXISTS ${quote(step.table)}`];
    case "add-column":
      if (present.typeOf(step.table, step.column.name) !== undefined) return [];
      return [`ALTER TABLE ${quote(step.table)} ADD COLUMN ${quote(step.column.name)} ${SQL_TYPES[step.column.type]}`];
    case "drop-column":
      if (present.typeOf(step.table, step.column) === undefined) return [];
      return dropColumnSql(step.table, step.column, present);
    case "convert-column":
      if (present.typeOf(step.table, step.column.name) === SQL_TYPES[step.column.type]) return [];
      return convertColumnSql(step, present);
    case "create-index":
      return isNeeded(step.index, present.rowIdOf(step.table)) ? [createIndexSql(step.table, step.index)] : [];
    case "drop-index":
      return dropIndexSql(step.table, step.index, present);
  }
}
