// Rows as plain objects: what a Store's queries mean, written as directly as possible.

import type { Condition, Query, Row, TableSpec, UpdateOutcome, Value } from "../../src/store/store.ts";

export const ITEM: TableSpec = {
  name: "Item",
  columns: [
    { name: "code", type: "text" },
    { name: "group", type: "text" },
    { name: "place", type: "int" },
    { name: "ratio", type: "real" },
    { name: "open", type: "bool" },
  ],
  indexes: [
    { name: "Item_code", columns: ["code"], unique: true },
    { name: "Item_group_place", columns: ["group", "place"], unique: true },
    { name: "Item_ratio", columns: ["ratio"], unique: false },
  ],
};

export type Rows = Map<string, Row>;

function compareCodePoints(left: string, right: string): number {
  const [a, b] = [Array.from(left), Array.from(right)];
  for (let place = 0; place < Math.min(a.length, b.length); place += 1) {
    const difference = (a[place]?.codePointAt(0) ?? 0) - (b[place]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Nulls first; the values of one column are of one kind. */
export function compareValues(left: Value, right: Value): number {
  if (left === null || right === null) return Number(left !== null) - Number(right !== null);
  if (typeof left === "string" && typeof right === "string") return compareCodePoints(left, right);
  const [a, b] = [left as number | bigint | boolean, right as number | bigint | boolean];
  return a < b ? -1 : a > b ? 1 : 0;
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function holds(row: Row, condition: Condition): boolean {
  const value = row[condition.column] ?? null;
  if (condition.op === "in") return condition.values.some((one) => compareValues(value, one) === 0);
  if (condition.op === "eq") return compareValues(value, condition.value) === 0;
  if (condition.op === "ne") return compareValues(value, condition.value) !== 0;
  if (value === null || condition.value === null) return false;
  if (condition.op === "contains") return lowerAscii(value as string).includes(lowerAscii(condition.value as string));
  const order = compareValues(value, condition.value);
  return { gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[condition.op];
}

export function matching(rows: Rows, where: readonly Condition[]): Row[] {
  return [...rows.values()].filter((row) => where.every((condition) => holds(row, condition)));
}

export function find(rows: Rows, query: Query): Row[] {
  const { order, after } = query;
  const compare = (left: Row, right: { readonly id: string; readonly value: Value }): number => {
    const byId = compareCodePoints(left.id, right.id);
    if (!order) return byId;
    const sign = order.descending ? -1 : 1;
    if (order.column === "id") return sign * byId;
    return sign * compareValues(left[order.column] ?? null, right.value) || byId;
  };
  const valueOf = (row: Row): Value => (order ? (row[order.column] ?? null) : null);
  const start = query.offset ?? 0;
  return matching(rows, query.where ?? [])
    .filter((row) => !after || compare(row, after) > 0)
    .sort((left, right) => compare(left, { id: right.id, value: valueOf(right) }))
    .slice(start, start + query.limit);
}

/** The columns of every unique index that `row` would violate beside `others`: which is named is the database's choice. */
function violated(others: readonly Row[], row: Row): (readonly string[])[] {
  return ITEM.indexes
    .filter(({ unique }) => unique)
    .map(({ columns }) => columns)
    .filter((columns) => columns.every((column) => row[column] !== null))
    .filter((columns) =>
      others.some((other) =>
        columns.every((column) => compareValues(row[column] ?? null, other[column] ?? null) === 0),
      ),
    );
}

export type Expected = { readonly kind: string } | { readonly kind: "conflict"; readonly oneOf: (readonly string[])[] };

export function insert(rows: Rows, row: Row): Expected {
  const oneOf = [...(rows.has(row.id) ? [["id"]] : []), ...violated([...rows.values()], row)];
  if (oneOf.length > 0) return { kind: "conflict", oneOf };
  rows.set(row.id, row);
  return { kind: "inserted" };
}

export function update(rows: Rows, id: string, patch: Readonly<Record<string, Value>>): Expected | UpdateOutcome {
  const row = rows.get(id);
  if (!row) return { kind: "missing" };
  const changed: Row = { ...row, ...patch };
  const others = [...rows.values()].filter((other) => other.id !== id);
  const oneOf = violated(others, changed);
  if (oneOf.length > 0) return { kind: "conflict", oneOf };
  rows.set(id, changed);
  return { kind: "updated" };
}
