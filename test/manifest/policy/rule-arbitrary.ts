// Random rules, callers and rows for the property tests of policies.

import fc from "fast-check";
import type { Identity } from "../../../src/core/identity.ts";
import type { ArithmeticOperator, AuthMember, Comparator, Rule } from "../../../src/manifest/policy/rule.ts";

const fieldName = fc.constantFrom(
  "text",
  "count",
  "flag",
  "meta",
  "owner",
  "id",
  "__proto__",
  "constructor",
  "in",
  "not",
);
const members: AuthMember[] = ["userId", "email", "roles", "tenantId", "isAdmin"];
const comparators: Comparator[] = ["==", "!=", "<", "<=", ">", ">=", "in", "starts_with", "ends_with"];
const operators: ArithmeticOperator[] = ["+", "-", "*", "/", "%"];

const number = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true, noDefaultInfinity: true }));
const text = fc.oneof(fc.constantFrom("", "a", "u1", "t1", "admin"), fc.string({ unit: "binary" }), fc.string());

const auth: fc.Arbitrary<Rule> = fc.constantFrom(...members).map((member) => ({ kind: "auth", member }));
const field: fc.Arbitrary<Rule> = fc
  .tuple(fc.constantFrom("data", "existing"), fieldName, fc.array(fieldName, { maxLength: 2 }))
  .map(([root, first, rest]) => ({ kind: "field", root, path: [first, ...rest], offset: 0 }));
const plainField: fc.Arbitrary<Rule> = fieldName.map((name) => ({
  kind: "field",
  root: "data",
  path: [name],
  offset: 0,
}));
const literal: fc.Arbitrary<Rule> = fc.oneof(number, text, fc.boolean()).map((value) => ({ kind: "literal", value }));
const nullLiteral: Rule = { kind: "literal", value: null };
const role: fc.Arbitrary<Rule> = fc
  .array(text, { minLength: 1, maxLength: 3 })
  .map((anyOf) => ({ kind: "role", anyOf }));
const nullTest: fc.Arbitrary<Rule> = fc
  .tuple(fc.constantFrom<Comparator>("==", "!="), fc.oneof(field, auth), fc.boolean())
  .map(([op, tested, isLeft]) => ({
    kind: "compare",
    op,
    left: isLeft ? nullLiteral : tested,
    right: isLeft ? tested : nullLiteral,
  }));

/** Any tree that the grammar can say. */
export const anyRule: fc.Arbitrary<Rule> = fc.letrec<{ rule: Rule }>((tie) => {
  const rule = tie("rule");
  return {
    rule: fc.oneof(
      { maxDepth: 5, depthSize: "small" },
      { arbitrary: fc.oneof(field, plainField, auth, literal, role, nullTest), weight: 3 },
      fc.record({ kind: fc.constant("list" as const), items: fc.array(rule, { maxLength: 3 }) }),
      fc.record({ kind: fc.constantFrom("not" as const, "negate" as const), of: rule }),
      {
        arbitrary: fc.record({
          kind: fc.constantFrom("and" as const, "or" as const),
          of: fc.array(rule, { minLength: 2, maxLength: 3 }),
        }),
        weight: 2,
      },
      {
        arbitrary: fc.record({
          kind: fc.constant("compare" as const),
          op: fc.constantFrom(...comparators),
          left: rule,
          right: rule,
        }),
        weight: 3,
      },
      fc.record({
        kind: fc.constant("compare" as const),
        op: fc.constantFrom<Comparator>("==", "in"),
        left: plainField,
        right: fc.oneof(
          auth,
          literal,
          fc.array(literal, { maxLength: 3 }).map((items): Rule => ({ kind: "list", items })),
        ),
      }),
      fc.record({
        kind: fc.constant("arithmetic" as const),
        op: fc.constantFrom(...operators),
        left: rule,
        right: rule,
      }),
    ),
  };
}).rule;

export const anyIdentity: fc.Arbitrary<Identity> = fc.record({
  kind: fc.constantFrom("user", "anonymous", "admin"),
  userId: fc.constantFrom(null, "u1", "a"),
  email: fc.constantFrom(null, "a", "x@y.z"),
  roles: fc.subarray(["admin", "a", ""]),
  tenantId: fc.constantFrom(null, "t1", "u1"),
  isAdmin: fc.boolean(),
});

/** A row of the entity that `pushdown` is tested with. */
export const anyRow = fc.record({
  id: fc.constantFrom("u1", "a", "b"),
  text: fc.oneof(fc.constant(null), text),
  owner: fc.constantFrom(null, "u1", "a", "t1"),
  count: fc.oneof(fc.constant(null), fc.integer({ min: -3, max: 3 }), fc.constant(2n ** 60n)),
  flag: fc.constantFrom(null, true, false),
  meta: fc.oneof(fc.constant(null), fc.jsonValue(), fc.constant({ owner: "u1", in: { not: ["a"] } })),
});

/** Anything at all in the place of a row. */
export const anyGarbage = fc.oneof(
  fc.constant(null),
  anyRow,
  fc.object({
    key: fc.oneof(fieldName, fc.string()),
    withBigInt: true,
    withTypedArray: true,
    withNullPrototype: true,
    withDate: true,
  }),
);
