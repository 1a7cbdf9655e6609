// Every plugin that comes with Pylon under the plugin contract.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { customerWebhooksPlugin } from "../../src/plugins/customer-webhooks/customer-webhooks-plugin.ts";
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
