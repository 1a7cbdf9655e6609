// What a read rule demands of a row's columns, as conditions for the database. They are necessary, never sufficient: a row
// that they leave out could not have passed, a row that they let in is still put to the rule.

import type { Identity } from "../../core/identity.ts";
import type { ColumnType, Condition, Value } from "../../store/store.ts";
import { columnTypeOf } from "../field-type.ts";
import type { EntityDef } from "../manifest.ts";
import { compileTruth, compileValue } from "./evaluate-rule.ts";
import { isRowFree } from "./explain-fields.ts";
import { isNullLiteral, type Rule } from "./rule.ts";

/** Longer lists are left to the rule, so that no statement runs out of parameters. */
const MAX_IN_VALUES = 100;

/** What must hold of a row; `never` when no row can pass. */
type Demand = readonly Condition[] | "never";

interface Narrowing {
  readonly auth: Identity;
  /** Undefined for a field that the entity does not have. */
  columnOf(field: string): ColumnType | undefined;
}

/** Whether a column of this type can hold the value: a comparison across types has no answer, so no row passes it. */
const FITS: Readonly<Partial<Record<ColumnType, (value: unknown) => value is Value>>> = {
  text: (value): value is Value => typeof value === "string" && value.isWellFormed() && !value.includes("\0"),
  int: (value): value is Value => Number.isSafeInteger(value),
  real: (value): value is Value => typeof value === "number" && Number.isFinite(value),
  bool: (value): value is Value => typeof value === "boolean",
};

function valueFor(rule: Rule, narrowing: Narrowing): unknown {
  return compileValue(rule)({ auth: narrowing.auth, data: null, existing: null });
}

/** The column that the rule names, if it is a plain field of the row itself. */
function columnNamed(rule: Rule): string | undefined {
  return rule.kind === "field" && rule.root === "data" && rule.path.length === 1 ? rule.path[0] : undefined;
}

function demandEquals(column: string, other: Rule, narrowing: Narrowing): Demand {
  const type = narrowing.columnOf(column);
  if (type === undefined || !isRowFree(other)) return [];
  if (isNullLiteral(other)) return [{ column, op: "eq", value: null }];
  const fits = FITS[type];
  if (!fits) return [];
  const value = valueFor(other, narrowing);
  return fits(value) ? [{ column, op: "eq", value }] : "never";
}

function demandIn(column: string, list: Rule, narrowing: Narrowing): Demand {
  const type = narrowing.columnOf(column);
  const fits = type && FITS[type];
  if (!fits || !isRowFree(list) || (list.kind === "list" && list.items.some(isNullLiteral))) return [];
  const values = valueFor(list, narrowing);
  if (!Array.isArray(values)) return "never";
  const possible = (values as unknown[]).filter(fits);
  if (possible.length === 0) return "never";
  return possible.length > MAX_IN_VALUES ? [] : [{ column, op: "in", values: possible }];
}

function demandOfCompare(rule: Extract<Rule, { kind: "compare" }>, narrowing: Narrowing): Demand {
  const [left, right] = [columnNamed(rule.left), columnNamed(rule.right)];
  if (rule.op === "in") return left === undefined ? [] : demandIn(left, rule.right, narrowing);
  if (rule.op !== "==") return [];
  if (left !== undefined) return demandEquals(left, rule.right, narrowing);
  return right === undefined ? [] : demandEquals(right, rule.left, narrowing);
}

function demandOfAnd(rules: readonly Rule[], narrowing: Narrowing): Demand {
  const demands = rules.map((rule) => demandOf(rule, narrowing));
  return demands.some((demand) => demand === "never") ? "never" : demands.flatMap((demand) => demand as Condition[]);
}

/** Only one branch that is possible at all makes its demands the whole rule's. */
function demandOfOr(rules: readonly Rule[], narrowing: Narrowing): Demand {
  const possible = rules.map((rule) => demandOf(rule, narrowing)).filter((demand) => demand !== "never");
  return possible.length === 0 ? "never" : possible.length === 1 ? (possible[0] as Condition[]) : [];
}

function demandOf(rule: Rule, narrowing: Narrowing): Demand {
  if (isRowFree(rule)) {
    const truth = compileTruth(rule)({ auth: narrowing.auth, data: null, existing: null });
    return truth === true ? [] : "never";
  }
  if (rule.kind === "and") return demandOfAnd(rule.of, narrowing);
  if (rule.kind === "or") return demandOfOr(rule.of, narrowing);
  return rule.kind === "compare" ? demandOfCompare(rule, narrowing) : [];
}

/**
 * The conditions that a row of `entity` must meet for the rule to allow `auth` to see it; an empty list when nothing can be
 * said, undefined when no row can pass. Parts that ask about the caller alone are decided here, so
 * `auth.tenantId == data.applicationId or auth.is_admin` narrows to the caller's tenant.
 */
export function pushdown(rule: Rule, auth: Identity, entity: EntityDef): readonly Condition[] | undefined {
  const columns = new Map<string, ColumnType>(entity.fields.map((field) => [field.name, columnTypeOf(field.type)]));
  columns.set("id", "text");
  const demand = demandOf(rule, { auth, columnOf: (field) => columns.get(field) });
  return demand === "never" ? undefined : demand;
}
