// Schema steps as SQLite statements, and the tables that Pylon itself needs. Tables are STRICT; `NOT NULL` and foreign
// keys stay out: the write path validates, and a constraint that fails at COMMIT would take its neighbours down with it.

import type { ColumnType, IndexSpec, SchemaStep, TableSpec } from "../store.ts";
import { quote } from "./table-codec.ts";

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
 * States are numbers on disk: 0 ready, 2 blocked, 3 done, 4 dead, 5 canceled. A lease is a row of its own beside a ready
 * job: taking one writes 40 bytes instead of the job and its indexes, which is most of what a claim costs. Each partial
 * index holds only the rows of its question, so a million finished jobs cost a claim nothing.
 */
export const SYSTEM_SQL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS _pylon_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS _pylon_jobs (
     seq INTEGER PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, lane TEXT NOT NULL, key TEXT,
     payload TEXT NOT NULL, state INTEGER NOT NULL, due_at INTEGER NOT NULL, attempt INTEGER NOT NULL,
     last_status INTEGER, last_error TEXT, created_at INTEGER NOT NULL, finished_at INTEGER) STRICT`,
  `CREATE UNIQUE INDEX IF NOT EXISTS _pylon_jobs_id ON _pylon_jobs (id)`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_ready ON _pylon_jobs (lane, due_at, seq) WHERE state = 0`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_key ON _pylon_jobs (key, seq) WHERE key IS NOT NULL AND state < 3`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_live ON _pylon_jobs (kind, seq) WHERE state < 3`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_dead ON _pylon_jobs (kind, seq) WHERE state = 4`,
  `CREATE INDEX IF NOT EXISTS _pylon_jobs_finished ON _pylon_jobs (finished_at) WHERE state >= 3`,
  `CREATE TABLE IF NOT EXISTS _pylon_leases (
     seq INTEGER PRIMARY KEY, owner TEXT NOT NULL, lease_until INTEGER NOT NULL, attempt INTEGER NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS _pylon_job_attempts (
     job_seq INTEGER NOT NULL, started_at INTEGER NOT NULL, number INTEGER NOT NULL, duration_ms REAL NOT NULL,
     ok INTEGER NOT NULL, status INTEGER, error TEXT,
     PRIMARY KEY (job_seq, started_at, number)) STRICT, WITHOUT ROWID`,
];

function createTableSql(table: TableSpec): string[] {
  const columns = table.columns.map((column) => `, ${quote(column.name)} ${SQL_TYPES[column.type]}`).join("");
  return [
    `CREATE TABLE IF NOT EXISTS ${quote(table.name)} ("id" TEXT PRIMARY KEY NOT NULL${columns}) STRICT`,
    ...table.indexes.map((index) => createIndexSql(table.name, index)),
  ];
}

function createIndexSql(table: string, index: IndexSpec): string {
  const unique = index.unique ? "UNIQUE " : "";
  return `CREATE ${unique}INDEX IF NOT EXISTS ${quote(index.name)} ON ${quote(table)} (${index.columns.map(quote).join(", ")})`;
}

/** SQLite cannot change a column's type, so the values move through a second column. */
function convertColumnSql(step: Extract<SchemaStep, { kind: "convert-column" }>): string[] {
  const { name: column, type } = step.column;
  const [from, to, name] = [quote(column), quote(`${column}__new`), quote(step.table)];
  const value =
    step.from === "bool" && type === "text" ? `CASE ${from} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END` : from;
  return [
    `ALTER TABLE ${name} ADD COLUMN ${to} ${SQL_TYPES[type]}`,
    `UPDATE ${name} SET ${to} = CAST(${value} AS ${SQL_TYPES[type]})`,
    `ALTER TABLE ${name} DROP COLUMN ${from}`,
    `ALTER TABLE ${name} RENAME COLUMN ${to} TO ${from}`,
  ];
}

/** The statements of one step. `hasColumn` makes adding and dropping repeatable. */
export function stepSql(step: SchemaStep, hasColumn: (table: string, column: string) => boolean): string[] {
  switch (step.kind) {
    case "create-table":
      return createTableSql(step.table);
    case "drop-table":
      return [`DROP TABLE IF EXISTS ${quote(step.table)}`];
    case "add-column":
      if (hasColumn(step.table, step.column.name)) return [];
      return [`ALTER TABLE ${quote(step.table)} ADD COLUMN ${quote(step.column.name)} ${SQL_TYPES[step.column.type]}`];
    case "drop-column":
      if (!hasColumn(step.table, step.column)) return [];
      return [`ALTER TABLE ${quote(step.table)} DROP COLUMN ${quote(step.column)}`];
    case "convert-column":
      if (SQL_TYPES[step.from] === SQL_TYPES[step.column.type]) return [];
      return convertColumnSql(step);
    case "create-index":
      return [createIndexSql(step.table, step.index)];
    case "drop-index":
      return [`DROP INDEX IF EXISTS ${quote(step.index)}`];
  }
}
