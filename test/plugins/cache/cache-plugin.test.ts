// The plugin in an instance: what its configuration means, and that an instance's cache is its own.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Cache } from "../../../src/cache/cache.ts";
import { app } from "../../../src/manifest/dsl.ts";
import { PLUGINS } from "../../../src/plugins.ts";
import { readBlueprint } from "../../../src/instance/blueprint.ts";
import { type TestApp, withApp } from "../app-harness.ts";

const cacheOf = ({ pylon }: TestApp): Cache => pylon.sdk["cache"] as Cache;
const configured = (config?: object): { plugins: { name: string; config?: object }[] } => ({
  plugins: [{ name: "cache", ...(config ? { config } : {}) }],
});

describe("the plugin cache", () => {
  it("keeps 300 s and 10,000 entries unless it is told otherwise", () =>
    withApp(configured(), async (instance) => {
      const cache = cacheOf(instance);
      cache.set("a", 1);
      await instance.advance(299_999);
      assert.equal(cache.get("a"), 1);
      await instance.advance(1);
      assert.equal(cache.get("a"), undefined);
      for (let i = 0; i < 10_001; i++) cache.set(`k${i}`, i);
      assert.deepEqual([cache.stats().entries, cache.stats().evictions], [10_000, 1]);
    }));

  it("does what it is told", () =>
    withApp(configured({ max_entries: 2, max_bytes: 12, default_ttl_secs: 0.5 }), async (instance) => {
      const cache = cacheOf(instance);
      for (const key of ["a", "b", "c"]) cache.set(key, 1);
      assert.equal(cache.stats().entries, 2);
      cache.set("d", "12345678");
      assert.deepEqual([cache.stats().entries, cache.stats().bytes], [1, 11]);
      await instance.advance(500);
      assert.equal(cache.get("d"), undefined);
    }));

  it("does not feel a correction of the clock", () =>
    withApp(configured(), async (instance) => {
      cacheOf(instance).set("a", 1);
      instance.jump(86_400_000);
      assert.equal(cacheOf(instance).get("a"), 1);
      instance.jump(-172_800_000);
      await instance.advance(300_000);
      assert.equal(cacheOf(instance).get("a"), undefined);
    }));

  it("shares nothing with the cache of another instance", () =>
    withApp(configured(), (first) =>
      withApp(configured(), async (second) => {
        cacheOf(first).set("a", 1);
        assert.equal(cacheOf(second).get("a"), undefined);
        cacheOf(second).invalidate("");
        assert.equal(cacheOf(first).get("a"), 1);
      }),
    ));

  it("refuses bounds that are none", () => {
    for (const config of [
      { max_entries: 0 },
      { max_entries: 1.5 },
      { max_entries: 10_000_001 },
      { max_bytes: 0 },
      { default_ttl_secs: 0 },
      { default_ttl_secs: 315_360_001 },
    ]) {
      const manifest = { ...app(), plugins: [{ name: "cache", config }] };
      assert.throws(
        () => readBlueprint(manifest, PLUGINS, {}),
        (error: { code?: string; details?: { path: string }[] }) =>
          error.code === "PLUGIN_INVALID" && error.details?.[0]?.path === `plugins.0.config.${Object.keys(config)[0]}`,
      );
    }
  });
});
