// One flag and one caller: who gets what, and why. The order is the kill switch, the lists, the rules, the rollout.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { isPylonError } from "../../../src/core/errors.ts";
import { evaluateFlag, prepareFlag } from "../../../src/plugins/feature-flags/evaluate-flag.ts";
import type { Evaluation, FlagSubject } from "../../../src/plugins/feature-flags/evaluation.ts";
import { featureFlagsConfig, type FlagInput } from "../../../src/plugins/feature-flags/flag-definition.ts";

const NOW_MS = Date.UTC(2026, 3, 28, 12);
/** Inside of 25 % and outside of it, by the published buckets. */
const [INSIDE, OUTSIDE] = ["u_456", "u_2"];

function ask(definition: FlagInput, subject: FlagSubject = {}, nowMs = NOW_MS): Evaluation {
  return evaluateFlag("ai-suggestions", definition, { ...subject, nowMs });
}

function answerOf(definition: FlagInput, subject: FlagSubject = {}): readonly [boolean, string] {
  const { value, reason } = ask(definition, subject);
  return [value, reason];
}

describe("a context that does not fit", () => {
  const schedule = { from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z", fromRollout: 100, toRollout: 100 };
  const unfit: readonly (readonly [what: string, context: unknown, message: RegExp])[] = [
    ["none at all", undefined, /: nowMs is not a number$/],
    ["null", null, /: nowMs is not a number$/],
    ["no time", { userId: "u_1" }, /: nowMs is not a number$/],
    ["a time that is none", { nowMs: Number.NaN }, /: nowMs is not a number$/],
    ["a number for an id", { userId: 5, nowMs: NOW_MS }, /: userId is not a string$/],
  ];
  for (const [what, context, message] of unfit) {
    it(`is refused with a code: ${what}`, () => {
      const given = context as Parameters<typeof evaluateFlag>[2];
      const expected = { code: "FLAG_CONTEXT_INVALID", message };
      assert.throws(() => evaluateFlag("a", { enabled: true, schedule }, given), expected);
      assert.throws(() => prepareFlag("a", { enabled: true }).evaluate(given), expected);
    });
  }

  it("is nobody in particular with a time alone", () => {
    assert.equal(evaluateFlag("a", { enabled: true, rollout: 50 }, { nowMs: NOW_MS, userId: null }).reason, "DEFAULT");
  });
});

describe("a flag without targeting", () => {
  it("is what `enabled` says, for everybody", () => {
    assert.deepEqual(answerOf({ enabled: true }), [true, "STATIC"]);
    assert.deepEqual(answerOf({ enabled: true }, { userId: "u_1" }), [true, "STATIC"]);
    assert.deepEqual(answerOf({ enabled: false }, { userId: "u_1" }), [false, "DISABLED"]);
  });
});

describe("a flag with lists", () => {
  const definition = { enabled: true, users: ["u_123", "u_456"], tenants: ["org_acme"] };

  it("is on for who is listed, and for nobody else", () => {
    assert.deepEqual(answerOf(definition, { userId: "u_123" }), [true, "TARGETING_MATCH"]);
    assert.deepEqual(answerOf(definition, { userId: "u_9", tenantId: "org_acme" }), [true, "TARGETING_MATCH"]);
    assert.deepEqual(answerOf(definition, { userId: null, tenantId: "org_acme" }), [true, "TARGETING_MATCH"]);
    assert.deepEqual(answerOf(definition, { userId: "u_9", tenantId: "org_other" }), [false, "DEFAULT"]);
    assert.deepEqual(answerOf(definition), [false, "DEFAULT"]);
  });

  it("does not take a user for a tenant, nor a name of Object for an id", () => {
    assert.equal(ask(definition, { userId: "org_acme", tenantId: "u_123" }).value, false);
    for (const userId of ["constructor", "__proto__", "toString"])
      assert.equal(ask(definition, { userId }).value, false);
  });

  it("is on for nobody when its list is empty: taking the last name off opens nothing", () => {
    assert.equal(ask({ enabled: true, users: [] }, { userId: "u_1" }).value, false);
    assert.equal(ask({ enabled: true, tenants: [] }, { tenantId: "t_1" }).value, false);
  });

  it("is on for who is listed or inside of the rollout", () => {
    const both = { ...definition, rollout: 25 };
    assert.deepEqual(answerOf(both, { userId: "u_123" }), [true, "TARGETING_MATCH"]);
    assert.deepEqual(answerOf({ enabled: true, rollout: 25 }, { userId: INSIDE }), [true, "SPLIT"]);
    assert.deepEqual(answerOf({ enabled: true, rollout: 0, users: ["u_1"] }, { userId: "u_2" }), [false, "SPLIT"]);
  });
});

describe("a flag with a rollout", () => {
  it("says of an anonymous caller that the key is missing", () => {
    assert.deepEqual(ask({ enabled: true, rollout: 99.999 }), {
      value: false,
      variant: null,
      reason: "DEFAULT",
      targetingKeyMissing: true,
      index: 4,
    });
    assert.equal(ask({ enabled: true, rollout: 0 }).targetingKeyMissing, false);
  });
});

describe("the kill switch", () => {
  it("beats lists, rules, schedules and rollouts", () => {
    const everything: FlagInput = {
      enabled: true,
      rollout: 100,
      users: ["u_1"],
      tenants: ["t_1"],
      rules: [{ if: [{ attribute: "plan", op: "eq", value: "pro" }] }],
      schedule: { from: "2020-01-01", to: "2020-01-02", fromRollout: 100, toRollout: 100 },
    };
    const subject = { userId: "u_1", tenantId: "t_1", attributes: { plan: "pro" } };
    assert.equal(ask(everything, subject).value, true);
    assert.deepEqual(answerOf({ ...everything, enabled: false }, subject), [false, "DISABLED"]);
  });
});

describe("rules", () => {
  const rules: FlagInput["rules"] = [
    { if: [{ attribute: "country", op: "in", values: ["XX", "YY"] }], enabled: false },
    {
      if: [
        { attribute: "plan", op: "eq", value: "pro" },
        { attribute: "seats", op: "gte", value: 10 },
      ],
      variant: "blue",
    },
    { if: [{ attribute: "beta", op: "eq", value: true }], rollout: 25 },
  ];
  const definition: FlagInput = { enabled: true, rules, variants: { blue: 0, green: 1 } };
  const of = (attributes: Record<string, unknown>, userId: string | null = OUTSIDE): Evaluation =>
    ask(definition, { userId, attributes });

  it("are asked in their order; the first that matches decides", () => {
    assert.deepEqual([of({ country: "XX", plan: "pro", seats: 10 }).value], [false]);
    assert.deepEqual([of({ country: "DE", plan: "pro", seats: 10 }).variant], ["blue"]);
    assert.deepEqual([of({ plan: "pro", seats: 9 }).value], [false]);
  });

  it("need every condition, and turn on nobody who matches none", () => {
    assert.equal(of({ plan: "pro" }).value, false);
    assert.equal(of({}).reason, "DEFAULT");
    assert.equal(ask({ enabled: true, rules: [] }).value, true);
  });

  it("can be for a part of those who match, by the flag's own buckets", () => {
    assert.equal(of({ beta: true }, INSIDE).reason, "SPLIT");
    assert.equal(of({ beta: true }, INSIDE).variant, "green");
    assert.equal(of({ beta: true }, OUTSIDE).value, false);
    assert.equal(of({ beta: true }, null).targetingKeyMissing, true);
  });

  it("leave the rollout to who matches none", () => {
    const both: FlagInput = { ...definition, rollout: 100 };
    assert.equal(ask(both, { userId: "u_1", attributes: { country: "XX" } }).value, false);
    assert.equal(ask(both, { userId: "u_1", attributes: {} }).value, true);
  });

  it("see the identity, which attributes cannot stand for", () => {
    const staff: FlagInput = {
      enabled: true,
      rules: [{ if: [{ attribute: "roles", op: "contains", value: "staff" }] }],
    };
    assert.equal(ask(staff, { roles: ["member", "staff"] }).value, true);
    assert.equal(ask(staff, { attributes: { roles: ["staff"] } }).value, false);
    const admin: FlagInput = { enabled: true, rules: [{ if: [{ attribute: "isAdmin", op: "eq", value: true }] }] };
    assert.equal(ask(admin, { attributes: { isAdmin: true } }).value, false);
    assert.equal(ask(admin, { isAdmin: true }).value, true);
  });

  it("find attributes inside of objects, but nothing that is inherited", () => {
    const deep: FlagInput = { enabled: true, rules: [{ if: [{ attribute: "company.plan", op: "eq", value: "pro" }] }] };
    assert.equal(ask(deep, { attributes: { company: { plan: "pro" } } }).value, true);
    assert.equal(ask(deep, { attributes: { "company.plan": "pro" } }).value, true);
    assert.equal(ask(deep, { attributes: { company: null } }).value, false);
    const inherited: FlagInput = { enabled: true, rules: [{ if: [{ attribute: "constructor.name", op: "exists" }] }] };
    assert.equal(ask(inherited, { attributes: {} }).value, false);
  });
});

describe("a schedule", () => {
  const schedule = { from: "2026-05-01T00:00:00Z", to: "2026-05-11T00:00:00Z", fromRollout: 10, toRollout: 60 };
  const users = Array.from({ length: 5_000 }, (_, index) => `u_${index}`);
  const shareAt = (text: string): number => {
    const flag = prepareFlag("ramp", { enabled: true, schedule });
    return users.filter((userId) => flag.evaluate({ userId, nowMs: Date.parse(text) }).value).length / users.length;
  };

  it("is the rollout of its moment: before, in a straight line, and after", () => {
    for (const [moment, percent] of [
      ["2020-01-01T00:00:00Z", 10],
      ["2026-05-01T00:00:00Z", 10],
      ["2026-05-03T00:00:00Z", 20],
      ["2026-05-06T00:00:00Z", 35],
      ["2026-05-11T00:00:00Z", 60],
      ["2030-01-01T00:00:00Z", 60],
    ] as const) {
      assert.ok(Math.abs(shareAt(moment) - percent / 100) < 0.02, `${moment}: ${shareAt(moment)}`);
    }
  });

  it("turns nobody off on its way up, and stands before a rollout", () => {
    const flag = prepareFlag("ramp", { enabled: true, schedule, rollout: 100 });
    const on = (day: number): Set<string> =>
      new Set(users.filter((userId) => flag.evaluate({ userId, nowMs: Date.UTC(2026, 4, day) }).value));
    let before = on(1);
    for (let day = 2; day <= 12; day++) {
      const now = on(day);
      assert.ok([...before].every((userId) => now.has(userId)));
      before = now;
    }
    assert.ok(before.size < users.length);
  });

  it("lets everybody in at 100, the anonymous as well", () => {
    const full: FlagInput = { enabled: true, schedule: { ...schedule, toRollout: 100 } };
    assert.equal(ask(full, {}, Date.parse("2026-05-10T23:59:59Z")).value, false);
    assert.equal(ask(full, {}, Date.parse("2026-05-11T00:00:00Z")).value, true);
  });
});

describe("evaluateFlag", () => {
  it("refuses a definition with every problem and its path", () => {
    const broken = {
      enabled: "yes",
      rollout: 101,
      rules: [{ if: [{ attribute: "a", op: "gt", value: "x" }], variant: "none" }],
      colour: 1,
    };
    assert.throws(
      () => evaluateFlag("flag", broken as unknown as FlagInput, { nowMs: NOW_MS }),
      (error) => {
        assert.ok(isPylonError(error, "FLAG_INVALID"));
        const paths = error.details?.map(({ path }) => path) ?? [];
        for (const path of ["enabled", "rollout", "rules.0.if.0.value"]) assert.ok(paths.includes(path), path);
        return true;
      },
    );
  });

  it("takes as much as is documented, and no more", () => {
    const condition = { attribute: "a", op: "exists" } as const;
    const list = <T>(length: number, of: (index: number) => T): T[] => Array.from({ length }, (_, index) => of(index));
    const bounded: readonly (readonly [number, (length: number) => Partial<FlagInput>])[] = [
      [10_000, (length) => ({ users: list(length, (id) => `u_${id}`) })],
      [10_000, (length) => ({ tenants: list(length, (id) => `t_${id}`) })],
      [100, (length) => ({ variants: Object.fromEntries(list(length, (index) => [`v${index}`, 1])) })],
      [50, (length) => ({ rules: list(length, () => ({ if: [condition] })) })],
      [20, (length) => ({ rules: [{ if: list(length, () => condition) }] })],
    ];
    for (const [most, definition] of bounded) {
      prepareFlag("flag", { enabled: true, ...definition(most) });
      assert.throws(
        () => prepareFlag("flag", { enabled: true, ...definition(most + 1) }),
        (error) => isPylonError(error, "FLAG_INVALID"),
      );
    }
    const flags = (length: number): object => ({
      flags: Object.fromEntries(list(length, (index) => [`f${index}`, { enabled: true }])),
    });
    assert.equal(featureFlagsConfig.safeParse(flags(1_000)).success, true);
    assert.equal(featureFlagsConfig.safeParse(flags(1_001)).success, false);
  });

  it("throws for no subject whatever, and answers the same twice", () => {
    const flag = prepareFlag("any", {
      enabled: true,
      rollout: 50,
      users: ["u_1"],
      variants: { a: 1, b: 2 },
      rules: [
        {
          if: [
            { attribute: "x", op: "matches", value: "^a+$" },
            { attribute: "y.z", op: "semver_gte", value: "1.2" },
          ],
        },
        {
          if: [
            { attribute: "x", op: "contains", value: 1 },
            { attribute: "x", op: "after", value: 0, not: true },
          ],
        },
      ],
    });
    const subject = fc.record(
      {
        userId: fc.option(fc.string({ unit: "binary" })),
        tenantId: fc.option(fc.string()),
        attributes: fc.dictionary(fc.constantFrom("x", "y", "__proto__"), fc.anything()),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(subject, (who) => {
        const context = { ...who, nowMs: NOW_MS };
        assert.equal(flag.evaluate(context), flag.evaluate(context));
      }),
    );
  });
});
