// A Query as SQL text and values. Values are always bound; names come from the table's spec.

import type { Condition, Query, Value } from "../store.ts";
import type { SqlValue } from "./postgres-client.ts";
import { ARRAY_TYPES, encodeArray, encodeValue, type TableCodec } from "./table-codec.ts";
import { quote } from "../table-columns.ts";

/** Collects values and answers the place of each. */
export class Bindings {
  readonly values: SqlValue[] = [];

  bind(value: SqlValue): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

const OPERATORS = { eq: "=", ne: "IS DISTINCT FROM", gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;
const MAX_INT = 2n ** 63n - 1n;

/** A bound value; a number that no integer column can hold is compared as a numeric, which every number is. */
function bindValue(codec: TableCodec, column: string, value: Value, bindings: Bindings): string {
  const type = codec.typeOf(column);
  const place = bindings.bind(encodeValue(type, value));
  if (type !== "int" || value === null) return place;
  const fits = typeof value === "bigint" ? value <= MAX_INT && value >= -MAX_INT - 1n : Number.isSafeInteger(value);
  return fits ? place : `${place}::numeric`;
}

function inSql(codec: TableCodec, column: string, values: readonly Value[], bindings: Bindings): string {
  const type = codec.typeOf(column);
  const present = values.filter((value) => value !== null);
  const list = encodeArray(present.map((value) => encodeValue(type, value)));
  const listed = `${quote(column)} = ANY (${bindings.bind(list)}::${ARRAY_TYPES[type]})`;
  // NULL in a list would match nothing, so it is asked for.
  return present.length === values.length ? listed : `(${listed} OR ${quote(column)} IS NULL)`;
}

function conditionSql(codec: TableCodec, condition: Condition, bindings: Bindings): string {
  const { column } = condition;
  if (condition.op === "in") return inSql(codec, column, condition.values, bindings);
  const name = quote(column);
  codec.typeOf(column);
  // Only this form of "is null" can use an index.
  if (condition.value === null && condition.op === "eq") return `${name} IS NULL`;
  if (condition.value === null && condition.op === "ne") return `${name} IS NOT NULL`;
  const value = bindValue(codec, column, condition.value, bindings);
  if (condition.op === "contains") return `strpos(lower(${name}), lower(${value}::text COLLATE "C")) > 0`;
  return `${name} ${OPERATORS[condition.op]} ${value}`;
}

/** ` WHERE …`, or nothing. */
export function whereSql(codec: TableCodec, where: readonly Condition[], bindings: Bindings): string {
  if (where.length === 0) return "";
  return ` WHERE ${where.map((condition) => conditionSql(codec, condition, bindings)).join(" AND ")}`;
}

/** "Behind this row" in a total order of (column, id), nulls first ascending. */
function afterSql(codec: TableCodec, query: Query, bindings: Bindings): string {
  const { after, order } = query;
  if (!after) return "";
  if (!order || order.column === "id") return `"id" ${order?.descending ? "<" : ">"} ${bindings.bind(after.id)}`;
  const column = quote(order.column);
  const beyondId = `"id" > ${bindings.bind(after.id)}`;
  if (after.value === null) {
    const sameNull = `(${column} IS NULL AND ${beyondId})`;
    return order.descending ? sameNull : `(${sameNull} OR ${column} IS NOT NULL)`;
  }
  const value = bindValue(codec, order.column, after.value, bindings);
  const beyond = order.descending ? `${column} < ${value} OR ${column} IS NULL` : `${column} > ${value}`;
  return `(${beyond} OR (${column} = ${value} AND ${beyondId}))`;
}

function orderSql({ order }: Query): string {
  const direction = order?.descending ? " DESC NULLS LAST" : " NULLS FIRST";
  if (!order || order.column === "id") return ` ORDER BY "id"${order?.descending ? " DESC" : ""}`;
  return ` ORDER BY ${quote(order.column)}${direction}, "id"`;
}

/** The text of a query; its values are in `bindings`. */
export function selectSql(codec: TableCodec, query: Query, bindings: Bindings): string {
  if (query.order) codec.typeOf(query.order.column);
  const where = whereSql(codec, query.where ?? [], bindings);
  const after = afterSql(codec, query, bindings);
  const behind = after === "" ? "" : `${where === "" ? " WHERE" : " AND"} ${after}`;
  const [limit, offset] = [bindings.bind(String(query.limit)), bindings.bind(String(query.offset ?? 0))];
  return `${codec.selectSql}${where}${behind}${orderSql(query)} LIMIT ${limit} OFFSET ${offset}`;
}
