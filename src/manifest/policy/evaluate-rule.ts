// Rules as functions. An answer is true, false, or none (null), after SQL's three-valued logic, and only true allows.
//
// - A comparison with an absent value has no answer, neither for `==` nor for `!=`: an anonymous caller's `auth.userId`
//   neither equals a missing `data.ownerId` nor differs from it. The same holds for values of different types.
// - The word `null` asks whether a value is absent, and always has an answer: `data.ownerId == null`.
// - `not` of no answer is no answer, so turning a rule around never opens what it could not decide.
// - A value that stands alone is false when it is absent, false, 0 or ''.

import type { Identity } from "../../core/identity.ts";
import { isObject } from "../../core/json.ts";
import { isNullLiteral, type ArithmeticOperator, type AuthMember, type Comparator, type Rule } from "./rule.ts";

/** What a rule sees. A row is read by its own properties only. */
export interface RuleScope {
  readonly auth: Identity;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly existing: Readonly<Record<string, unknown>> | null;
}

/** True, false, or no answer. */
export type Truth = boolean | null;
type ValueOf = (scope: RuleScope) => unknown;
type TruthOf = (scope: RuleScope) => Truth;
type Compare = (left: unknown, right: unknown) => Truth;

const AUTH_VALUES: Readonly<Record<AuthMember, ValueOf>> = {
  userId: (scope) => scope.auth.userId,
  email: (scope) => scope.auth.email,
  roles: (scope) => scope.auth.roles,
  tenantId: (scope) => scope.auth.tenantId,
  isAdmin: (scope) => scope.auth.isAdmin,
};

/** NaN is no number here: it can only have been written behind Pylon's back, and it compares with nothing. */
function isNumeric(value: unknown): value is number | bigint {
  return typeof value === "bigint" || (typeof value === "number" && !Number.isNaN(value));
}

function isAbsent(value: unknown): boolean {
  return value === null || value === undefined;
}

/** −1, 0 or 1; null for what has no order. Text orders by UTF-16 unit, which puts normalised datetimes in time order. */
function orderOf(left: unknown, right: unknown): number | null {
  const comparable = (typeof left === "string" && typeof right === "string") || (isNumeric(left) && isNumeric(right));
  if (!comparable) return null;
  // A number and a bigint compare by value under `<`, which `===` does not do.
  const [a, b] = [left as number, right as number];
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

function equals(left: unknown, right: unknown): Truth {
  if (typeof left === "string" && typeof right === "string") return left === right;
  if (typeof left === "boolean" && typeof right === "boolean") return left === right;
  return isNumeric(left) && isNumeric(right) ? orderOf(left, right) === 0 : null;
}

function negated(truth: Truth): Truth {
  return truth === null ? null : !truth;
}

function ordered(holds: (order: number) => boolean): Compare {
  return (left, right) => {
    const order = orderOf(left, right);
    return order === null ? null : holds(order);
  };
}

function onText(holds: (left: string, right: string) => boolean): Compare {
  return (left, right) => (typeof left === "string" && typeof right === "string" ? holds(left, right) : null);
}

/** Whether one of them is true; none without an answer among the rest. */
function anyOf(count: number, truthAt: (index: number) => Truth): Truth {
  let result: Truth = false;
  for (let index = 0; index < count; index++) {
    const truth = truthAt(index);
    if (truth === true) return true;
    if (truth === null) result = null;
  }
  return result;
}

function isMember(value: unknown, list: unknown): Truth {
  if (isAbsent(value) || !Array.isArray(list)) return null;
  const items: readonly unknown[] = list;
  return anyOf(items.length, (index) => equals(value, items[index]));
}

const COMPARE: Readonly<Record<Comparator, Compare>> = {
  "==": equals,
  "!=": (left, right) => negated(equals(left, right)),
  "<": ordered((order) => order < 0),
  "<=": ordered((order) => order <= 0),
  ">": ordered((order) => order > 0),
  ">=": ordered((order) => order >= 0),
  in: isMember,
  starts_with: onText((left, right) => left.startsWith(right)),
  ends_with: onText((left, right) => left.endsWith(right)),
};

const CALCULATE: Readonly<Record<ArithmeticOperator, (left: number, right: number) => number>> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => left / right,
  "%": (left, right) => left % right,
};

/** Null for everything but finite numbers, in and out. A bigint is beyond what a number can calculate with exactly. */
function calculate(op: ArithmeticOperator, left: unknown, right: unknown): number | null {
  if (typeof left !== "number" || typeof right !== "number") return null;
  const result = CALCULATE[op](left, right);
  return Number.isFinite(result) ? result : null;
}

function ownMember(owner: unknown, name: string): unknown {
  return isObject(owner) && Object.hasOwn(owner, name) ? owner[name] : null;
}

function compileField(rule: Extract<Rule, { kind: "field" }>): ValueOf {
  const { root, path } = rule;
  const [first] = path;
  if (path.length === 1) return (scope) => ownMember(scope[root], first);
  return (scope) => {
    let value: unknown = scope[root];
    for (const name of path) value = ownMember(value, name);
    return value;
  };
}

function compileArithmetic(rule: Extract<Rule, { kind: "arithmetic" }>): ValueOf {
  const { op } = rule;
  const left = compileValue(rule.left);
  const right = compileValue(rule.right);
  return (scope) => calculate(op, left(scope), right(scope));
}

/** The rule as a value; a condition without an answer is null. */
export function compileValue(rule: Rule): ValueOf {
  switch (rule.kind) {
    case "literal":
      return () => rule.value;
    case "auth":
      return AUTH_VALUES[rule.member];
    case "field":
      return compileField(rule);
    case "arithmetic":
      return compileArithmetic(rule);
    case "list": {
      const items = rule.items.map(compileValue);
      return (scope) => items.map((item) => item(scope));
    }
    case "negate": {
      const of = compileValue(rule.of);
      return (scope) => calculate("-", 0, of(scope));
    }
    default:
      return compileTruth(rule);
  }
}

function truthOfValue(value: unknown): Truth {
  if (typeof value === "boolean") return value;
  if (typeof value === "string") return value !== "";
  if (isNumeric(value)) return orderOf(value, 0) !== 0;
  return isAbsent(value) ? false : null;
}

/** An absent field that stands alone is false; a calculation that has no result has no answer. */
function compileStanding(rule: Rule): TruthOf {
  const value = compileValue(rule);
  const isCalculated = rule.kind === "arithmetic" || rule.kind === "negate";
  return (scope) => {
    const result = value(scope);
    return isCalculated && result === null ? null : truthOfValue(result);
  };
}

function compileNullTest(op: Comparator, tested: Rule): TruthOf {
  const value = compileValue(tested);
  const expected = op !== "!=";
  return (scope) => isAbsent(value(scope)) === expected;
}

function compileCompare(op: Comparator, left: Rule, right: Rule): TruthOf {
  if (op === "in" && right.kind === "list") {
    const tests = right.items.map((item) => compileCompare("==", left, item));
    return (scope) => anyOf(tests.length, (index) => (tests[index] as TruthOf)(scope));
  }
  if (op === "==" || op === "!=") {
    if (isNullLiteral(right)) return compileNullTest(op, left);
    if (isNullLiteral(left)) return compileNullTest(op, right);
  }
  const [leftOf, rightOf, compare] = [compileValue(left), compileValue(right), COMPARE[op]];
  return (scope) => compare(leftOf(scope), rightOf(scope));
}

function compileAnd(rules: readonly Rule[]): TruthOf {
  const parts = rules.map(compileTruth);
  return (scope) => negated(anyOf(parts.length, (index) => negated((parts[index] as TruthOf)(scope))));
}

function compileOr(rules: readonly Rule[]): TruthOf {
  const parts = rules.map(compileTruth);
  return (scope) => anyOf(parts.length, (index) => (parts[index] as TruthOf)(scope));
}

/** The rule as an answer. */
export function compileTruth(rule: Rule): TruthOf {
  switch (rule.kind) {
    case "and":
      return compileAnd(rule.of);
    case "or":
      return compileOr(rule.of);
    case "not": {
      const of = compileTruth(rule.of);
      return (scope) => negated(of(scope));
    }
    case "compare":
      return compileCompare(rule.op, rule.left, rule.right);
    case "role":
      return (scope) => rule.anyOf.some((role) => scope.auth.roles.includes(role));
    default:
      return compileStanding(rule);
  }
}

/** Whether the rule allows. The function never throws and keeps nothing between calls. */
export function compileRule(rule: Rule): (scope: RuleScope) => boolean {
  const truth = compileTruth(rule);
  return (scope) => truth(scope) === true;
}
