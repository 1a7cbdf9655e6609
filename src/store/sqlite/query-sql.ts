// A Query as SQL text and values. Values are always bound; names come from the table's spec.

import type { Condition, Query } from "../store.ts";
import type { SqlValue } from "./sqlite-client.ts";
import { type TableCodec } from "./table-codec.ts";
import { quote } from "../table-columns.ts";

export interface SqlText {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

const OPERATORS = { eq: "IS", ne: "IS NOT", gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;

function conditionSql(codec: TableCodec, condition: Condition, values: SqlValue[]): string {
  const column = quote(condition.column);
  const encode = (value: Parameters<TableCodec["encode"]>[1]): void => {
    values.push(codec.encode(condition.column, value));
  };
  codec.typeOf(condition.column);
  if (condition.op === "in") {
    const present = condition.values.filter((value) => value !== null);
    for (const value of present) encode(value);
    // An empty list is legal in SQLite and holds nothing; NULL in a list would match nothing either, so it is asked for.
    const listed = `${column} IN (${present.map(() => "?").join(", ")})`;
    return present.length === condition.values.length ? listed : `(${listed} OR ${column} IS NULL)`;
  }
  encode(condition.value);
  if (condition.op === "contains") return `instr(lower(${column}), lower(?)) > 0`;
  return `${column} ${OPERATORS[condition.op]} ?`;
}

/** `WHERE …`, or nothing; the values are appended to `values`. */
export function whereSql(codec: TableCodec, where: readonly Condition[], values: SqlValue[]): string {
  if (where.length === 0) return "";
  return ` WHERE ${where.map((condition) => conditionSql(codec, condition, values)).join(" AND ")}`;
}

/** "Behind this row" in a total order of (column, id); nulls sort first, as SQLite does ascending. */
function afterSql(codec: TableCodec, query: Query, values: SqlValue[]): string {
  const { after, order } = query;
  if (!after) return "";
  if (!order || order.column === "id") {
    values.push(after.id);
    return order?.descending ? `"id" < ?` : `"id" > ?`;
  }
  const column = quote(order.column);
  const value = codec.encode(order.column, after.value);
  if (value === null) {
    values.push(after.id);
    const sameNull = `(${column} IS NULL AND "id" > ?)`;
    return order.descending ? sameNull : `(${sameNull} OR ${column} IS NOT NULL)`;
  }
  values.push(value, value, after.id);
  const beyond = order.descending ? `(${column} < ? OR ${column} IS NULL` : `(${column} > ?`;
  return `${beyond} OR (${column} = ? AND "id" > ?))`;
}

export function selectSql(codec: TableCodec, query: Query): SqlText {
  const values: SqlValue[] = [];
  let sql = codec.selectSql + whereSql(codec, query.where ?? [], values);
  const after = afterSql(codec, query, values);
  if (after) sql += `${query.where?.length ? " AND " : " WHERE "}${after}`;
  if (query.order && query.order.column !== "id") {
    codec.typeOf(query.order.column);
    sql += ` ORDER BY ${quote(query.order.column)}${query.order.descending ? " DESC" : ""}, "id"`;
  } else {
    sql += ` ORDER BY "id"${query.order?.descending ? " DESC" : ""}`;
  }
  values.push(query.limit, query.offset ?? 0);
  return { sql: `${sql} LIMIT ? OFFSET ?`, values };
}
