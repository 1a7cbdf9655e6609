// The numbers that the documentation promises: what is left out, what is refused, what is carried, owed and waited for.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { reconnectDelayMs } from "../../../src/platform/server-failure.ts";
import { cacheClientConfig } from "../../../src/plugins/cache-client/cache-client-config.ts";
import { Debts } from "../../../src/plugins/cache-client/debts.ts";
import { isCarried } from "../../../src/plugins/cache-client/stored-value.ts";

const REDIS = { backend: "redis", url_env: "REDIS_URL" } as const;
const MONTH_SECS = 30 * 86_400;

describe("the configuration of cache_client", () => {
  it("is as documented where nothing is said", () => {
    assert.deepEqual(cacheClientConfig.parse(REDIS), {
      ...REDIS,
      default_ttl_secs: 300,
      max_ttl_secs: 86_400,
      key_prefix: "pylon:",
      max_entries: 10_000,
      timeout_ms: 300,
    });
  });

  for (const [key, least, most] of [
    ["max_ttl_secs", 300, MONTH_SECS],
    ["near_ttl_secs", 0.001, MONTH_SECS],
    ["timeout_ms", 10, 10_000],
    ["max_entries", 1, 10_000_000],
  ] as const) {
    it(`takes ${key} from ${least} to ${most}`, () => {
      for (const value of [least, most]) assert.equal(cacheClientConfig.parse({ ...REDIS, [key]: value })[key], value);
      for (const value of [least - 1, most + 1])
        assert.equal(cacheClientConfig.safeParse({ ...REDIS, [key]: value }).success, false, `${value}`);
    });
  }

  it("refuses a default life that is longer than the longest", () => {
    const lives = { ...REDIS, default_ttl_secs: 61, max_ttl_secs: 60 };
    assert.deepEqual(cacheClientConfig.safeParse(lives).error?.issues[0]?.path, ["default_ttl_secs"]);
    assert.equal(cacheClientConfig.safeParse({ ...lives, default_ttl_secs: 60 }).success, true);
  });

  it("refuses a backend, a key and a type that it does not know", () => {
    for (const change of [{ backend: "valkey" }, { ttl: 5 }, { timeout_ms: "5" }])
      assert.equal(cacheClientConfig.safeParse({ ...REDIS, ...change }).success, false);
  });
});

describe("what a message carries", () => {
  it("is up to 64 KiB of UTF-8", () => {
    assert.equal(isCarried("x".repeat(65_536)), true);
    assert.equal(isCarried("x".repeat(65_537)), false);
    assert.equal(isCarried("é".repeat(32_768)), true);
    assert.equal(isCarried("é".repeat(32_769)), false);
  });
});

describe("removals that are owed", () => {
  it("are a thousand keys and prefixes, and everything beyond that", () => {
    const debts = new Debts();
    for (let i = 0; i < 500; i++) {
      debts.addKey(`k${i}`);
      debts.addKey(`k${i}`);
      debts.addPrefix(`p${i}`);
    }
    assert.deepEqual([debts.keys.size, debts.prefixes.size, debts.everything], [500, 500, false]);
    debts.addKey("one more");
    assert.deepEqual([debts.keys.size, debts.prefixes.size, debts.everything], [0, 0, true]);
    debts.addPrefix("another");
    assert.deepEqual([debts.prefixes.size, debts.everything], [0, true]);
    debts.clear();
    assert.equal(debts.everything, false);
  });
});

describe("connecting again", () => {
  it("is tried after 50 ms, then twice as long up to 5 s, spread over as much again", () => {
    const delays = (random: number): number[] =>
      Array.from({ length: 9 }, (_, index) => reconnectDelayMs(index + 1, () => random));
    const least = [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
    assert.deepEqual(delays(0), least);
    for (const [index, delayMs] of delays(1 - Number.EPSILON).entries())
      assert.ok(Math.abs(delayMs - 2 * (least[index] as number)) <= 1, `${delayMs}`);
  });
});
