// What a rule demands of a row is necessary: narrowing by it never hides a row that the rule shows.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ANONYMOUS, type Identity } from "../../../src/core/identity.ts";
import { entity, field } from "../../../src/manifest/dsl.ts";
import { compileRule } from "../../../src/manifest/policy/evaluate-rule.ts";
import { parseRule } from "../../../src/manifest/policy/parse-rule.ts";
import { pushdown } from "../../../src/manifest/policy/pushdown.ts";
import type { Condition } from "../../../src/store/store.ts";
import { anyIdentity, anyRow, anyRule } from "./rule-arbitrary.ts";

const THING = entity("Thing", {
  text: field.string().optional(),
  owner: field.id("User").optional(),
  count: field.int().optional(),
  flag: field.bool().optional(),
  meta: field.json().optional(),
});
const ALICE: Identity = { ...ANONYMOUS, kind: "user", userId: "alice", tenantId: "acme", roles: ["editor"] };

function of(text: string, auth: Identity = ALICE): readonly Condition[] | undefined {
  return pushdown(parseRule(text), auth, THING);
}

function eq(column: string, value: string | number | boolean | null): Condition {
  return { column, op: "eq", value };
}

describe("pushdown", () => {
  it("takes equalities out of what must all hold", () => {
    assert.deepEqual(of("auth.userId == data.owner and data.flag == true and data.count > 1"), [
      eq("owner", "alice"),
      eq("flag", true),
    ]);
    assert.deepEqual(of("data.owner == null"), [eq("owner", null)]);
    assert.deepEqual(of("data.id == auth.userId"), [eq("id", "alice")]);
    assert.deepEqual(of("data.count == -(1 + 2)"), [eq("count", -3)]);
    assert.deepEqual(of("data.text in ['a', 5, 'b']"), [{ column: "text", op: "in", values: ["a", "b"] }]);
    assert.deepEqual(of("data.text in auth.roles"), [{ column: "text", op: "in", values: ["editor"] }]);
  });

  it("decides what only the caller decides", () => {
    assert.deepEqual(of("auth.tenantId == data.owner or auth.is_admin"), [eq("owner", "acme")]);
    assert.deepEqual(of("auth.hasRole('editor') or data.owner == auth.userId"), []);
    assert.deepEqual(of("auth.userId != null"), []);
    assert.equal(of("auth.hasRole('owner')"), undefined);
    assert.equal(of("auth.hasRole('owner') and data.flag"), undefined);
    assert.equal(of("data.owner == auth.userId", ANONYMOUS), undefined);
    assert.equal(of("data.owner == auth.userId or data.text in []", ANONYMOUS), undefined);
  });

  it("says nothing where it cannot", () => {
    const texts = [
      "data.owner == auth.userId or data.flag",
      "not (data.owner == auth.userId)",
      "data.owner != auth.userId",
      "data.owner == data.text",
      "existing.owner == auth.userId",
      "data.meta.owner == auth.userId",
      "data.meta == 'x'",
      "data.text in ['a', null]",
      "data.text in data.meta",
      "data.count > 5",
    ];
    for (const text of texts) assert.deepEqual(of(text), [], text);
    const long = `data.text in [${Array.from({ length: 101 }, () => "'a'").join()}]`;
    assert.deepEqual(of(long), []);
  });

  it("never hands a column a value that it cannot hold", () => {
    const texts = ["data.count == 'a'", "data.count == 1.5", "data.text == 5", "data.flag == 1"];
    const unstorable = [String.raw`data.text == 'a\u0000'`, String.raw`data.text == '\ud800'`];
    for (const text of [...texts, ...unstorable]) assert.equal(of(text), undefined, text);
  });

  it("is necessary: no row that the rule allows is left out", () => {
    let narrowed = 0;
    fc.assert(
      fc.property(anyRule, anyIdentity, anyRow, (rule, auth, row) => {
        const conditions = pushdown(rule, auth, THING);
        if (conditions === undefined || conditions.length > 0) narrowed += 1;
        if (!compileRule(rule)({ auth, data: row, existing: null })) return;
        assert.ok(conditions, "said that no row can pass");
        for (const condition of conditions) {
          const value = (row as Record<string, unknown>)[condition.column];
          if (condition.op === "in") assert.ok(condition.values.includes(value as never));
          else assert.ok(condition.op === "eq" && condition.value === value);
        }
      }),
      { numRuns: 5000 },
    );
    assert.ok(narrowed > 500, `only ${narrowed} narrowed`);
  });
});
