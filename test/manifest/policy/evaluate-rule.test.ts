// What a rule allows, and above all what it does not.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ANONYMOUS, type Identity } from "../../../src/core/identity.ts";
import { compileRule, compileTruth, type RuleScope } from "../../../src/manifest/policy/evaluate-rule.ts";
import { parseRule } from "../../../src/manifest/policy/parse-rule.ts";
import { PolicyError } from "../../../src/manifest/policy/policy-error.ts";
import { printRule } from "../../../src/manifest/policy/print-rule.ts";
import type { Rule } from "../../../src/manifest/policy/rule.ts";
import { anyGarbage, anyIdentity, anyRule } from "./rule-arbitrary.ts";

const ALICE: Identity = {
  kind: "user",
  userId: "alice",
  email: "alice@example.com",
  roles: ["editor", "member"],
  tenantId: "acme",
  isAdmin: false,
};

function scopeOf(auth: Identity, data: RuleScope["data"] = null, existing: RuleScope["existing"] = null): RuleScope {
  return { auth, data, existing };
}

function allows(text: string, scope: RuleScope): boolean {
  return compileRule(parseRule(text))(scope);
}

function assertAll(scope: RuleScope, cases: Record<string, boolean>): void {
  for (const [text, expected] of Object.entries(cases)) assert.equal(allows(text, scope), expected, text);
}

describe("compileRule", () => {
  it("compares", () => {
    assertAll(scopeOf(ALICE, { owner: "alice", total: 5, name: "abc", open: true, at: "2026-01-01T00:00:00.000Z" }), {
      "auth.userId == data.owner": true,
      "auth.user_id != data.owner": false,
      "auth.userId != 'bob'": true,
      "data.total == 5": true,
      "data.total >= 5 and data.total <= 5": true,
      "data.total > 5 or data.total < 5": false,
      "data.name < 'abd'": true,
      "data.at < '2026-06-01'": true,
      "data.open": true,
      "!data.open": false,
      "data.open == true": true,
      "data.name starts_with 'ab'": true,
      "data.name ends_with 'ab'": false,
      "data.name in ['x', 'abc']": true,
      "data.name not in ['x', 'abc']": false,
      "'editor' in auth.roles": true,
      "'owner' not in auth.roles": true,
      "auth.hasRole('editor')": true,
      "auth.hasRole('owner')": false,
      "auth.hasAnyRole('owner', 'member')": true,
      "auth.is_admin": false,
      "data.total * 2 + 1 == 11": true,
      "data.total % 2 == 1 and -data.total == -5": true,
      "10 / data.total == 2": true,
      true: true,
      false: false,
    });
  });

  it("sees the row before and the row after", () => {
    assertAll(scopeOf(ALICE, { status: "paid", owner: "alice" }, { status: "open", owner: "alice" }), {
      "existing.status == 'open' and data.status == 'paid'": true,
      "existing.owner == data.owner": true,
      "existing.nothing == null": true,
    });
    assert.equal(allows("existing.owner == data.owner", scopeOf(ALICE, { owner: "alice" })), false);
  });

  it("never answers a comparison with an absent value", () => {
    const absent = scopeOf(ANONYMOUS, { owner: null, name: "x" });
    assertAll(absent, {
      "auth.userId == data.owner": false,
      "auth.userId != data.owner": false,
      "!(auth.userId == data.owner)": false,
      "!(auth.userId != data.owner)": false,
      "not (auth.userId == data.missing or auth.tenantId == data.missing)": false,
      "auth.userId != data.name": false,
      "auth.userId != 'root'": false,
      "!(auth.userId == data.name)": false,
      "auth.userId in [data.owner]": false,
      "auth.userId not in [data.owner]": false,
      "auth.userId not in ['root']": false,
      "auth.userId not in auth.roles": false,
      "data.name not in data.missing": false,
      "data.owner < 1 or data.owner >= 1": false,
      "data.owner starts_with ''": false,
      "data.owner + 1 != 7": false,
      "(auth.userId == data.owner) == false": false,
      "(auth.userId == data.owner) != true": false,
      "(auth.userId == data.owner) in [false]": false,
      "auth.userId == data.owner or data.name == 'x'": true,
      "auth.userId == data.owner and data.name == 'x'": false,
    });
  });

  it("answers a question about null itself", () => {
    assertAll(scopeOf(ANONYMOUS, { owner: null, name: "x", zero: 0, empty: "" }), {
      "data.owner == null": true,
      "null == data.owner": true,
      "data.owner != null": false,
      "data.missing == null": true,
      "data.name == null": false,
      "data.name != null": true,
      "data.zero == null": false,
      "data.empty == null": false,
      "auth.userId == null": true,
      "auth.userId != null": false,
      "data.owner in ['x', null]": true,
      "data.name in ['y', null]": false,
    });
    assert.equal(allows("auth.userId != null", scopeOf(ALICE)), true);
  });

  it("never compares across types", () => {
    assertAll(scopeOf(ALICE, { n: 1, s: "1", b: true, list: ["1", 2, null], object: { n: 1 } }), {
      "data.n == data.s": false,
      "data.n != data.s": false,
      "!(data.n == data.s)": false,
      "data.b == 1": false,
      "data.n < data.s": false,
      "data.b > false": false,
      "data.list == data.list": false,
      "data.object != data.list": false,
      "data.n + data.s == 2": false,
      "data.n starts_with 1": false,
      "data.s in data.list": true,
      "2 in data.list": true,
      "data.object.n == 1": true,
      "data.list": false,
      "!data.list": false,
    });
  });

  it("takes a value that stands alone for what it is worth", () => {
    assertAll(scopeOf(ALICE, { no: false, zero: 0, empty: "", one: 1, text: "x", none: null }), {
      "auth.userId": true,
      "data.one and data.text": true,
      "data.no or data.zero or data.empty or data.none or data.missing": false,
      "!data.no and !data.zero and !data.empty and !data.none and !data.missing": true,
      "!(data.one / 0)": false,
    });
    assert.equal(allows("auth.userId", scopeOf(ANONYMOUS)), false);
  });

  it("reads own properties of plain objects only", () => {
    const parsed = JSON.parse('{"meta": {"__proto__": {"x": 1}}, "list": [1], "text": "abc"}') as Record<
      string,
      unknown
    >;
    assertAll(scopeOf(ALICE, parsed), {
      "data.constructor == null": true,
      "data.__proto__ == null": true,
      "data.toString == null": true,
      "data.meta.constructor == null": true,
      "data.meta.constructor.name == null": true,
      "data.meta.__proto__.x == 1": true,
      "data.list.length == null": true,
      "data.text.length == null": true,
      "data.missing.deeper == null": true,
    });
    const inherited = Object.create({ owner: "alice" }) as Record<string, unknown>;
    assert.equal(allows("data.owner == 'alice'", scopeOf(ALICE, inherited)), false);
  });

  it("compares integers beyond 2^53 exactly", () => {
    assertAll(scopeOf(ALICE, { big: 2n ** 53n + 1n, same: 2n ** 53n + 1n, small: 3n }), {
      "data.big == data.same": true,
      "data.big > 9007199254740992": true,
      "data.big == 9007199254740992": false,
      "data.small == 3": true,
      "data.small + 1 == 4": false,
    });
  });

  it("calculates with finite numbers only", () => {
    assertAll(scopeOf(ALICE, { zero: 0, max: Number.MAX_VALUE, nan: Number.NaN }), {
      "1 / data.zero > 0": false,
      "1 / data.zero != 5": false,
      "1 % data.zero != 5": false,
      "data.max * 2 > 0": false,
      "data.nan != 1": false,
      "!(data.nan == 1)": false,
    });
  });
});

/** A scope of each kind, to tell rules apart. */
function truthsOf(rule: Rule, scopes: readonly RuleScope[]): unknown[] {
  return scopes.map(compileTruth(rule));
}

describe("compileRule, for any rule and scope", () => {
  const scope: fc.Arbitrary<RuleScope> = fc.record({
    auth: anyIdentity,
    data: anyGarbage,
    existing: anyGarbage,
  });

  it("never throws, and answers yes, no or nothing", () => {
    fc.assert(
      fc.property(anyRule, scope, (rule, scope) => {
        const truth = compileTruth(rule)(scope);
        assert.ok(truth === true || truth === false || truth === null);
        assert.equal(compileRule(rule)(scope), truth === true);
      }),
      { numRuns: 2000 },
    );
  });

  it("means the same after printing and parsing", () => {
    let compared = 0;
    fc.assert(
      fc.property(anyRule, fc.array(scope, { minLength: 1, maxLength: 4 }), (rule, scopes) => {
        let again: Rule;
        try {
          again = parseRule(printRule(rule));
        } catch (error) {
          assert.ok(error instanceof PolicyError);
          return;
        }
        compared += 1;
        assert.deepEqual(truthsOf(again, scopes), truthsOf(rule, scopes));
      }),
      { numRuns: 2000 },
    );
    assert.ok(compared > 1500, `only ${compared} compared`);
  });

  it("never opens by turning a rule around what it did not open or close", () => {
    fc.assert(
      fc.property(anyRule, scope, (rule, scope) => {
        const truth = compileTruth(rule)(scope);
        const turned = compileTruth({ kind: "not", of: rule })(scope);
        assert.equal(turned, truth === null ? null : !truth);
      }),
      { numRuns: 1000 },
    );
  });

  it("never finds an absent caller equal to, or different from, anything", () => {
    fc.assert(
      fc.property(anyRule, scope, (other, scope) => {
        const none: RuleScope = { ...scope, auth: { ...scope.auth, userId: null } };
        if (other.kind === "literal" && other.value === null) return;
        for (const op of ["==", "!=", "<", "<=", ">", ">="] as const) {
          const compare: Rule = { kind: "compare", op, left: { kind: "auth", member: "userId" }, right: other };
          assert.equal(compileTruth(compare)(none), null);
        }
      }),
    );
  });
});
