// Flags side by side: no flag's answer depends on another's, on the order of anything, or on which process answers; and the
// kill switch beats whatever else a flag says.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import type { FlagSubject } from "../../../src/plugins/feature-flags/evaluation.ts";
import { compilePattern } from "../../../src/plugins/feature-flags/pattern-engine.ts";
import { flagDefinition, type FlagInput } from "../../../src/plugins/feature-flags/flag-definition.ts";
import { answerAll, answerFlag, createFlagSet, type FlagSet } from "../../../src/plugins/feature-flags/served-flags.ts";

const USERS = Array.from({ length: 20 }, (_, index) => `u_${index}`);
const NOW_MS = Date.UTC(2026, 3, 28);

const percentage = fc.double({ min: 0, max: 100, noNaN: true });
const definition: fc.Arbitrary<FlagInput> = fc.record(
  {
    enabled: fc.boolean(),
    rollout: percentage,
    users: fc.uniqueArray(fc.constantFrom(...USERS)),
    tenants: fc.uniqueArray(fc.constantFrom("t_1", "t_2")),
    variants: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.integer({ min: 1, max: 100 }), { minKeys: 1 }),
    schedule: fc.record({
      from: fc.constant("2026-01-01"),
      to: fc.constant("2026-12-31"),
      fromRollout: percentage,
      toRollout: percentage,
    }),
    rules: fc.array(
      fc.record({
        if: fc.constantFrom(
          [{ attribute: "plan", op: "eq" as const, value: "pro" }],
          [{ attribute: "email", op: "matches" as const, value: "@acme\\.com$" }],
        ),
        rollout: percentage,
      }),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: ["enabled"] },
);
const flags = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 8 }).filter((name) => name !== "__proto__"),
  definition,
  {
    minKeys: 1,
    maxKeys: 8,
  },
);
const subject = fc.record({
  userId: fc.option(fc.constantFrom(...USERS)),
  tenantId: fc.option(fc.constantFrom("t_1", "t_2", "t_3")),
  email: fc.option(fc.constantFrom("ada@acme.com", "bob@example.com")),
  attributes: fc.record({ plan: fc.constantFrom("pro", "free") }),
});

function setOf(entries: readonly (readonly [string, FlagInput])[]): FlagSet {
  const sources = entries.map(([name, input]) => ({ name, definition: flagDefinition.parse(input), stored: null }));
  const useOf = (): { evaluations: number; lastMs: null } => ({ evaluations: 0, lastMs: null });
  return createFlagSet(sources, { version: "v", since: 0, engine: compilePattern, useOf });
}

type Answers = Readonly<Record<string, unknown>>;

function answersOf(set: FlagSet, who: FlagSubject): Answers {
  const { parts } = answerAll(set, "remote", { ...who, nowMs: NOW_MS });
  return Object.fromEntries(parts.map((part) => [(JSON.parse(part) as { key: string }).key, part]));
}

describe("flags side by side", () => {
  it("answer as they do alone, and in any order", () => {
    fc.assert(
      fc.property(flags, subject, (given, who) => {
        const entries = Object.entries(given);
        const together = answersOf(setOf(entries), who);
        assert.deepEqual(answersOf(setOf(entries.toReversed()), who), together);
        for (const entry of entries) assert.equal(answersOf(setOf([entry]), who)[entry[0]], together[entry[0]]);
      }),
    );
  });

  it("do not depend on the order of the lists", () => {
    fc.assert(
      fc.property(definition, subject, (given, who) => {
        const turned = { ...given, users: given.users?.toReversed(), tenants: given.tenants?.toReversed() };
        assert.deepEqual(answersOf(setOf([["flag", turned]]), who), answersOf(setOf([["flag", given]]), who));
      }),
    );
  });

  it("are off for everybody when they are not enabled, whatever else they say", () => {
    fc.assert(
      fc.property(definition, subject, (given, who) => {
        const set = setOf([["flag", { ...given, enabled: false }]]);
        const [flag] = set.flags;
        assert.ok(flag);
        const { value, variant, reason } = answerFlag(flag, { ...who, nowMs: NOW_MS });
        assert.deepEqual([value, variant, reason], [false, null, "DISABLED"]);
      }),
    );
  });

  it("have the same tag twice, and another for other answers", () => {
    fc.assert(
      fc.property(flags, subject, subject, (given, one, other) => {
        const set = setOf(Object.entries(given));
        const [a, again, b] = [one, one, other].map((who) => answerAll(set, "remote", { ...who, nowMs: NOW_MS }));
        assert.equal(a?.tag, again?.tag);
        if (a?.parts.join() !== b?.parts.join()) assert.notEqual(a?.tag, b?.tag);
      }),
      { numRuns: 500 },
    );
  });
});
