// A policy rule as a tree. Plain data: what the parser gives, the printer prints and the evaluator compiles.

export type AuthMember = "userId" | "email" | "roles" | "tenantId" | "isAdmin";
/** `data` is the row as asked for or as it would be; `existing` the row before a write. */
export type RowRoot = "data" | "existing";
export type Comparator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "starts_with" | "ends_with";
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";

export type Rule =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  | { readonly kind: "list"; readonly items: readonly Rule[] }
  | { readonly kind: "auth"; readonly member: AuthMember }
  /** `offset` is where the rule's text names it, in UTF-16 units. */
  | {
      readonly kind: "field";
      readonly root: RowRoot;
      readonly path: readonly [string, ...string[]];
      readonly offset: number;
    }
  | { readonly kind: "role"; readonly anyOf: readonly string[] }
  | { readonly kind: "not" | "negate"; readonly of: Rule }
  /** Two or more. */
  | { readonly kind: "and" | "or"; readonly of: readonly Rule[] }
  | { readonly kind: "compare"; readonly op: Comparator; readonly left: Rule; readonly right: Rule }
  | { readonly kind: "arithmetic"; readonly op: ArithmeticOperator; readonly left: Rule; readonly right: Rule };

/** Both spellings of what a rule may ask about the caller. */
export const AUTH_MEMBERS: ReadonlyMap<string, AuthMember> = new Map([
  ["userId", "userId"],
  ["user_id", "userId"],
  ["email", "email"],
  ["roles", "roles"],
  ["tenantId", "tenantId"],
  ["tenant_id", "tenantId"],
  ["isAdmin", "isAdmin"],
  ["is_admin", "isAdmin"],
]);

/** The word `null` itself, as opposed to a value that turns out to be null. */
export function isNullLiteral(rule: Rule): boolean {
  return rule.kind === "literal" && rule.value === null;
}

/** The direct parts of a rule, left to right. */
export function partsOf(rule: Rule): readonly Rule[] {
  switch (rule.kind) {
    case "list":
      return rule.items;
    case "not":
    case "negate":
      return [rule.of];
    case "and":
    case "or":
      return rule.of;
    case "compare":
    case "arithmetic":
      return [rule.left, rule.right];
    default:
      return [];
  }
}
