// The configuration of hooks: everything that could not be sent is found before anything starts, with its path, and all at
// once; a missing variable is named and never shown.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Env } from "../../../src/core/env.ts";
import { isPylonError, type Problem } from "../../../src/core/errors.ts";
import { parseManifest } from "../../../src/manifest/manifest.ts";
import { choosePlugins, requireChoice } from "../../../src/plugin/registry.ts";
import { resolveHooks, webhooksConfig } from "../../../src/plugins/webhooks/hook-config.ts";
import { PLUGINS } from "../../../src/plugins.ts";
import { CUSTOMER, ORDER } from "../app-harness.ts";
import { HOOK_URL, type HookInput } from "./deliveries.ts";

const HOOK = { entity: "Order", events: ["insert"], url: HOOK_URL };

function problemsOf(config: unknown, env: Env = {}): readonly Problem[] {
  const manifest = parseManifest({
    manifest_version: 1,
    name: "shop",
    version: "0.1.0",
    entities: [ORDER, CUSTOMER],
    plugins: [{ name: "webhooks", config }],
  });
  return choosePlugins(manifest, PLUGINS, env).problems;
}

function pathsOf(config: unknown, env: Env = {}): string {
  return problemsOf(config, env)
    .map(({ path }) => path.replace("plugins.0.config.", ""))
    .join();
}

describe("the configuration of hooks", () => {
  it("takes what the seed shows", () => {
    const hooks = [
      {
        entity: "Order",
        events: ["insert", "update"],
        url: "https://hooks.your-app.com/order-changed",
        secret_env: "WEBHOOK_SECRET",
        retry: { max_attempts: 5, backoff_secs: 30 },
      },
      { ...HOOK, headers: { Authorization: "Bearer ${INTERCOM_KEY}" } },
    ];
    assert.equal(pathsOf({ hooks }, { WEBHOOK_SECRET: "s", INTERCOM_KEY: "k" }), "");
    assert.equal(pathsOf({}), "");
    assert.equal(pathsOf(undefined), "");
  });

  it("fills in 5 attempts, 30 seconds and a name by place", () => {
    const config = webhooksConfig.parse({ hooks: [HOOK, { ...HOOK, name: "b", retry: { backoff_secs: 0.5 } }] });
    const [first, second] = resolveHooks(config, {});
    assert.deepEqual([first?.maxAttempts, first?.backoffMs, first?.name, first?.named], [5, 30_000, "hooks[0]", false]);
    assert.deepEqual([second?.maxAttempts, second?.backoffMs, second?.name, second?.named], [5, 500, "b", true]);
  });

  const refused: readonly (readonly [name: string, hook: object, paths: string])[] = [
    ["an entity that does not exist", { entity: "Ordre" }, "hooks.0.entity"],
    ["an event that does not exist", { events: ["insert", "upsert"] }, "hooks.0.events.1"],
    ["no event", { events: [] }, "hooks.0.events"],
    ["another scheme", { url: "ftp://hooks.example.com/" }, "hooks.0.url"],
    ["half a URL", { url: "hooks.example.com" }, "hooks.0.url"],
    ["a user in the URL", { url: "https://a@hooks.example.com/" }, "hooks.0.url"],
    ["a password in the URL", { url: "https://:b@hooks.example.com/" }, "hooks.0.url"],
    ["a line break at the end of the URL", { url: "https://hooks.example.com/\n" }, "hooks.0.url"],
    ["a tab in the URL", { url: "https://hooks.exa\tmple.com/" }, "hooks.0.url"],
    ["no attempt at all", { retry: { max_attempts: 0 } }, "hooks.0.retry.max_attempts"],
    ["half an attempt", { retry: { max_attempts: 1.5 } }, "hooks.0.retry.max_attempts"],
    ["a backoff below zero", { retry: { backoff_secs: -1 } }, "hooks.0.retry.backoff_secs"],
    ["a backoff beyond a day", { retry: { backoff_secs: 86_401 } }, "hooks.0.retry.backoff_secs"],
    ["a header name with a space", { headers: { "X A": "1" } }, "hooks.0.headers.X A"],
    ["a header value with a line break", { headers: { X: "a\r\nHost: b" } }, "hooks.0.headers.X"],
    ["a header value beyond ASCII", { headers: { X: "é" } }, "hooks.0.headers.X"],
    ["a header twice", { headers: { "X-A": "1", "x-a": "2" } }, "hooks.0.headers.x-a"],
    ["a variable that cannot be one", { headers: { X: "${MY-KEY}" } }, "hooks.0.headers.X"],
    ["an unfinished variable", { headers: { X: "${MY_KEY" } }, "hooks.0.headers.X"],
    ["a name with a space", { name: "my hook" }, "hooks.0.name"],
    ["a name that looks like a place", { name: "hooks[0]" }, "hooks.0.name"],
    ["an unknown key", { secret: "x" }, "hooks.0.secret"],
    ["an unknown key of retry", { retry: { attempts: 3 } }, "hooks.0.retry.attempts"],
  ];
  for (const [name, hook, paths] of refused) {
    it(`refuses ${name}`, () => assert.equal(pathsOf({ hooks: [{ ...HOOK, ...hook }] }), paths));
  }

  it("refuses headers that the delivery or its connection sets", () => {
    const reserved = ["Host", "content-LENGTH", "Content-Type", "Transfer-Encoding", "Connection", "X-Pylon-Signature"];
    const hopByHop = ["Keep-Alive", "TE", "Trailer", "Upgrade", "Expect", "Proxy-Authorization", "Content-Encoding"];
    for (const name of [...reserved, ...hopByHop]) {
      assert.equal(pathsOf({ hooks: [{ ...HOOK, headers: { [name]: "x" } }] }), `hooks.0.headers.${name}`);
    }
  });

  it("refuses a name that two hooks have", () => {
    assert.equal(pathsOf({ hooks: [{ ...HOOK, name: "a" }, { ...HOOK, name: "a" }, HOOK, HOOK] }), "hooks.1.name");
  });

  it("lists every problem at once", () => {
    const hooks: HookInput[] = [
      { ...HOOK, entity: "Nothing", headers: { Host: "x", A: "${NO_SUCH}" } },
      { ...HOOK, secret_env: "ALSO_NOT" },
    ];
    assert.equal(pathsOf({ hooks }), "hooks.0.headers.Host,hooks.0.headers.A,hooks.0.entity,hooks.1.secret_env");
  });
});

describe("variables that are missing", () => {
  const config = {
    hooks: [{ ...HOOK, secret_env: "WEBHOOK_SECRET", headers: { Authorization: "Bearer ${INTERCOM_KEY}-${PRESENT}" } }],
  };

  it("stop the start with CONFIG_ENV_MISSING and their names, an empty one included", () => {
    const env = { PRESENT: "here-is-a-secret", WEBHOOK_SECRET: "" };
    const problems = problemsOf(config, env);
    assert.deepEqual(
      problems.map(({ missingEnv }) => missingEnv),
      ["INTERCOM_KEY", "WEBHOOK_SECRET"],
    );
    assert.throws(
      () => requireChoice({ chosen: [], problems }),
      (error) => {
        assert.ok(isPylonError(error, "CONFIG_ENV_MISSING"));
        assert.ok(error.message.includes("INTERCOM_KEY") && error.message.includes("WEBHOOK_SECRET"));
        return true;
      },
    );
  });

  it("show no value of those that are set", () => {
    const env = { PRESENT: "line\nbreak-secret", INTERCOM_KEY: "кл" };
    const text = JSON.stringify(problemsOf(config, env));
    assert.ok(!text.includes("break-secret") && !text.includes("кл"), text);
    assert.ok(text.includes("hooks.0.headers.Authorization"));
  });
});
