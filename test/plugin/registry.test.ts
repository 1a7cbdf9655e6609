// Choosing and setting up plugins: every problem at once and with its place, no secret in any of them, and nothing left
// open behind a failure.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";

import { isPylonError, type PylonError } from "../../src/core/errors.ts";
import { app } from "../../src/manifest/dsl.ts";
import { parseManifest } from "../../src/manifest/manifest.ts";
import { definePluginType, type Plugin, type PluginHost } from "../../src/plugin/plugin.ts";
import {
  choosePlugins,
  closePlugins,
  requireChoice,
  setUpPlugins,
  type Choice,
  type ChosenPlugin,
} from "../../src/plugin/registry.ts";
import { PLUGINS } from "../../src/plugins.ts";

const HOST = {} as unknown as PluginHost;

function choose(plugins: readonly unknown[], env: Record<string, string> = {}, available = PLUGINS): Choice {
  const entities = [{ name: "Order", fields: [{ name: "total", type: "int" }] }];
  return choosePlugins(parseManifest({ ...app(), entities, plugins }), available, env);
}

function refusal(choice: Choice): PylonError {
  try {
    requireChoice(choice);
  } catch (error) {
    assert.ok(isPylonError(error));
    return error;
  }
  throw new assert.AssertionError({ message: "Expected a refusal" });
}

function paths(choice: Choice): readonly string[] {
  return choice.problems.map(({ path }) => path);
}

const HOOK = { entity: "Order", events: ["insert"], url: "https://hooks.example.com/x" };

describe("choosePlugins()", () => {
  it("pairs entries with plugins in the manifest's order, defaults filled in", () => {
    const { chosen, problems } = choose([{ name: "net_guard" }, { name: "webhooks", config: { hooks: [HOOK] } }]);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      chosen.map(({ plugin }) => plugin.name),
      ["net_guard", "webhooks"],
    );
    assert.deepEqual(chosen[0]?.config, { allow_hosts: [], allow_cidrs: [], guard_functions: false });
  });

  const suggestions: readonly (readonly [string, RegExp])[] = [
    ["webhook", /Did you mean "webhooks"\?$/],
    ["webhoks", /Did you mean "webhooks"\?$/],
    ["Webhooks", /Did you mean "webhooks"\?$/],
    ["net-guard", /Did you mean "net_guard"\?$/],
    ["netguard", /Did you mean "net_guard"\?$/],
    ["audit", /Did you mean "audit_log"\?$/],
    ["payments", new RegExp(`Known: ${PLUGINS.map(({ name }) => name).join(", ")}$`)],
  ];
  for (const [name, message] of suggestions) {
    it(`knows no "${name}"`, () => {
      const choice = choose([{ name: "webhooks" }, { name }]);
      assert.deepEqual(paths(choice), ["plugins.1.name"]);
      assert.match(choice.problems[0]?.message ?? "", message);
      assert.equal(refusal(choice).code, "PLUGIN_INVALID");
    });
  }

  it("says where in the manifest a configuration does not fit", () => {
    const hooks = [HOOK, { ...HOOK, url: "ftp://x", events: ["upsert"] }, { ...HOOK, retries: 5 }];
    const choice = choose([{ name: "webhooks", config: { hooks, color: "red" } }]);
    assert.deepEqual(paths(choice).toSorted(), [
      "plugins.0.config.color",
      "plugins.0.config.hooks.1.events.0",
      "plugins.0.config.hooks.1.url",
      "plugins.0.config.hooks.2.retries",
    ]);
  });

  it("finds what the schema cannot see", () => {
    const hooks = [
      { ...HOOK, name: "a" },
      { ...HOOK, name: "a", entity: "Nothing" },
    ];
    assert.deepEqual(paths(choose([{ name: "webhooks", config: { hooks } }])).toSorted(), [
      "plugins.0.config.hooks.1.entity",
      "plugins.0.config.hooks.1.name",
    ]);
    const hosts = { allow_hosts: ["ok.example.com", "http://x"], allow_cidrs: ["10.0.0.0/99"] };
    const guard = choose([{ name: "net_guard", config: hosts }]);
    assert.ok(guard.problems.length >= 2);
    assert.ok(guard.problems.every(({ path }) => /^plugins\.0\.config\.allow_(?:hosts|cidrs)\.\d$/.test(path)));
  });

  const flags = { name: "feature_flags", config: { flags: { a: { enabled: true } } } };
  const sending = (entity: string): object => ({ name: "webhooks", config: { hooks: [{ ...HOOK, entity }] } });
  const recording = (...entities: string[]): object => ({ name: "audit_log", config: { entities } });
  const brought: readonly (readonly [string, readonly object[]])[] = [
    ["a hook on FeatureFlag", [flags, sending("FeatureFlag")]],
    ["an audit log of FeatureFlag", [flags, recording("FeatureFlag")]],
    ["an audit log of WebhookDelivery", [sending("Order"), recording("WebhookDelivery", "Order")]],
    ["a hook on WebhookEndpoint", [{ name: "customer_webhooks" }, sending("WebhookEndpoint")]],
    ["an audit log of WebhookAttempt", [{ name: "customer_webhooks" }, recording("WebhookAttempt")]],
  ];
  for (const [what, plugins] of brought) {
    it(`knows what other plugins bring, wherever they stand: ${what}`, () => {
      const env = { PYLON_SECRET_KEY: "k".repeat(44) };
      const problemsOf = (list: readonly object[]): readonly string[] =>
        choose(list, env).problems.flatMap(({ path, message }) => (/entit/.test(path) ? [message] : []));
      assert.deepEqual(problemsOf(plugins), []);
      assert.deepEqual(problemsOf(plugins.toReversed()), []);
      // It is the other plugin that brings it.
      assert.match(problemsOf(plugins.slice(1)).join(), /^There is no entity/);
    });
  }

  it("lets no plugin listen to what it writes itself, nor to what nobody hears of", () => {
    const messages = (plugins: readonly object[]): readonly string[] =>
      choose(plugins).problems.map(({ message }) => message);
    assert.deepEqual(messages([sending("WebhookDelivery")]), ['Plugin webhooks writes "WebhookDelivery" itself']);
    assert.deepEqual(messages([recording("AuditLog")]), ["The audit log does not record itself"]);
    assert.deepEqual(messages([recording("Order"), sending("AuditLog")]), ['Writes of "AuditLog" are told to nobody']);
  });

  it("goes on after the first plugin that does not fit", () => {
    const choice = choose([
      { name: "nothing" },
      { name: "webhooks", config: { hooks: "all" } },
      { name: "net_guard", config: { allow_hosts: [1] } },
    ]);
    assert.deepEqual(paths(choice), ["plugins.0.name", "plugins.1.config.hooks", "plugins.2.config.allow_hosts.0"]);
    const error = refusal(choice);
    assert.equal(error.code, "PLUGIN_INVALID");
    assert.equal(error.details?.length, 3);
  });

  it("joins entries of one name before it looks at them", () => {
    const choice = choose([
      { name: "webhooks", config: { hooks: [HOOK] } },
      { name: "webhooks", config: { hooks: [{ ...HOOK, entity: "Nothing" }] } },
    ]);
    assert.deepEqual(paths(choice), ["plugins.0.config.hooks.1.entity"]);
  });
});

describe("requireChoice()", () => {
  const hooks = [
    { ...HOOK, secret_env: "HOOK_SECRET", headers: { Authorization: "Bearer ${HOOK_TOKEN} ${HOOK_USER}" } },
    { ...HOOK, secret_env: "HOOK_SECRET" },
  ];

  it("names every missing variable once, and the value of none", () => {
    const error = refusal(choose([{ name: "webhooks", config: { hooks } }], { HOOK_USER: "visible-user-value" }));
    assert.equal(error.code, "CONFIG_ENV_MISSING");
    assert.match(error.message, /: HOOK_TOKEN, HOOK_SECRET$/);
    assert.deepEqual(
      error.details?.map(({ path }) => path),
      [
        "plugins.0.config.hooks.0.headers.Authorization",
        "plugins.0.config.hooks.0.secret_env",
        "plugins.0.config.hooks.1.secret_env",
      ],
    );
    assert.ok(!JSON.stringify([error.message, error.details, error.hint]).includes("visible-user-value"));
  });

  it("takes an empty variable for a missing one", () => {
    const error = refusal(choose([{ name: "webhooks", config: { hooks: [hooks[1]] } }], { HOOK_SECRET: "" }));
    assert.equal(error.code, "CONFIG_ENV_MISSING");
  });

  it("is PLUGIN_INVALID when anything else is wrong as well", () => {
    const choice = choose([{ name: "webhooks", config: { hooks } }, { name: "nothing" }]);
    const error = refusal(choice);
    assert.equal(error.code, "PLUGIN_INVALID");
    assert.equal(error.details?.length, 5);
  });

  it("hands on what fits", () => {
    const choice = choose([{ name: "net_guard" }]);
    assert.equal(requireChoice(choice), choice.chosen);
    assert.deepEqual(requireChoice(choose([])), []);
  });
});

/** Plugins that keep a diary of what is done to them. */
function diary(): {
  readonly lines: string[];
  readonly plugin: (name: string, fails?: "setup" | "close") => ChosenPlugin;
} {
  const lines: string[] = [];
  return {
    lines,
    plugin(name, fails) {
      const plugin: Plugin = definePluginType({
        name,
        config: z.strictObject({}),
        setup() {
          lines.push(`set up ${name}`);
          if (fails === "setup") throw new Error(`${name} cannot`);
          return Promise.resolve({
            close() {
              lines.push(`close ${name}`);
              if (fails === "close") throw new Error(`${name} will not`);
            },
          });
        },
      });
      return { plugin, config: {} };
    },
  };
}

describe("setUpPlugins() and closePlugins()", () => {
  it("set up in order and close in reverse", async () => {
    const { lines, plugin } = diary();
    const parts = await setUpPlugins([plugin("a"), plugin("b"), plugin("c")], HOST);
    await closePlugins(parts);
    assert.deepEqual(lines, ["set up a", "set up b", "set up c", "close c", "close b", "close a"]);
  });

  it("close those before one that fails, and say why it failed", async () => {
    const { lines, plugin } = diary();
    const work = setUpPlugins([plugin("a"), plugin("b"), plugin("c", "setup"), plugin("d")], HOST);
    await assert.rejects(work, { message: "c cannot" });
    assert.deepEqual(lines, ["set up a", "set up b", "set up c", "close b", "close a"]);
  });

  it("close the others when one does not want to", async () => {
    const { lines, plugin } = diary();
    await closePlugins(await setUpPlugins([plugin("a"), plugin("b", "close"), plugin("c")], HOST));
    assert.deepEqual(lines.slice(3), ["close c", "close b", "close a"]);
  });
});
