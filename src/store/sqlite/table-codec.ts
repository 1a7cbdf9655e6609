// Rows of a described table to and from what SQLite stores, and the SQL texts that touch one row.

import type { Json } from "../../core/json.ts";
import { storeError } from "../store-errors.ts";
import type { ColumnType, Row, TableSpec, Value } from "../store.ts";
import { quote, readColumns } from "../table-columns.ts";
import type { SqlRow, SqlValue } from "./sqlite-client.ts";

export interface TableCodec {
  readonly spec: TableSpec;
  readonly selectSql: string;
  readonly getSql: string;
  readonly insertSql: string;
  /** For as many rows. */
  insertManySql(rows: number): string;
  readonly deleteSql: string;
  updateSql(columns: readonly string[]): string;
  typeOf(column: string): ColumnType;
  /** The row's values, behind those that are there. */
  encodeRow(row: Row, values?: SqlValue[]): SqlValue[];
  encode(column: string, value: Value): SqlValue;
  decode(raw: SqlRow): Row;
}

function encodeValue(type: ColumnType, value: Value): SqlValue {
  if (value === null) return null;
  if (type === "json") return JSON.stringify(value);
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string" || typeof value === "number" || typeof value === "bigint") return value;
  if (value instanceof Uint8Array) return value;
  throw storeError("STORE_FAILED", { message: `Cannot store an object in a ${type} column` });
}

function decodeValue(type: ColumnType, value: SqlValue): Value {
  if (value === null) return null;
  if (type === "bool") return value === 1 || value === 1n;
  if (type === "json") return JSON.parse(String(value)) as Json;
  if (type !== "int") return value;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  // Deno answers -2^63 as a number instead of refusing it; a number that large is exactly that one.
  return typeof value === "number" && !Number.isSafeInteger(value) ? BigInt(value) : value;
}

export function createTableCodec(spec: TableSpec): TableCodec {
  const { all: columns, list, typeOf } = readColumns(spec);
  const names = columns.map(([name]) => name);
  const table = quote(spec.name);
  const placeholders = `(${names.map(() => "?").join(", ")})`;
  const inserts: string[] = [];
  const updates = new Map<string, string>();
  return {
    spec,
    selectSql: `SELECT ${list} FROM ${table}`,
    getSql: `SELECT ${list} FROM ${table} WHERE "id" = ?`,
    insertSql: `INSERT INTO ${table} (${list}) VALUES ${placeholders}`,
    deleteSql: `DELETE FROM ${table} WHERE "id" = ?`,
    insertManySql(rows) {
      // Whoever inserts many rolls back after a conflict: SQLite need not keep what undoes half a statement.
      return (inserts[rows] ??=
        `INSERT OR FAIL INTO ${table} (${list}) VALUES ${Array(rows).fill(placeholders).join(", ")}`);
    },
    updateSql(changed) {
      const key = changed.join("\n");
      let sql = updates.get(key);
      if (sql === undefined) {
        sql = `UPDATE ${table} SET ${changed.map((name) => `${quote(name)} = ?`).join(", ")} WHERE "id" = ?`;
        updates.set(key, sql);
      }
      return sql;
    },
    typeOf,
    encodeRow(row, values = []) {
      for (const [name, type] of columns) {
        const value = row[name] ?? null;
        values.push(type === "text" && typeof value === "string" ? value : encodeValue(type, value));
      }
      return values;
    },
    encode: (column, value) => encodeValue(typeOf(column), value),
    decode(raw) {
      const row: Record<string, Value> = {};
      for (const [name, type] of columns) {
        const value = raw[name] ?? null;
        row[name] = type === "text" ? value : decodeValue(type, value);
      }
      return row as Row;
    },
  };
}
