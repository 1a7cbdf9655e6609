// What must hold of policies beyond their shape. A rule that can never hold denies silently, so rules about missing fields
// and comparisons between types that never compare are problems at start-up, with their place.

import { isPylonError, type Problem } from "../core/errors.ts";
import type { ColumnType } from "../store/store.ts";
import { checkDuplicates } from "./check-entities.ts";
import { columnTypeOf, isFieldType } from "./field-type.ts";
import type { EntityView, ManifestView, PolicyView } from "./manifest-view.ts";
import { explainFields, type FieldMention } from "./policy/explain-fields.ts";
import { parseRule } from "./policy/parse-rule.ts";
import { printRule } from "./policy/print-rule.ts";
import { isNullLiteral, partsOf, type AuthMember, type Rule } from "./policy/rule.ts";

/** What a part of a rule can be, as far as it is known; undefined for anything. */
type ValueKind = "text" | "number" | "bool" | "list" | undefined;
type FieldTypes = ReadonlyMap<string, string | undefined>;

const KIND_OF_COLUMN: Readonly<Record<ColumnType, ValueKind>> = {
  text: "text",
  int: "number",
  real: "number",
  bool: "bool",
  json: undefined,
  blob: undefined,
};
const KIND_OF_MEMBER: Readonly<Record<AuthMember, ValueKind>> = {
  userId: "text",
  email: "text",
  roles: "list",
  tenantId: "text",
  isAdmin: "bool",
};

function kindOfLiteral(value: string | number | boolean | null): ValueKind {
  if (typeof value === "string") return "text";
  if (typeof value === "number") return "number";
  return value === null ? undefined : "bool";
}

function kindOf(rule: Rule, types: FieldTypes): ValueKind {
  switch (rule.kind) {
    case "literal":
      return kindOfLiteral(rule.value);
    case "auth":
      return KIND_OF_MEMBER[rule.member];
    case "list":
      return "list";
    case "arithmetic":
    case "negate":
      return "number";
    case "field": {
      const type = rule.path.length === 1 ? types.get(rule.path[0]) : undefined;
      return isFieldType(type) ? KIND_OF_COLUMN[columnTypeOf(type)] : undefined;
    }
    default:
      return "bool";
  }
}

/** Why the comparison can never hold; undefined when it can. */
function neverHolds(rule: Extract<Rule, { kind: "compare" }>, types: FieldTypes): string | undefined {
  const { op } = rule;
  if (isNullLiteral(rule.left) || isNullLiteral(rule.right)) return undefined;
  const [left, right] = [kindOf(rule.left, types), kindOf(rule.right, types)];
  if (op === "in") return right === undefined || right === "list" ? undefined : `the right side of "in" is no list`;
  if (left === "list" || right === "list") return `a list cannot be compared by "${op}"`;
  const isText = op === "starts_with" || op === "ends_with";
  const wrong = [left, right].find((kind) => isText && kind !== undefined && kind !== "text");
  if (wrong) return `"${op}" needs text on both sides, not a ${wrong}`;
  if (left === undefined || right === undefined || left === right) return undefined;
  return `a ${left} and a ${right} never compare`;
}

function checkComparisons(rule: Rule, types: FieldTypes): string[] {
  const reason = rule.kind === "compare" ? neverHolds(rule, types) : undefined;
  const own = reason === undefined ? [] : [`"${printRule(rule)}" never holds: ${reason}`];
  return [...own, ...partsOf(rule).flatMap((part) => checkComparisons(part, types))];
}

function checkMention(mention: FieldMention, entity: EntityView, types: FieldTypes): string[] {
  const name = `${mention.root}.${mention.field}`;
  const at = `at column ${mention.offset + 1}`;
  if (!types.has(mention.field)) {
    return entity.isPartial ? [] : [`The entity "${entity.name}" has no field for "${name}" ${at}`];
  }
  const type = types.get(mention.field);
  const hasMembers = type === undefined || type === "json";
  return mention.members.length === 0 || hasMembers ? [] : [`"${name}" is a ${type} and has no members ${at}`];
}

function parseOrProblem(path: string, text: string): Rule | Problem {
  try {
    return parseRule(text);
  } catch (error) {
    if (!isPylonError(error, "POLICY_INVALID")) throw error;
    return { path, message: error.message };
  }
}

/** What is wrong with one rule of the entity; without the entity only what is wrong with its text. */
function checkRule(path: string, text: string, entity: EntityView | undefined): Problem[] {
  const rule = parseOrProblem(path, text);
  if ("path" in rule && "message" in rule) return [rule];
  if (!entity) return [];
  const types: FieldTypes = new Map([
    ["id", "string"],
    ...entity.fields.flatMap(({ name, type }) => (name === undefined ? [] : [[name, type] as const])),
  ]);
  const mentions = explainFields(rule).flatMap((mention) => checkMention(mention, entity, types));
  return [...mentions, ...checkComparisons(rule, types)].map((message) => ({ path, message }));
}

function checkPolicy(policy: PolicyView, view: ManifestView, isEntity: (name: string) => boolean): Problem[] {
  const problems: Problem[] = [];
  if (policy.entity !== undefined && !isEntity(policy.entity)) {
    problems.push({ path: `${policy.path}.entity`, message: `Unknown entity ${JSON.stringify(policy.entity)}` });
  }
  if (!policy.hasRule) {
    problems.push({ path: policy.path, message: "The policy has no rule: expected allow, allowRead or another" });
  }
  const entity = view.entities.find(({ name }) => name !== undefined && name === policy.entity);
  return [...problems, ...policy.rules.flatMap(({ path, text }) => checkRule(path, text, entity))];
}

/** Everything that is wrong with the policies, apart from their shape. */
export function checkPolicies(view: ManifestView, isEntity: (name: string) => boolean): Problem[] {
  return [
    ...checkDuplicates("policy", view.policies),
    ...view.policies.flatMap((policy) => checkPolicy(policy, view, isEntity)),
  ];
}
