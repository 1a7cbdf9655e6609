// An application with flags for the tests of this folder, and callers to ask as.

import assert from "node:assert/strict";

import { v } from "../../../src/functions/validators.ts";
import { query } from "../../../src/functions/define.ts";
import { type Answer, type Ask, type AppOptions, type TestApp, withApp } from "../app-harness.ts";

/** The seeds' own block. */
export const SEED_FLAGS = {
  "new-onboarding": { enabled: true, rollout: 100 },
  "ai-suggestions": { enabled: true, rollout: 25 },
  "experimental-graph": { enabled: true, users: ["u_123", "u_456"] },
  "premium-widgets": { enabled: true, tenants: ["org_acme"] },
};

export const UNKNOWN_NAME = "no-such-flag";

export type Flags = Readonly<Record<string, unknown>>;

/** Answers what `isFeatureEnabled` says, with and without the caller handed on. */
export function appOptions(flags: Flags, app: () => TestApp): AppOptions {
  const sdk =
    (name: string) =>
    (...args: readonly unknown[]): unknown =>
      (app().pylon.sdk[name] as (...all: readonly unknown[]) => unknown)(...args);
  const [isFeatureEnabled, featureVariant] = [sdk("isFeatureEnabled"), sdk("featureVariant")];
  return {
    plugins: [{ name: "feature_flags", config: { flags } }],
    functions: {
      check: query({
        args: { flag: v.string(), attributes: v.optional(v.any()) },
        handler: async (ctx, { flag, attributes }) => ({
          awaited: await isFeatureEnabled(flag, ctx.auth, attributes),
          type: typeof isFeatureEnabled(flag, ctx.auth),
          own: isFeatureEnabled(flag),
          nobody: isFeatureEnabled(flag, null),
        }),
      }),
      variant: query({ args: { flag: v.string() }, handler: (ctx, { flag }) => featureVariant(flag, ctx.auth) }),
    },
  };
}

/** Opens an application with these flags. */
export async function withFlags(
  flags: Flags,
  run: (app: TestApp) => Promise<void>,
  changes: Partial<AppOptions> = {},
): Promise<void> {
  let current: TestApp | undefined;
  const appOf = (): TestApp => {
    assert.ok(current);
    return current;
  };
  await withApp({ ...appOptions(flags, appOf), ...changes }, async (app) => {
    current = app;
    await run(app);
  });
}

/** A session token of a person. */
export async function signIn(app: TestApp, userId: string, tenantId?: string): Promise<string> {
  const { token } = await app.pylon.auth.sessions.mint(userId, tenantId === undefined ? {} : { tenantId });
  return token;
}

/** An API key as a server would have it: of no person. */
export async function apiKey(app: TestApp, tenantId?: string): Promise<string> {
  const json = { name: "server", ...(tenantId === undefined ? {} : { tenant_id: tenantId }) };
  const answer = await app.ask("POST /api/auth/api-keys", { token: "admin", json });
  assert.equal(answer.status, 201, answer.text);
  return String(answer.json["key"]);
}

export async function flagsOf(app: TestApp, ask: Ask = {}): Promise<Answer["json"]> {
  const answer = await app.ask("GET /api/flags", ask);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

export async function change(app: TestApp, name: string, json: object): Promise<Answer> {
  return app.ask(`PATCH /api/admin/flags/${encodeURIComponent(name)}`, { token: "admin", json });
}

/** The administrator's view of one flag. */
export async function shown(app: TestApp, name: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = await app.ask("GET /api/admin/flags", { token: "admin" });
  assert.equal(answer.status, 200, answer.text);
  const flags = answer.json["flags"] as readonly Readonly<Record<string, unknown>>[];
  const found = flags.find((flag) => flag["name"] === name);
  assert.ok(found, answer.text);
  return found;
}
