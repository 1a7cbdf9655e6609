// Filters as application code writes them (`{ total: { $gt: 10 }, $order: { total: "desc" } }`) to a store Query. What is
// not understood is an error, never ignored: an ignored condition answers rows that nobody asked for.

import type { Problem } from "../core/errors.ts";
import { isObject } from "../core/json.ts";
import type { Condition, Query, Value } from "../store/store.ts";
import { dataError } from "./data-errors.ts";
import type { EntityModel } from "./model.ts";

/** The most rows that one call answers. */
export const MAX_ROWS = 10_000;
/** A list of values for `$in`. */
const MAX_IN = 1_000;

/** `{field: value}`, `{field: {$op: value}}`, `$order`, `$limit`, `$offset`. */
export type Filter = Readonly<Record<string, unknown>>;

const OPERATORS = { $not: "ne", $gt: "gt", $gte: "gte", $lt: "lt", $lte: "lte", $like: "contains" } as const;

function isOperator(name: string): name is keyof typeof OPERATORS {
  return Object.hasOwn(OPERATORS, name);
}

interface Parsing {
  readonly entity: EntityModel;
  readonly problems: Problem[];
}

/** The value as the column stores it, so that a datetime compares in UTC and an int with an int. */
function readValue(column: string, path: string, value: unknown, parsing: Parsing): Value | undefined {
  const result = parsing.entity.codec.parseFilterValue(column, value);
  if (result.ok) return result.value;
  parsing.problems.push({ path, message: result.problem.message });
  return undefined;
}

function parseIn(column: string, value: unknown, parsing: Parsing): Condition[] {
  const path = `${column}.$in`;
  if (!Array.isArray(value) || value.length > MAX_IN) {
    parsing.problems.push({ path, message: `Expected a list of at most ${MAX_IN} values` });
    return [];
  }
  const values = value.map((item, index) => readValue(column, `${path}.${index}`, item, parsing));
  return [{ column, op: "in", values: values.filter((item) => item !== undefined) }];
}

function parseOperator(column: string, name: string, value: unknown, parsing: Parsing): Condition[] {
  const path = `${column}.${name}`;
  if (name === "$in") return parseIn(column, value, parsing);
  if (!isOperator(name)) {
    parsing.problems.push({ path, message: "Unknown operator" });
    return [];
  }
  if (name === "$like") {
    if (typeof value === "string") return [{ column, op: "contains", value }];
    parsing.problems.push({ path, message: "Expected a text" });
    return [];
  }
  const operand = readValue(column, path, value, parsing);
  return operand === undefined ? [] : [{ column, op: OPERATORS[name], value: operand }];
}

function isColumn(entity: EntityModel, name: string): boolean {
  return name === "id" || entity.table.columns.some((column) => column.name === name);
}

function parseCondition(column: string, value: unknown, parsing: Parsing): Condition[] {
  if (!isColumn(parsing.entity, column)) {
    parsing.problems.push({ path: column, message: `${parsing.entity.def.name} has no such field` });
    return [];
  }
  if (isObject(value)) {
    return Object.entries(value).flatMap(([name, operand]) => parseOperator(column, name, operand, parsing));
  }
  const operand = readValue(column, column, value, parsing);
  return operand === undefined ? [] : [{ column, op: "eq", value: operand }];
}

function parseCount(name: string, value: unknown, max: number, parsing: Parsing): number | undefined {
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max) return value as number;
  parsing.problems.push({ path: name, message: `Expected a whole number from 0 to ${max}` });
  return undefined;
}

function parseOrder(value: unknown, parsing: Parsing): Query["order"] {
  if (value === undefined) return undefined;
  const entries = isObject(value) ? Object.entries(value) : [];
  const [column, direction] = entries[0] ?? [];
  const valid = entries.length === 1 && column !== undefined && isColumn(parsing.entity, column);
  if (valid && (direction === "asc" || direction === "desc")) return { column, descending: direction === "desc" };
  parsing.problems.push({ path: "$order", message: 'Expected one field with "asc" or "desc"' });
  return undefined;
}

/** A parsed filter; `limit` is absent when the filter gave none. */
export interface ParsedFilter {
  readonly where: readonly Condition[];
  readonly order: Query["order"];
  readonly limit: number | undefined;
  readonly offset: number;
}

/** @throws INVALID_QUERY with every problem. */
export function parseFilter(entity: EntityModel, filter: Filter): ParsedFilter {
  const parsing: Parsing = { entity, problems: [] };
  const { $order, $limit, $offset, ...fields } = filter;
  const parsed = {
    where: Object.entries(fields).flatMap(([column, value]) => parseCondition(column, value, parsing)),
    order: parseOrder($order, parsing),
    limit: parseCount("$limit", $limit, MAX_ROWS, parsing),
    offset: parseCount("$offset", $offset, 1_000_000, parsing) ?? 0,
  };
  if (parsing.problems.length > 0) throw dataError("INVALID_QUERY", { details: parsing.problems });
  return parsed;
}
