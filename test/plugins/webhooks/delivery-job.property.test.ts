// The arithmetic of retries and the choice of a hook, for any numbers and any configuration.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import type { OutboundOutcome } from "../../../src/net/guarded-client.ts";
import { judgeOutcome } from "../../../src/jobs/outbound-attempt.ts";
import { findHook, nextDelayMs } from "../../../src/plugins/webhooks/delivery-job.ts";
import type { Hook } from "../../../src/plugins/webhooks/hook-config.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const LONGEST_MS = 30 * DAY_MS;

const HOOK: Hook = {
  name: "orders",
  named: true,
  entity: "Order",
  events: new Set(["insert"]),
  url: "https://hooks.example.com/",
  secret: null,
  headers: {},
  maxAttempts: 5,
  backoffMs: 30_000,
};

function answer(status: number, headers: Readonly<Record<string, string>> = {}): OutboundOutcome {
  return {
    kind: "response",
    status,
    headers: new Headers(headers),
    body: new Uint8Array(0),
    truncated: false,
    durationMs: 1,
  };
}

const dice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const backoffMs = fc.oneof(fc.double({ min: 0, max: 86_400_000, noNaN: true }), fc.constantFrom(500, 30_000));
const attempt = fc.integer({ min: 1, max: 100 });

describe("the delay before the next attempt", () => {
  it("is backoff × 2^(n-1) and up to a tenth more", () => {
    fc.assert(
      fc.property(backoffMs, attempt, dice, (base, n, throwOfDice) => {
        const result = judgeOutcome(answer(500), NOW);
        const delay = nextDelayMs({ ...HOOK, backoffMs: base }, n, result, () => throwOfDice);
        const planned = Math.min(base * 2 ** (n - 1), LONGEST_MS);
        assert.ok(delay >= planned && delay <= planned * 1.1, `${delay} for ${planned}`);
      }),
    );
  });

  it("is what Retry-After says in seconds or as a date when that is longer, at most a day", () => {
    const seconds = fc.integer({ min: 0, max: 200_000 });
    fc.assert(
      fc.property(
        fc.tuple(seconds, fc.boolean()),
        fc.constantFrom(429, 503),
        backoffMs,
        dice,
        ([secs, isDate], code, base, d) => {
          const value = isDate ? new Date(NOW + secs * 1_000).toUTCString() : String(secs);
          const result = judgeOutcome(answer(code, { "retry-after": value }), NOW);
          const delay = nextDelayMs({ ...HOOK, backoffMs: base }, 1, result, () => d);
          assert.equal(delay, Math.max(base + base * 0.1 * d, Math.min(secs * 1_000, DAY_MS)));
        },
      ),
    );
  });

  it("takes no notice of Retry-After on any other status, nor of one that says nothing", () => {
    const other = fc.integer({ min: 300, max: 599 }).filter((code) => code !== 429 && code !== 503);
    const nonsense = fc.constantFrom("soon", "-5", "1e3", "1.5", "", "2026-01-02", "99:99");
    fc.assert(
      fc.property(other, nonsense, (code, text) => {
        assert.equal(judgeOutcome(answer(code, { "retry-after": "3600" }), NOW).retryAfterMs, undefined);
        assert.equal(judgeOutcome(answer(503, { "retry-after": text }), NOW).retryAfterMs, undefined);
      }),
    );
  });
});

describe("an answer", () => {
  it("delivers when it is 2xx and never otherwise", () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), (code) => {
        const result = judgeOutcome(answer(code), NOW);
        assert.equal(result.delivered, code < 300);
        assert.equal(result.status, code);
        assert.equal(result.final, false);
        assert.equal(result.error === null, result.delivered);
      }),
    );
  });
});

const hookArbitrary: fc.Arbitrary<Hook> = fc.record({
  name: fc.constantFrom("a", "b", "c"),
  named: fc.constant(true),
  entity: fc.constantFrom("Order", "Customer"),
  events: fc.subarray(["insert", "update", "delete"] as const, { minLength: 1 }).map((events) => new Set(events)),
  url: fc.constantFrom("https://one.example.com/", "https://two.example.com/"),
  secret: fc.constant(null),
  headers: fc.constant({}),
  maxAttempts: fc.constant(5),
  backoffMs: fc.constant(1),
});
const hooksArbitrary = fc
  .uniqueArray(hookArbitrary, { selector: ({ name }) => name, maxLength: 3 })
  .chain((hooks) =>
    fc
      .array(fc.boolean(), { minLength: hooks.length, maxLength: hooks.length })
      .map((named) =>
        hooks.map((hook, index): Hook => (named[index] ? hook : { ...hook, named: false, name: `hooks[${index}]` })),
      ),
  );
const deliveryArbitrary = fc.record({
  hook: fc.constantFrom("a", "b", "hooks[0]", "hooks[1]", "hooks[2]"),
  url: fc.constantFrom("https://one.example.com/", "https://two.example.com/"),
  entity: fc.constantFrom("Order", "Customer"),
  event: fc.constantFrom("insert", "update", "delete"),
});

describe("the hook of a stored delivery", () => {
  it("is the one of its name, or one that serves the same URL and entity, or none", () => {
    fc.assert(
      fc.property(hooksArbitrary, deliveryArbitrary, (hooks, delivery) => {
        const found = findHook(hooks, delivery);
        const named = hooks.find((hook) => hook.named && hook.name === delivery.hook);
        const serving = hooks.filter(({ url, entity }) => url === delivery.url && entity === delivery.entity);
        if (named) return assert.equal(found, named);
        if (serving.length === 0) return assert.equal(found, undefined);
        assert.ok(found && serving.includes(found));
        // Never one that has nothing to do with the event while another has.
        if (serving.some(({ events }) => events.has(delivery.event))) assert.ok(found.events.has(delivery.event));
      }),
      { numRuns: 1_000 },
    );
  });
});
