// Rows of a described table to and from what Postgres takes and gives, and the SQL texts that touch one row.

import type { Json } from "../../core/json.ts";
import { encodeHex } from "../../crypto/hex.ts";
import { storeError } from "../store-errors.ts";
import type { ColumnType, Row, TableSpec, Value } from "../store.ts";
import { quote, readColumns } from "../table-columns.ts";
import type { SqlRow, SqlValue } from "./postgres-client.ts";

/** Text sorts by code point, whatever the server's locale; JSON is kept as the text that it was. */
export const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'text COLLATE "C"',
  int: "bigint",
  real: "double precision",
  bool: "boolean",
  json: 'text COLLATE "C"',
  blob: "bytea",
};
/** For lists: `= ANY ($1::bigint[])`. */
export const ARRAY_TYPES: Readonly<Record<ColumnType, string>> = {
  text: "text[]",
  int: "bigint[]",
  real: "double precision[]",
  bool: "boolean[]",
  json: "text[]",
  blob: "bytea[]",
};

export interface TableCodec {
  readonly spec: TableSpec;
  readonly selectSql: string;
  readonly getSql: string;
  /** Adds nothing when any unique index holds the values already. */
  readonly insertSql: string;
  readonly deleteSql: string;
  updateSql(columns: readonly string[]): string;
  /** Whether a unique index has one of these columns: an update of them can conflict. */
  isUnique(columns: readonly string[]): boolean;
  typeOf(column: string): ColumnType;
  encodeRow(row: Row): SqlValue[];
  encode(column: string, value: Value): SqlValue;
  decode(raw: SqlRow): Row;
}

/** A value as Postgres reads it from text. */
export function encodeValue(type: ColumnType, value: Value): SqlValue {
  if (value === null) return null;
  if (type === "json") return JSON.stringify(value);
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (typeof value === "boolean") return value ? "t" : "f";
  if (value instanceof Uint8Array) return `\\x${encodeHex(value)}`;
  throw storeError("STORE_FAILED", { message: `Cannot store an object in a ${type} column` });
}

/** A list as one parameter. */
export function encodeArray(values: readonly SqlValue[]): string {
  const items = values.map((value) =>
    value === null ? "NULL" : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`,
  );
  return `{${items.join(",")}}`;
}

/** Integers need no quotes, and there are many of them. */
export function encodeIntegers(values: readonly number[]): string {
  return `{${values.join(",")}}`;
}

function decodeValue(type: ColumnType, value: SqlRow[string]): Value {
  if (value === null || type !== "json") return value;
  return JSON.parse(String(value)) as Json;
}

export function createTableCodec(spec: TableSpec): TableCodec {
  const { all: columns, list, typeOf } = readColumns(spec);
  const table = quote(spec.name);
  const places = columns.map((_, place) => `$${place + 1}`).join(", ");
  const unique = new Set(spec.indexes.flatMap((index) => (index.unique ? index.columns : [])));
  return {
    spec,
    selectSql: `SELECT ${list} FROM ${table}`,
    getSql: `SELECT ${list} FROM ${table} WHERE "id" = $1`,
    insertSql: `INSERT INTO ${table} (${list}) VALUES (${places}) ON CONFLICT DO NOTHING`,
    deleteSql: `DELETE FROM ${table} WHERE "id" = $1`,
    updateSql(changed) {
      const set = changed.map((name, place) => `${quote(name)} = $${place + 1}`).join(", ");
      return `UPDATE ${table} SET ${set} WHERE "id" = $${changed.length + 1}`;
    },
    isUnique: (changed) => changed.some((column) => unique.has(column)),
    typeOf,
    encodeRow: (row) => columns.map(([name, type]) => encodeValue(type, row[name] ?? null)),
    encode: (column, value) => encodeValue(typeOf(column), value),
    decode(raw) {
      const row: Record<string, Value> = {};
      for (const [name, type] of columns) row[name] = decodeValue(type, raw[name] ?? null);
      return row as Row;
    },
  };
}
