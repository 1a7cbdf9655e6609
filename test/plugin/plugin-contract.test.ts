// Every plugin that comes with Pylon under the plugin contract.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { auditLogPlugin } from "../../src/plugins/audit-log/audit-log-plugin.ts";
import { featureFlagsPlugin } from "../../src/plugins/feature-flags/feature-flags-plugin.ts";
import { cacheClientPlugin } from "../../src/plugins/cache-client/cache-client-plugin.ts";
import { cachePlugin } from "../../src/plugins/cache/cache-plugin.ts";
import { customerWebhooksPlugin } from "../../src/plugins/customer-webhooks/customer-webhooks-plugin.ts";
import { netGuardPlugin } from "../../src/plugins/net-guard/net-guard-plugin.ts";
import { webhooksPlugin } from "../../src/plugins/webhooks/webhooks-plugin.ts";
import { PLUGINS } from "../../src/plugins.ts";
import { describePlugin, type PluginCase } from "../conformance/plugin.ts";

const CASES: readonly PluginCase[] = [
  { plugin: cachePlugin, config: { max_entries: 100, max_bytes: 1_000_000, default_ttl_secs: 60 } },
  {
    plugin: cacheClientPlugin,
    config: { backend: "redis", url_env: "REDIS_URL", default_ttl_secs: 60, key_prefix: "shop:", max_entries: 100 },
    // Nobody listens there: an application starts without its cache.
    env: { REDIS_URL: "redis://ada:a-password-that-nobody-sees@127.0.0.1:1/0" },
  },
  {
    plugin: webhooksPlugin,
    config: {
      hooks: [
        {
          name: "orders",
          entity: "Order",
          events: ["insert", "update", "delete"],
          url: "https://hooks.example.com/orders",
          secret_env: "HOOK_SECRET",
          headers: { "X-Token": "${HOOK_TOKEN}" },
        },
      ],
    },
    env: { HOOK_SECRET: "a-secret-that-nobody-sees", HOOK_TOKEN: "a-token-that-nobody-sees" },
  },
  {
    plugin: customerWebhooksPlugin,
    config: {
      retrySchedule: [5, 300],
      replayToleranceSecs: 300,
      attemptRetentionDays: 30,
      eventTypes: { "invoice.paid": { description: "Money came in", schema: { type: "object" } } },
    },
  },
  {
    plugin: netGuardPlugin,
    config: { allow_hosts: ["hooks.internal", "127.0.0.1:9000"], allow_cidrs: ["10.1.0.0/16"], guard_functions: true },
  },
  {
    plugin: featureFlagsPlugin,
    config: {
      flags: {
        everything: {
          enabled: true,
          rollout: 25,
          users: ["u_1"],
          tenants: ["org_1"],
          salt: "salt",
          variants: { a: 1, b: 2 },
          schedule: { from: "2026-05-01", to: "2026-05-08", fromRollout: 0, toRollout: 100 },
          rules: [{ if: [{ attribute: "email", op: "matches", value: "@acme\\.com$" }], variant: "a" }],
          description: "All keys at once",
        },
      },
    },
  },
  {
    plugin: auditLogPlugin,
    config: {
      entities: ["Order"],
      include_fields: "*",
      exclude_fields: ["note"],
      sign_entries: true,
      signing_key_env: "AUDIT_SIGNING_KEY",
      previous_signing_key_envs: ["AUDIT_OLD_KEY"],
      log_key_env: "AUDIT_LOG_KEY",
      retention_days: 365,
    },
    env: {
      AUDIT_SIGNING_KEY: "a-signing-key",
      AUDIT_OLD_KEY: "an-older-key",
      AUDIT_LOG_KEY: "0123456789abcdef".repeat(4),
    },
  },
];

for (const example of CASES) describePlugin(example.plugin.name, example);

describe("the plugin contract", () => {
  it("is asked of every plugin that comes with Pylon", () => {
    assert.deepEqual(new Set(CASES.map(({ plugin }) => plugin.name)), new Set(PLUGINS.map(({ name }) => name)));
  });
});
