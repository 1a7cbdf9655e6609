// How rollouts spread users: the published buckets, what raising a rollout may do, and the statistics of many users. All
// ids are fixed, so that a run says the same on every machine and on every runtime.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import vectors from "../../../fixtures/vectors/rollout-bucket.json" with { type: "json" };
import { murmur3 } from "../../../src/crypto/murmur3.ts";
import { prepareFlag, evaluateFlag } from "../../../src/plugins/feature-flags/evaluate-flag.ts";
import { createDice } from "../../support/dice.ts";

const NOW_MS = Date.UTC(2026, 3, 28);
const USERS = 20_000;
const MAX_SKEW = 0.02;
const FLAGS = [
  "ai-suggestions",
  "new-onboarding",
  "checkout-v2",
  "dark-mode",
  "a",
  "b",
  "c",
  "flag-1",
  "flag-2",
  "flag-3",
];

const dice = createDice(20_260_428);

function uuid(): string {
  const digit = (): string => Math.floor(dice() * 16).toString(16);
  return "########-####-4###-8###-############".replaceAll("#", digit);
}

const POPULATIONS = {
  sequential: Array.from({ length: USERS }, (_, index) => `user_${index}`),
  numeric: Array.from({ length: USERS }, (_, index) => String(index)),
  uuid: Array.from({ length: USERS }, uuid),
} as const;

function onFor(name: string, rollout: number, users: readonly string[]): boolean[] {
  const flag = prepareFlag(name, { enabled: true, rollout });
  return users.map((userId) => flag.evaluate({ userId, nowMs: NOW_MS }).value);
}

const count = (flags: readonly boolean[]): number => flags.filter(Boolean).length;

describe("the published buckets", () => {
  for (const { salt, userId, hash, on } of vectors.rows) {
    it(`hold for ${JSON.stringify(salt)} and ${JSON.stringify(userId)}`, () => {
      assert.equal(murmur3(`${salt}:${userId}`), hash);
      for (const [rollout, expected] of Object.entries(on)) {
        const definition = { enabled: true, rollout: Number(rollout), salt };
        assert.equal(
          evaluateFlag("any name", definition, { userId, nowMs: NOW_MS }).value,
          expected,
          `at ${rollout} %`,
        );
      }
    });
  }
});

describe("a rollout", () => {
  const percentage = fc.double({ min: 0, max: 100, noNaN: true });
  const userIds = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
  const name = fc.string({ minLength: 1, maxLength: 30 });

  it("that is raised turns nobody off", () => {
    fc.assert(
      fc.property(name, userIds, percentage, percentage, (flag, userId, one, other) => {
        const [lower, higher] = [Math.min(one, other), Math.max(one, other)];
        const at = (rollout: number): boolean =>
          evaluateFlag(flag, { enabled: true, rollout }, { userId, nowMs: NOW_MS }).value;
        assert.ok(!at(lower) || at(higher));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is everybody at 100 and nobody at 0, and an anonymous caller is outside of all below 100", () => {
    fc.assert(
      fc.property(name, userIds, percentage, (flag, userId, rollout) => {
        const evaluate = (share: number, who: string | null): boolean =>
          evaluateFlag(flag, { enabled: true, rollout: share }, { userId: who, nowMs: NOW_MS }).value;
        assert.equal(evaluate(100, userId), true);
        assert.equal(evaluate(100, null), true);
        assert.equal(evaluate(0, userId), false);
        assert.equal(evaluate(rollout, null), rollout === 100);
      }),
    );
  });

  it("reaches the share that it says, from 0.001 % to 99.999 %", () => {
    const users = Array.from({ length: 200_000 }, (_, index) => `u_${index}`);
    for (const rollout of [0.001, 0.01, 0.1, 1, 5, 25, 50, 75, 95, 99, 99.9, 99.99, 99.999]) {
      const share = rollout / 100;
      const sigma = Math.sqrt(users.length * share * (1 - share));
      const reached = count(onFor("rates", rollout, users));
      assert.ok(Math.abs(reached - users.length * share) <= 4 * sigma, `${rollout} % reached ${reached}`);
    }
  });

  for (const [kind, users] of Object.entries(POPULATIONS)) {
    it(`says nothing about another flag's, for ${kind} ids`, () => {
      const rolled = FLAGS.map((flag) => onFor(flag, 25, users));
      let worst = 0;
      for (const [index, a] of rolled.entries()) {
        for (const [other, b] of rolled.entries()) {
          if (index === other) continue;
          const both = count(a.map((on, user) => on && (b[user] as boolean)));
          worst = Math.max(worst, Math.abs(both / count(a) - 0.25));
        }
      }
      assert.ok(worst <= MAX_SKEW, `the worst of ${FLAGS.length} flags is ${worst}`);
    });
  }

  it("is another's with the other's salt, and its own again without", () => {
    const users = POPULATIONS.sequential;
    const salted = prepareFlag("renamed", { enabled: true, rollout: 25, salt: "ai-suggestions" });
    const on = users.map((userId) => salted.evaluate({ userId, nowMs: NOW_MS }).value);
    assert.deepEqual(on, onFor("ai-suggestions", 25, users));
    assert.notDeepEqual(on, onFor("renamed", 25, users));
  });
});

describe("variants", () => {
  const users = POPULATIONS.uuid;
  const weights = { control: 50, blue: 30, green: 20, never: 0 };

  it("are chosen by their weights", () => {
    const flag = prepareFlag("button", { enabled: true, variants: weights });
    const chosen = users.map((userId) => flag.evaluate({ userId, nowMs: NOW_MS }).variant);
    for (const [variant, weight] of Object.entries(weights)) {
      const share = weight / 100;
      const sigma = Math.sqrt(users.length * share * (1 - share));
      const reached = chosen.filter((name) => name === variant).length;
      assert.ok(Math.abs(reached - users.length * share) <= 4 * sigma, `${variant} reached ${reached}`);
    }
    assert.ok(!chosen.includes(null));
  });

  it("are the ones that the second hash points at", () => {
    const flag = prepareFlag("button", { enabled: true, variants: weights });
    for (const userId of users.slice(0, 2_000)) {
      const point = (murmur3(`button:variant:${userId}`) / 2 ** 32) * 100;
      const expected = point < 50 ? "control" : point < 80 ? "blue" : "green";
      assert.equal(flag.evaluate({ userId, nowMs: NOW_MS }).variant, expected);
    }
  });

  it("stay with their users while the rollout is raised, and do not depend on who is inside", () => {
    const at = (rollout: number): (string | null)[] => {
      const flag = prepareFlag("button", { enabled: true, rollout, variants: weights });
      return users.map((userId) => flag.evaluate({ userId, nowMs: NOW_MS }).variant);
    };
    const [low, high] = [at(25), at(75)];
    for (const [index, variant] of low.entries()) if (variant !== null) assert.equal(high[index], variant);
    const inside = low.filter((variant) => variant !== null);
    const controls = inside.filter((variant) => variant === "control").length;
    assert.ok(Math.abs(controls / inside.length - 0.5) <= MAX_SKEW);
  });
});
