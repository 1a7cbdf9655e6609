// Schema steps as Postgres statements, and the tables that Pylon itself needs.

import type { IndexSpec, SchemaStep, TableSpec } from "../store.ts";
import { SQL_TYPES } from "./table-codec.ts";
import { quote } from "../table-columns.ts";

/** Counted up when the tables below change; a database with a higher number is refused. */
export const SYSTEM_VERSION = 1;

/**
 * States are 10 ready, 11 blocked, 20 done, 21 dead, 22 canceled. A lease is a row of its own beside a ready job, so that
 * claiming and extending leave the job and its indexes alone; its unique key is what keeps two jobs of one key from running
 * at once, whatever the claimants saw. `waiters` says that a job behind this one is blocked and has to be let go.
 *
 * Leases come and go with every attempt: they are vacuumed early, so that the table stays as small as what is under way.
 */
export const SYSTEM_SQL = `
CREATE TABLE IF NOT EXISTS _pylon_meta (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS _pylon_jobs (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL,
  lane text COLLATE "C" NOT NULL, key text COLLATE "C", payload text NOT NULL, state smallint NOT NULL, due_at bigint NOT NULL,
  attempt integer NOT NULL DEFAULT 0, lost integer NOT NULL DEFAULT 0, waiters boolean NOT NULL DEFAULT false,
  last_status integer, last_error text, created_at bigint NOT NULL, finished_at bigint)
  WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE UNIQUE INDEX IF NOT EXISTS _pylon_jobs_id ON _pylon_jobs (id);
CREATE INDEX IF NOT EXISTS _pylon_jobs_ready ON _pylon_jobs (lane, due_at, seq) WHERE state = 10;
CREATE INDEX IF NOT EXISTS _pylon_jobs_key ON _pylon_jobs (key, seq) WHERE key IS NOT NULL AND state = 10;
CREATE INDEX IF NOT EXISTS _pylon_jobs_blocked ON _pylon_jobs (key, seq) WHERE state = 11;
CREATE INDEX IF NOT EXISTS _pylon_jobs_live ON _pylon_jobs (kind, seq) WHERE state < 20;
CREATE INDEX IF NOT EXISTS _pylon_jobs_dead ON _pylon_jobs (kind, seq) WHERE state = 21;
CREATE INDEX IF NOT EXISTS _pylon_jobs_finished ON _pylon_jobs (finished_at) WHERE state >= 20;
CREATE TABLE IF NOT EXISTS _pylon_leases (
  seq bigint PRIMARY KEY, key text COLLATE "C", owner text COLLATE "C" NOT NULL, lease_until bigint NOT NULL,
  attempt integer NOT NULL)
  WITH (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0);
CREATE UNIQUE INDEX IF NOT EXISTS _pylon_leases_key ON _pylon_leases (key) WHERE key IS NOT NULL;
CREATE TABLE IF NOT EXISTS _pylon_job_attempts (
  job_seq bigint NOT NULL, started_at bigint NOT NULL, number integer NOT NULL, duration_ms double precision NOT NULL,
  ok boolean NOT NULL, status integer, error text, PRIMARY KEY (job_seq, started_at, number));
`;

/** In the order in which queries ask for rows, which ends with the id: a page is read from the index, and not sorted. */
function createIndexSql(table: string, { name, columns, unique }: IndexSpec): string {
  const all = unique || columns.includes("id") ? columns : [...columns, "id"];
  const list = all.map((column) => `${quote(column)} NULLS FIRST`).join(", ");
  return `CREATE ${unique ? "UNIQUE " : ""}INDEX IF NOT EXISTS ${quote(name)} ON ${quote(table)} (${list})`;
}

function createTableSql(table: TableSpec): string[] {
  const columns = table.columns.map((column) => `, ${quote(column.name)} ${SQL_TYPES[column.type]}`).join("");
  return [
    `CREATE TABLE IF NOT EXISTS ${quote(table.name)} ("id" text COLLATE "C" PRIMARY KEY${columns})`,
    ...table.indexes.map((index) => createIndexSql(table.name, index)),
  ];
}

/** Postgres rebuilds the indexes of a column whose type changes; a type that it has already is no change. */
function convertColumnSql({ table, column }: Extract<SchemaStep, { kind: "convert-column" }>): string {
  const name = quote(column.name);
  const [type] = SQL_TYPES[column.type].split(" COLLATE");
  return `ALTER TABLE ${quote(table)} ALTER COLUMN ${name} TYPE ${SQL_TYPES[column.type]} USING ${name}::${type}`;
}

/** The statements of one step; each does nothing when it was done before. */
export function stepSql(step: SchemaStep): string[] {
  switch (step.kind) {
    case "create-table":
      return createTableSql(step.table);
    case "drop-table":
      return [`DROP TABLE IF EXISTS ${quote(step.table)}`];
    case "add-column": {
      const { name, type } = step.column;
      return [`ALTER TABLE ${quote(step.table)} ADD COLUMN IF NOT EXISTS ${quote(name)} ${SQL_TYPES[type]}`];
    }
    case "drop-column":
      return [`ALTER TABLE ${quote(step.table)} DROP COLUMN IF EXISTS ${quote(step.column)}`];
    case "convert-column":
      return [convertColumnSql(step)];
    case "create-index":
      return [createIndexSql(step.table, step.index)];
    case "drop-index":
      return [`DROP INDEX IF EXISTS ${quote(step.index)}`];
  }
}
