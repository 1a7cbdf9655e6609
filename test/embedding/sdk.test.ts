// What plugins give the functions of an embedded instance: bound to that instance, on Bun and on Deno.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { action, createPylon, query, v, type EmbeddedPylon, type PylonOptions } from "../../src/mod.ts";

const ENV = { PYLON_ADMIN_TOKEN: "the-admin-token-of-an-embedder" };

function manifest(plugins: readonly { name: string; config: object }[]): object {
  return { manifest_version: 1, name: "shop", version: "1.0.0", entities: [], policies: [], plugins };
}

function open(options: Partial<PylonOptions>): EmbeddedPylon {
  return createPylon({ manifest: manifest([]), store: "memory", env: ENV, ...options });
}

describe("sdk of an embedded instance", () => {
  it("gives functions the caches of their own instance, and no other's", async () => {
    const openShop = (): EmbeddedPylon => {
      const shop: EmbeddedPylon = open({
        manifest: manifest([{ name: "cache", config: {} }]),
        functions: {
          remember: action({
            args: { text: v.string() },
            handler: async (_ctx, { text }) => {
              const before = shop.sdk.cache.get("text") ?? null;
              shop.sdk.cache.set("text", text);
              return before;
            },
          }),
        },
      });
      return shop;
    };
    const [left, right] = [openShop(), openShop()];
    try {
      assert.equal(await left.call("remember", { text: "left" }), null);
      assert.equal(await right.call("remember", { text: "right" }), null);
      assert.equal(await left.call("remember", { text: "again" }), "left");
      assert.equal(right.sdk.cache.get("text"), "right");
    } finally {
      await left.close();
      await right.close();
    }
  });

  it("decides flags for whoever calls the function", async () => {
    const flags = { beta: { enabled: true, users: ["u_1"] } };
    const shop: EmbeddedPylon = open({
      manifest: manifest([{ name: "feature_flags", config: { flags } }]),
      functions: { isBeta: query({ handler: async (ctx) => shop.sdk.isFeatureEnabled("beta", ctx.auth) }) },
    });
    try {
      assert.equal(await shop.call("isBeta", {}, { userId: "u_1" }), true);
      assert.equal(await shop.call("isBeta", {}, { userId: "u_2" }), false);
      assert.equal(await shop.call("isBeta"), false);
    } finally {
      await shop.close();
    }
  });

  it("says why it does not work: too early, or without the plugin", async () => {
    const shop = open({});
    try {
      assert.throws(() => shop.sdk.cache.get("text"), { code: "SDK_NOT_READY" });
      await shop.db.list("User").catch(() => undefined);
      const hint = (names: string): string => `Add the plugin ${names} to the application`;
      const noCache = { code: "SDK_UNAVAILABLE", hint: hint('"cache" or "cache_client"') };
      assert.throws(() => shop.sdk.cache.get("text"), noCache);
      const noFlags = { code: "SDK_UNAVAILABLE", hint: hint('"feature_flags"') };
      assert.throws(() => shop.sdk.isFeatureEnabled("beta", null), noFlags);
    } finally {
      await shop.close();
    }
  });
});
