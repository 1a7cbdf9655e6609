// Every plugin that comes with Pylon under the plugin contract.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { auditLogPlugin } from "../../src/plugins/audit-log/audit-log-plugin.ts";
import { netGuardPlugin } from "../../src/plugins/net-guard/net-guard-plugin.ts";
import { webhooksPlugin } from "../../src/plugins/webhooks/webhooks-plugin.ts";
import { PLUGINS } from "../../src/plugins.ts";
import { describePlugin, type PluginCase } from "../conformance/plugin.ts";

const CASES: readonly PluginCase[] = [
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
    plugin: netGuardPlugin,
    config: { allow_hosts: ["hooks.internal", "127.0.0.1:9000"], allow_cidrs: ["10.1.0.0/16"], guard_functions: true },
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
    assert.deepEqual(
      CASES.map(({ plugin }) => plugin),
      PLUGINS,
    );
  });
});
