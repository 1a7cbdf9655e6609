// The operators of targeting rules, one row for each case: operator, what it compares with, what matches and what does not.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Scalar } from "../../../src/plugins/feature-flags/condition-operators.ts";
import { evaluateFlag } from "../../../src/plugins/feature-flags/evaluate-flag.ts";
import { flagDefinition } from "../../../src/plugins/feature-flags/flag-definition.ts";
import { compareVersions, parseVersion } from "../../../src/plugins/feature-flags/semantic-version.ts";

interface Case {
  readonly op: string;
  readonly value?: Scalar;
  readonly values?: readonly Scalar[];
  readonly ignoreCase?: boolean;
  readonly matching: readonly unknown[];
  readonly other: readonly unknown[];
}

const MISSING = undefined;

const CASES: readonly Case[] = [
  { op: "eq", value: "pro", matching: ["pro"], other: ["Pro", "pro ", ["pro"], MISSING, null] },
  { op: "eq", value: "pro", ignoreCase: true, matching: ["PRO", "pro"], other: ["p", MISSING] },
  { op: "eq", value: 1, matching: [1], other: ["1", true, 1.5] },
  { op: "eq", value: null, matching: [null], other: [MISSING, false, ""] },
  { op: "ne", value: "pro", matching: ["free", MISSING, null, 1], other: ["pro"] },
  { op: "in", values: ["a", 2], matching: ["a", 2, ["x", "a"]], other: ["A", "2", [], MISSING] },
  { op: "in", values: ["A"], ignoreCase: true, matching: ["a", ["A"]], other: ["b"] },
  { op: "not_in", values: ["a"], matching: ["b", MISSING, ["b"]], other: ["a", ["b", "a"]] },
  { op: "gt", value: 10, matching: [10.5, "11"], other: [10, "ten", "", MISSING, null, [11], true] },
  { op: "gte", value: 10, matching: [10, "10"], other: [9.999] },
  { op: "lt", value: 0, matching: [-1, "-0.5"], other: [0, MISSING] },
  { op: "lte", value: 0, matching: [0], other: [0.1, null, Number.NaN] },
  {
    op: "before",
    value: "2026-05-01T00:00:00+02:00",
    matching: ["2026-04-30T21:59:59Z", "2026-04-30", Date.UTC(2020, 0, 1)],
    other: ["2026-04-30T22:00:00Z", "2026-13-01", "soon", MISSING],
  },
  { op: "after", value: Date.UTC(2026, 0, 1), matching: ["2026-01-02"], other: ["2026-01-01", "2025-12-31"] },
  {
    op: "semver_eq",
    value: "1.2.0",
    matching: ["1.2", "v1.2.0", "1.2.0+build.7"],
    other: ["1.2.0-rc.1", "1.2.1", 1.2],
  },
  { op: "semver_gt", value: "1.9.9", matching: ["1.10.0", "2"], other: ["1.9.9", "1.9.9-beta", "x"] },
  {
    op: "semver_gte",
    value: "2.0.0-rc.2",
    matching: ["2.0.0-rc.10", "2.0.0", "2.0.0-rc.2"],
    other: ["2.0.0-beta", "1"],
  },
  { op: "semver_lt", value: "1.0.0", matching: ["1.0.0-alpha", "0.9"], other: ["1.0.0", MISSING] },
  { op: "semver_lte", value: "1.0.0", matching: ["1.0.0"], other: ["1.0.1", ""] },
  { op: "starts_with", value: "eu-", matching: ["eu-west"], other: ["EU-west", "us-eu-", MISSING, 5] },
  { op: "starts_with", value: "EU-", ignoreCase: true, matching: ["eu-west"], other: ["us"] },
  { op: "ends_with", value: "@acme.com", matching: ["ada@acme.com"], other: ["ada@acme.com.evil.test"] },
  { op: "contains", value: "beta", matching: ["a beta user", ["beta", "x"]], other: ["Beta", ["beta user"], MISSING] },
  { op: "contains", value: 7, matching: [[1, 7]], other: ["7", [], 7] },
  {
    op: "matches",
    value: "^[a-z]+@(acme|example)\\.com$",
    matching: ["ada@acme.com"],
    other: ["Ada@acme.com", "ada@acmeXcom", 5],
  },
  { op: "matches", value: "ACME", ignoreCase: true, matching: ["x acme y"], other: ["ac me"] },
  { op: "exists", matching: ["", 0, false, [], {}], other: [MISSING, null] },
];

function holds({ op, value, values, ignoreCase }: Case, attribute: unknown, not: boolean): boolean {
  const rules = flagDefinition.shape.rules.parse([{ if: [{ attribute: "x", op, value, values, ignoreCase, not }] }]);
  const attributes = attribute === MISSING ? {} : { x: attribute };
  return evaluateFlag("flag", { enabled: true, rules }, { attributes, nowMs: 0 }).value;
}

describe("a condition", () => {
  for (const example of CASES) {
    const { matching, other, ...condition } = example;
    it(JSON.stringify(condition), () => {
      for (const attribute of matching) assert.equal(holds(example, attribute, false), true, JSON.stringify(attribute));
      for (const attribute of other) assert.equal(holds(example, attribute, false), false, JSON.stringify(attribute));
    });
    it(`${JSON.stringify(condition)} turned round`, () => {
      for (const attribute of matching) assert.equal(holds(example, attribute, true), false);
      for (const attribute of other) assert.equal(holds(example, attribute, true), true);
    });
  }

  it("takes no time that grows with what a caller sends", () => {
    const example: Case = { op: "matches", value: "^(a+)+$", matching: [], other: [] };
    const startedMs = performance.now();
    assert.equal(holds(example, `${"a".repeat(4_000)}!`, false), false);
    assert.ok(performance.now() - startedMs < 1_000);
    assert.equal(holds(example, "a".repeat(4_097), false), false);
  });
});

describe("a condition that does not fit", () => {
  const refused = [
    { op: "eq" },
    { op: "eq", value: 1, values: [1] },
    { op: "in", value: 1 },
    { op: "in", values: [] },
    { op: "exists", value: true },
    { op: "gt", value: "5" },
    { op: "before", value: "yesterday" },
    { op: "semver_gt", value: "one" },
    { op: "starts_with", value: "" },
    { op: "starts_with", value: 5 },
    { op: "matches", value: "(" },
    { op: "matches", value: "(?=a)" },
    { op: "matches", value: "(a)\\1" },
    { op: "matches", value: "a".repeat(501) },
    { op: "resembles", value: "a" },
    { op: "eq", value: { deep: true } },
  ];
  for (const condition of refused) {
    it(`is refused: ${JSON.stringify(condition).slice(0, 60)}`, () => {
      const rules = [{ if: [{ attribute: "x", ...condition }] }];
      assert.equal(flagDefinition.safeParse({ enabled: true, rules }).success, false);
    });
  }
});

describe("versions", () => {
  it("are in the order of Semantic Versioning 2.0.0, section 11", () => {
    const ordered = [
      "1.0.0-alpha",
      "1.0.0-alpha.1",
      "1.0.0-alpha.beta",
      "1.0.0-beta",
      "1.0.0-beta.2",
      "1.0.0-beta.11",
      "1.0.0-rc.1",
      "1.0.0",
      "1.0.1",
      "1.1.0",
      "1.10.0",
      "2.0.0",
    ].map((text) => parseVersion(text));
    for (const [index, left] of ordered.entries()) {
      for (const [other, right] of ordered.entries()) {
        assert.ok(left && right);
        assert.equal(Math.sign(compareVersions(left, right)), Math.sign(index - other));
      }
    }
  });

  it("are not what only looks like them", () => {
    for (const text of ["", "v", "1.2.3.4", "1..2", "1.2.3-", "1.2.3-a..b", "01x", "9".repeat(300)]) {
      assert.equal(parseVersion(text), undefined, text);
    }
  });
});
