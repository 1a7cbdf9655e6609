// Flags as an application meets them: what a caller is told, what an administrator sees and changes, and that a change is
// stored, seen by other plugins, and never says to a browser what the rules are.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { isPylonError } from "../../../src/core/errors.ts";
import type { Change } from "../../../src/data/change.ts";
import { definePluginType } from "../../../src/plugin/plugin.ts";
import { z } from "zod";
import { type TestApp, withApp } from "../app-harness.ts";
import { apiKey, change, flagsOf, SEED_FLAGS, shown, signIn, withFlags } from "./flags-app.ts";

async function check(
  app: TestApp,
  token: string | undefined,
  json: object,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await app.ask("POST /api/fn/check", { json, ...(token === undefined ? {} : { token }) });
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

describe("GET /api/flags", () => {
  it("answers the seed's flags for the caller", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      assert.deepEqual(await flagsOf(app), {
        "new-onboarding": true,
        "ai-suggestions": false,
        "experimental-graph": false,
        "premium-widgets": false,
      });
      assert.deepEqual(await flagsOf(app, { token: await signIn(app, "u_123") }), {
        "new-onboarding": true,
        "ai-suggestions": true,
        "experimental-graph": true,
        "premium-widgets": false,
      });
      const tenant = await flagsOf(app, { token: await signIn(app, "u_9", "org_acme") });
      assert.equal(tenant["premium-widgets"], true);
    });
  });

  it("has a tag for these answers, and 304 for whoever has it", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const token = await signIn(app, "u_123");
      const first = await app.ask("GET /api/flags", { token });
      const etag = first.headers.get("etag") ?? "";
      assert.match(etag, /^"[^"]+"$/);
      assert.match(first.headers.get("vary") ?? "", /Authorization/);
      assert.match(first.headers.get("cache-control") ?? "", /private/);
      assert.equal(first.headers.get("content-type"), "application/json");
      for (const header of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
        const again = await app.ask("GET /api/flags", { token, headers: { "if-none-match": header } });
        assert.deepEqual([again.status, again.text, again.headers.get("etag")], [304, "", etag], header);
      }
      const stranger = await app.ask("GET /api/flags", { headers: { "if-none-match": etag } });
      assert.equal(stranger.status, 200);
      await change(app, "new-onboarding", { rollout: 0 });
      const later = await app.ask("GET /api/flags", { token, headers: { "if-none-match": etag } });
      assert.equal(later.status, 200);
      assert.equal(later.json["new-onboarding"], false);
    });
  });

  it("changes its tag when a schedule turns a flag on, without anything being written", async () => {
    const schedule = { from: "2026-04-28T10:00:00Z", to: "2026-04-28T11:00:00Z", fromRollout: 0, toRollout: 100 };
    await withFlags({ ramp: { enabled: true, schedule } }, async (app) => {
      const before = await app.ask("GET /api/flags");
      assert.equal(before.json["ramp"], false);
      app.jump(3_600_000);
      const after = await app.ask("GET /api/flags", { headers: { "if-none-match": before.headers.get("etag") ?? "" } });
      assert.deepEqual([after.status, after.json["ramp"]], [200, true]);
    });
  });

  it("answers names as they are, whatever they are", async () => {
    const names = ['a "quoted" one', "a/b", "用户", "constructor", "toString", "x'y<z>"];
    const flags = JSON.parse(
      `{${names.map((name) => `${JSON.stringify(name)}:{"enabled":true}`).join(",")}}`,
    ) as object;
    await withFlags(flags as Record<string, unknown>, async (app) => {
      const { text } = await app.ask("GET /api/flags");
      const parsed = JSON.parse(text) as object;
      for (const name of names) assert.ok(Object.hasOwn(parsed, name), name);
      assert.equal((await change(app, "a/b", { enabled: false })).status, 200);
      assert.equal((await flagsOf(app))["a/b"], false);
    });
  });
});

describe("isFeatureEnabled", () => {
  it("is a boolean that may be awaited, for the caller it is given or the one that calls", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const token = await signIn(app, "u_123");
      const expected = { awaited: true, type: "boolean", own: true, nobody: false };
      assert.deepEqual(await check(app, token, { flag: "experimental-graph" }), expected);
      const nobody = await check(app, undefined, { flag: "experimental-graph" });
      assert.deepEqual([nobody["awaited"], nobody["own"]], [false, false]);
    });
  });

  it("is false for a flag that does not exist, and says so once in the log", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      for (let turn = 0; turn < 3; turn++)
        assert.equal((await check(app, undefined, { flag: "nope" }))["awaited"], false);
      assert.equal((await check(app, undefined, { flag: "constructor" }))["awaited"], false);
      const logged = app.logged.filter(({ event }) => event === "flags.unknown").map(({ fields }) => fields["flag"]);
      assert.deepEqual(logged, ["nope", "constructor"]);
    });
  });

  it("hands attributes to the rules", async () => {
    const rules = [{ if: [{ attribute: "plan", op: "in", values: ["pro"] }] }];
    await withFlags({ export: { enabled: true, rules } }, async (app) => {
      const on = await check(app, undefined, { flag: "export", attributes: { plan: "pro" } });
      assert.equal(on["awaited"], true);
      assert.equal((await check(app, undefined, { flag: "export" }))["awaited"], false);
    });
  });
});

describe("featureVariant", () => {
  it("is the caller's variant, and null where there is none", async () => {
    const flags = { button: { enabled: true, users: ["u_1"], variants: { blue: 1 } }, plain: { enabled: true } };
    await withFlags(flags, async (app) => {
      const ask = async (flag: string, token: string): Promise<string> =>
        (await app.ask("POST /api/fn/variant", { token, json: { flag } })).text;
      const [one, two] = [await signIn(app, "u_1"), await signIn(app, "u_2")];
      assert.equal(await ask("button", one), '"blue"');
      for (const [flag, token] of [
        ["button", two],
        ["plain", one],
        ["nope", one],
      ] as const) {
        assert.equal(await ask(flag, token), "null");
      }
    });
  });
});

describe("GET /api/admin/flags", () => {
  it("shows everything about a flag, and how often it was evaluated", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      assert.deepEqual(await shown(app, "experimental-graph"), {
        name: "experimental-graph",
        enabled: true,
        rollout: null,
        users: ["u_123", "u_456"],
        tenants: null,
        salt: "experimental-graph",
        variants: null,
        schedule: null,
        rules: null,
        description: null,
        currentRollout: null,
        changed: [],
        updatedBy: null,
        updatedAt: null,
        evaluations: 0,
        lastEvaluatedAt: null,
      });
      await flagsOf(app);
      await check(app, undefined, { flag: "experimental-graph" });
      const { evaluations, lastEvaluatedAt } = await shown(app, "experimental-graph");
      assert.equal(evaluations, 5);
      assert.equal(lastEvaluatedAt, new Date(app.now()).toISOString());
      assert.equal((await shown(app, "ai-suggestions"))["evaluations"], 1);
    });
  });

  it("is for administrators alone", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const token = await signIn(app, "u_123");
      assert.equal((await app.ask("GET /api/admin/flags")).status, 401);
      assert.equal((await app.ask("GET /api/admin/flags", { token })).status, 403);
      assert.equal(
        (await app.ask("PATCH /api/admin/flags/new-onboarding", { token, json: { enabled: false } })).status,
        403,
      );
      assert.equal((await app.ask("DELETE /api/admin/flags/new-onboarding/changes", { token })).status, 403);
    });
  });
});

describe("PATCH /api/admin/flags/:name", () => {
  it("is live at once, and answers the flag as it is now", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const answer = await change(app, "ai-suggestions", { rollout: 0, users: ["u_9"] });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(
        [answer.json["rollout"], answer.json["users"], answer.json["changed"], answer.json["updatedBy"]],
        [0, ["u_9"], ["rollout", "users", "schedule"], "admin"],
      );
      assert.equal((await flagsOf(app, { token: await signIn(app, "u_123") }))["ai-suggestions"], false);
      assert.equal((await flagsOf(app, { token: await signIn(app, "u_9") }))["ai-suggestions"], true);
      const { evaluations: _, lastEvaluatedAt: __, ...listed } = await shown(app, "ai-suggestions");
      const { evaluations: ___, lastEvaluatedAt: ____, ...answered } = answer.json;
      assert.deepEqual(listed, answered);
    });
  });

  it("survives a restart, and beats a configuration that says otherwise, key by key", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      await change(app, "new-onboarding", { enabled: false });
      await app.restart();
      assert.equal((await flagsOf(app))["new-onboarding"], false);
      const flags = { "new-onboarding": { enabled: true, rollout: 100, tenants: ["org_new"] } };
      await app.restart({ plugins: [{ name: "feature_flags", config: { flags } }] });
      const flag = await shown(app, "new-onboarding");
      assert.deepEqual([flag["enabled"], flag["tenants"], flag["changed"]], [false, ["org_new"], ["enabled"]]);
      await change(app, "new-onboarding", { enabled: true });
      assert.equal((await flagsOf(app))["new-onboarding"], true);
    });
  });

  it("takes a key away with null, and forgets all changes with DELETE", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      await change(app, "experimental-graph", { users: null });
      assert.equal((await flagsOf(app))["experimental-graph"], true);
      const reset = await app.ask("DELETE /api/admin/flags/experimental-graph/changes", { token: "admin" });
      assert.deepEqual([reset.status, reset.json], [200, { reset: true }]);
      assert.equal((await flagsOf(app))["experimental-graph"], false);
      const again = await app.ask("DELETE /api/admin/flags/experimental-graph/changes", { token: "admin" });
      assert.deepEqual([again.status, again.json], [200, { reset: false }]);
    });
  });

  it("keeps the order of variants, in which their weights count", async () => {
    const variants = { zebra: 1, ape: 1, lion: 2 };
    await withFlags({ animal: { enabled: true, variants: { ape: 1 } } }, async (app) => {
      await change(app, "animal", { variants });
      await app.restart();
      assert.deepEqual(Object.entries((await shown(app, "animal"))["variants"] as object), Object.entries(variants));
    });
  });

  it("ends a schedule when a percentage is set by hand", async () => {
    const schedule = { from: "2020-01-01", to: "2020-02-01", fromRollout: 0, toRollout: 100 };
    await withFlags({ ramp: { enabled: true, schedule } }, async (app) => {
      assert.equal((await shown(app, "ramp"))["currentRollout"], 100);
      await change(app, "ramp", { rollout: 0 });
      assert.deepEqual([(await shown(app, "ramp"))["schedule"], (await flagsOf(app))["ramp"]], [null, false]);
      await change(app, "ramp", { schedule: { ...schedule, toRollout: 50 } });
      assert.equal((await shown(app, "ramp"))["currentRollout"], 50);
    });
  });

  const refused: readonly (readonly [string, object, string])[] = [
    ["nothing", {}, ""],
    ["an unknown key", { colour: "red" }, "colour"],
    ["a percentage above 100", { rollout: 101 }, "rollout"],
    ["enabled taken away", { enabled: null }, "enabled"],
    [
      "a schedule that ends before it begins",
      { schedule: { from: "2026-02-01", to: "2026-01-01", fromRollout: 0, toRollout: 1 } },
      "schedule.to",
    ],
    [
      "a rule with a variant that is not there",
      { rules: [{ if: [{ attribute: "a", op: "exists" }], variant: "b" }] },
      "rules.0.variant",
    ],
    [
      "a pattern that RE2 does not take",
      { rules: [{ if: [{ attribute: "a", op: "matches", value: "a{1001}" }] }] },
      "rules",
    ],
  ];
  for (const [what, json, path] of refused) {
    it(`refuses ${what}, and leaves the flag as it was`, async () => {
      await withFlags(SEED_FLAGS, async (app) => {
        const answer = await change(app, "new-onboarding", json);
        assert.deepEqual([answer.status, answer.code], [400, "VALIDATION_FAILED"], answer.text);
        const { details } = answer.json["error"] as { details: readonly { path: string }[] };
        assert.equal(details[0]?.path, path);
        assert.deepEqual((await shown(app, "new-onboarding"))["changed"], []);
      });
    });
  }

  it("knows no flag that is not configured", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const answer = await change(app, "nope", { enabled: true });
      assert.deepEqual([answer.status, answer.code], [404, "FLAG_NOT_FOUND"]);
    });
  });

  it("is done once for an Idempotency-Key", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const ask = { token: "admin", json: { rollout: 10 }, headers: { "idempotency-key": "k-1" } };
      const first = await app.ask("PATCH /api/admin/flags/ai-suggestions", ask);
      await change(app, "ai-suggestions", { rollout: 20 });
      const second = await app.ask("PATCH /api/admin/flags/ai-suggestions", ask);
      assert.deepEqual([second.status, second.text], [200, first.text]);
      assert.equal((await shown(app, "ai-suggestions"))["rollout"], 20);
    });
  });

  it("is a write like any other: hooks see who changed what, before and after, in its own transaction", async () => {
    const changes: Change[] = [];
    let isBroken = false;
    const observer = definePluginType({
      name: "observer",
      config: z.strictObject({}),
      setup: () => ({
        hooks: {
          within(change) {
            if (isBroken) throw new Error("the audit log is full");
            changes.push(change);
          },
        },
      }),
    });
    const plugins = [
      { name: "feature_flags", config: { flags: SEED_FLAGS } },
      { name: "observer", config: {} },
    ];
    await withApp({ plugins, extra: [observer] }, async (app) => {
      await change(app, "ai-suggestions", { rollout: 50 });
      await change(app, "ai-suggestions", { rollout: 75 });
      const [first, second] = changes;
      assert.deepEqual([first?.op, first?.entity, first?.actor.kind], ["insert", "FeatureFlag", "admin"]);
      assert.ok(first?.requestId);
      assert.deepEqual(second?.before?.["changes"], { rollout: 50, schedule: null });
      assert.deepEqual(second?.after?.["changes"], { rollout: 75, schedule: null });
      isBroken = true;
      assert.equal((await change(app, "ai-suggestions", { rollout: 100 })).status, 500);
      isBroken = false;
      assert.equal((await shown(app, "ai-suggestions"))["rollout"], 75);
    });
  });

  it("goes through nothing but these routes", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      await change(app, "ai-suggestions", { rollout: 50 });
      const json = { name: "new-onboarding", changes: { enabled: false }, updatedAt: "2026-01-01T00:00:00Z" };
      const direct = await app.ask("POST /api/entities/FeatureFlag", { token: "admin", json });
      assert.equal(direct.code, "READ_ONLY");
      const token = await signIn(app, "u_1");
      assert.equal((await app.ask("GET /api/entities/FeatureFlag", { token })).status, 403);
      assert.equal((await app.ask("GET /api/entities/FeatureFlag")).status, 401);
    });
  });
});

describe("a configuration with a pattern that RE2 does not take", () => {
  it("stops the start, naming the flag", async () => {
    const rules = [{ if: [{ attribute: "a", op: "matches", value: "a{1001}" }] }];
    await assert.rejects(
      withFlags({ odd: { enabled: true, rules } }, async () => undefined),
      (error) => isPylonError(error, "FLAG_INVALID") && error.message.includes('"odd"'),
    );
  });
});

describe("what a browser is told", () => {
  it("holds no rule, no list and no other person's id, in any answer", async () => {
    const secrets = ["u_secret", "org_secret", "secret-plan", "secret-salt", "secret-description", "secret@acme.com"];
    const flags = {
      listed: {
        enabled: true,
        users: ["u_secret"],
        tenants: ["org_secret"],
        salt: "secret-salt",
        description: "secret-description",
      },
      ruled: {
        enabled: true,
        variants: { blue: 1 },
        rules: [
          { if: [{ attribute: "plan", op: "eq", value: "secret-plan" }], variant: "blue" },
          { if: [{ attribute: "email", op: "matches", value: "^secret@acme.com$" }] },
        ],
      },
    };
    await withFlags(flags, async (app) => {
      await change(app, "listed", { users: ["u_secret", "u_2"] });
      const key = await apiKey(app);
      const context = { targetingKey: "u_2", plan: "other" };
      const texts: string[] = [];
      for (const token of [undefined, await signIn(app, "u_2"), key]) {
        const who = token === undefined ? {} : { token };
        for (const [target, json] of [
          ["GET /api/flags", undefined],
          ["POST /ofrep/v1/evaluate/flags", { context }],
          ["POST /ofrep/v1/evaluate/flags/listed", { context }],
          ["POST /ofrep/v1/evaluate/flags/ruled", { context }],
          ["POST /ofrep/v1/evaluate/flags/ruled", { context: 5 }],
          ["POST /ofrep/v1/evaluate/flags/nope", { context }],
          ["GET /api/entities/FeatureFlag", undefined],
          ["GET /api/openapi.json", undefined],
          ["GET /metrics", undefined],
        ] as const) {
          const answer = await app.ask(target, { ...who, ...(json === undefined ? {} : { json }) });
          texts.push(answer.text, JSON.stringify([...answer.headers]));
        }
      }
      const all = texts.join("\n");
      for (const secret of [...secrets, "u_2"]) assert.ok(!all.includes(secret), secret);
      const log = JSON.stringify(app.logged);
      for (const secret of secrets) assert.ok(!log.includes(secret), secret);
    });
  });
});
