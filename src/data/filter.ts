// Filters as application code writes them (`{ total: { $gt: 10 }, $order: { total: "desc" } }`) to a store Query. What is
// not understood is an error, never ignored: an ignored condition answers rows that nobody asked for.

import type { Problem } from "../core/errors.ts";
import { isObject } from "../core/json.ts";
import type { ColumnType, Condition, Query, Value } from "../store/store.ts";
import { dataError } from "./data-errors.ts";
import type { EntityModel } from "./model.ts";

/** The most rows that one call answers. */
export const MAX_ROWS = 10_000;
/** A list of values for `$in`. */
const MAX_IN = 1_000;
const MAX_OFFSET = 1_000_000;

/** `{field: value}`, `{field: {$op: value}}`, `$order`, `$limit`, `$offset`. */
export type Filter = Readonly<Record<string, unknown>>;

const OPERATORS = { $not: "ne", $gt: "gt", $gte: "gte", $lt: "lt", $lte: "lte" } as const;

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

/** A literal part of a text; `%` and `_` are themselves. */
function parseLike(column: string, value: unknown, parsing: Parsing): Condition[] {
  const path = `${column}.$like`;
  if (typeOf(parsing.entity, column) !== "text") {
    parsing.problems.push({ path, message: "Only a text field has parts" });
    return [];
  }
  // Not the field's own reader: a part of a datetime or of an id is neither.
  if (typeof value === "string" && value.isWellFormed() && !value.includes("\0")) {
    return [{ column, op: "contains", value }];
  }
  parsing.problems.push({ path, message: "Expected a string without U+0000 and lone surrogates" });
  return [];
}

function parseOperator(column: string, name: string, value: unknown, parsing: Parsing): Condition[] {
  const path = `${column}.${name}`;
  if (name === "$in") return parseIn(column, value, parsing);
  if (name === "$like") return parseLike(column, value, parsing);
  if (!isOperator(name)) {
    parsing.problems.push({ path, message: "Unknown operator" });
    return [];
  }
  if (name !== "$not" && typeOf(parsing.entity, column) === "json") {
    parsing.problems.push({ path, message: "JSON values have no order" });
    return [];
  }
  const operand = readValue(column, path, value, parsing);
  return operand === undefined ? [] : [{ column, op: OPERATORS[name], value: operand }];
}

/** Undefined for a column that the entity does not have. */
function typeOf(entity: EntityModel, name: string): ColumnType | undefined {
  return name === "id" ? "text" : entity.table.columns.find((column) => column.name === name)?.type;
}

function parseCondition(column: string, value: unknown, parsing: Parsing): Condition[] {
  if (typeOf(parsing.entity, column) === undefined) {
    parsing.problems.push({ path: column, message: `${parsing.entity.def.name} has no such field` });
    return [];
  }
  if (!isObject(value)) return parseEquality(column, value, parsing);
  const operators = Object.entries(value);
  // No operator is no condition, and would match every row.
  if (operators.length === 0) parsing.problems.push({ path: column, message: "Expected an operator, such as $gt" });
  return operators.flatMap(([name, operand]) => parseOperator(column, name, operand, parsing));
}

function parseEquality(column: string, value: unknown, parsing: Parsing): Condition[] {
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
  const type = column === undefined || entries.length !== 1 ? undefined : typeOf(parsing.entity, column);
  // No two databases order JSON alike.
  const valid = column !== undefined && type !== undefined && type !== "json";
  if (valid && (direction === "asc" || direction === "desc")) return { column, descending: direction === "desc" };
  parsing.problems.push({ path: "$order", message: 'Expected one field, not of JSON, with "asc" or "desc"' });
  return undefined;
}

/** A parsed filter; `limit` is absent when the filter gave none. */
export interface ParsedFilter {
  readonly where: readonly Condition[];
  readonly order: Query["order"];
  readonly limit: number | undefined;
  readonly offset: number;
}

function finish<T>(parsed: T, { problems }: Parsing): T {
  if (problems.length > 0) throw dataError("INVALID_QUERY", { details: problems });
  return parsed;
}

function startParsing(entity: EntityModel, filter: Filter): Parsing {
  // Application code is not always compiled.
  if (!isObject(filter)) throw dataError("INVALID_QUERY", { details: [{ path: "", message: "Expected an object" }] });
  return { entity, problems: [] };
}

/** @throws INVALID_QUERY with every problem. */
export function parseFilter(entity: EntityModel, filter: Filter): ParsedFilter {
  const parsing = startParsing(entity, filter);
  const { $order, $limit, $offset, ...fields } = filter;
  const parsed = {
    where: Object.entries(fields).flatMap(([column, value]) => parseCondition(column, value, parsing)),
    order: parseOrder($order, parsing),
    limit: parseCount("$limit", $limit, MAX_ROWS, parsing),
    offset: parseCount("$offset", $offset, MAX_OFFSET, parsing) ?? 0,
  };
  return finish(parsed, parsing);
}

/** A filter whose rows are given out by page. @throws INVALID_QUERY with every problem, `$limit` and `$offset` among them. */
export function parsePagedFilter(entity: EntityModel, filter: Filter): Pick<ParsedFilter, "where" | "order"> {
  const parsing = startParsing(entity, filter);
  const { $order, ...fields } = filter;
  const parsed = {
    where: Object.entries(fields).flatMap(([column, value]) => parseCondition(column, value, parsing)),
    order: parseOrder($order, parsing),
  };
  return finish(parsed, parsing);
}

/** The first row whose field has this value, whatever the value looks like. @throws INVALID_QUERY */
export function parseLookup(entity: EntityModel, field: string, value: unknown): ParsedFilter {
  const parsing: Parsing = { entity, problems: [] };
  const where = parseEquality(field, value, parsing);
  return finish({ where, order: undefined, limit: 1, offset: 0 }, parsing);
}
