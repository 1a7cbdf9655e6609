// What application code can import, and which instance answers.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFunctionDefinition } from "../../src/functions/define.ts";
import { createLateExports } from "../../src/sdk/late-exports.ts";
import { createSdk, type SdkModuleName } from "../../src/sdk/sdk.ts";

describe("createSdk", () => {
  it("assembles the three modules from what is fixed and what the instance contributes", () => {
    const sdk = createSdk({
      sdkExports: { cache: {} },
      webhooksExports: { declares: { webhooks: () => 1 }, acts: { dispatch: () => 2 } },
    });
    const names = (name: SdkModuleName): string[] => {
      const { declares, acts } = sdk.modules[name];
      return [...Object.keys(declares), ...Object.keys(acts)].toSorted();
    };
    assert.deepEqual(names("@pylonsync/sdk"), [
      "app",
      "buildManifest",
      "cache",
      "definePlugin",
      "entity",
      "field",
      "policy",
    ]);
    assert.deepEqual(names("@pylonsync/functions"), ["action", "mutation", "query", "v"]);
    assert.deepEqual(names("@pylonsync/webhooks"), ["dispatch", "webhooks"]);
  });

  it("gives working definitions", () => {
    const { declares } = createSdk({}).modules["@pylonsync/functions"];
    const query = declares["query"] as (options: unknown) => unknown;
    assert.ok(isFunctionDefinition(query({ handler: () => 1 })));
    for (const wrong of [
      undefined,
      null,
      {},
      { handler: 1 },
      { handler: () => 1, args: 5 },
      { handler: () => 1, args: { a: 1 } },
    ]) {
      assert.throws(() => query(wrong), TypeError);
    }
  });
});

describe("definePlugin", () => {
  type Define = (name: unknown, config: unknown) => { name: string };
  const open = (): { sdk: ReturnType<typeof createSdk>; define: Define } => {
    const sdk = createSdk({});
    return { sdk, define: sdk.modules["@pylonsync/sdk"].declares["definePlugin"] as Define };
  };

  it("answers the entry, and counts it unless it is listed", () => {
    const { sdk, define } = open();
    const listed = define("webhooks", { hooks: [] });
    define("stripe", { on: {} });
    define("webhooks", { hooks: [] });
    assert.deepEqual(listed, { name: "webhooks", config: { hooks: [] } });
    assert.deepEqual(
      sdk.pluginsMissingFrom([listed]).map(({ name }) => name),
      ["stripe", "webhooks"],
    );
    assert.equal(sdk.pluginsMissingFrom(undefined).length, 3);
  });

  it("belongs to one load, and ends with it", () => {
    const [one, two] = [open(), open()];
    one.define("stripe", {});
    assert.deepEqual(two.sdk.pluginsMissingFrom([]), []);
    one.sdk.close();
    assert.throws(() => one.define("cache", {}), { code: "SDK_LOADED" });
    assert.equal(two.define("cache", {}).name, "cache");
  });

  it("refuses what is no plugin", () => {
    const { define } = open();
    for (const [name, config] of [
      [5, {}],
      ["a", null],
      ["a", []],
      ["a", "x"],
    ]) {
      assert.throws(() => define(name, config), TypeError);
    }
  });
});

describe("createLateExports", () => {
  it("stands in for what is bound later", async () => {
    const late = createLateExports(["cache", "sendEmail"]);
    const { cache, sendEmail } = late.exports as {
      cache: { get(key: string): unknown; size: number };
      sendEmail: (to: string) => Promise<string>;
    };
    assert.throws(() => cache.get("k"), { code: "SDK_NOT_READY" });
    assert.throws(() => sendEmail("a"), { code: "SDK_NOT_READY" });
    const store = {
      size: 7,
      get(key: string) {
        return `${key}:${this.size}`;
      },
    };
    late.bind({ cache: store, sendEmail: async (to: string) => `sent ${to}`, other: 1 });
    assert.equal(cache.get("k"), "k:7");
    assert.equal(cache.size, 7);
    assert.equal("get" in cache, true);
    assert.equal(await sendEmail("a"), "sent a");
    late.bind({ cache: { get: () => "second", size: 1 } });
    assert.equal(cache.get("k"), "second");
    assert.throws(() => sendEmail("a"), { code: "SDK_NOT_READY" });
  });

  it("can be awaited and returned before it is bound", async () => {
    const { exports } = createLateExports(["cache"]);
    assert.equal(await Promise.resolve(exports["cache"]), exports["cache"]);
  });
});
