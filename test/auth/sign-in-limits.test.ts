// Sign-in limits under virtual time: what is granted in any span, and what is remembered under a flood.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { networkOf } from "../../src/auth/client-network.ts";
import { type Bucket, createSignInLimits, planTake, SIGN_IN_RULES } from "../../src/auth/sign-in-limits.ts";
import { createVirtualClock } from "../../src/core/clock.ts";
import { isPylonError } from "../../src/core/errors.ts";

/** 0 when the request may go on, or the seconds of the refusal. */
function refusalSecs(take: () => void): number {
  try {
    take();
  } catch (error) {
    if (isPylonError(error, "RATE_LIMITED")) return error.retryAfterSecs ?? -1;
    throw error;
  }
  return 0;
}

describe("planTake()", () => {
  it("grants no more than the burst and what came back since, in any span", () => {
    const rule = { burst: 5, perMinute: 60 };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 200 }), (waits) => {
        let [now, bucket] = [0, undefined as Bucket | undefined];
        const granted: number[] = [];
        for (const waitMs of waits) {
          now += waitMs;
          const taken = planTake(bucket, rule, now);
          if (taken.waitMs === 0) granted.push(now);
          else assert.equal(planTake(taken, rule, now + Math.ceil(taken.waitMs)).waitMs, 0);
          bucket = taken;
        }
        for (const [index, from] of granted.entries()) {
          const until = granted.at(-1) ?? from;
          assert.ok(granted.length - index <= rule.burst + (until - from) / 1_000 + 1e-6);
        }
      }),
    );
  });
});

describe("createSignInLimits()", () => {
  it("refuses beyond the burst and says when to come back", async () => {
    const clock = createVirtualClock();
    const limits = createSignInLimits({ clock });
    const take = (): number => refusalSecs(() => limits.take("send", { ip: "192.0.2.1", subject: null }));
    for (let request = 0; request < SIGN_IN_RULES.send.network.burst; request++) assert.equal(take(), 0);
    assert.equal(take(), 2);
    await clock.advance(2_000);
    assert.equal(take(), 0);
    assert.equal(take(), 2);
  });

  it("counts networks, addresses and actions apart", () => {
    const limits = createSignInLimits({ clock: createVirtualClock() });
    const take = (ip: string | null, subject: string | null): number =>
      refusalSecs(() => limits.take("verify", { ip, subject }));
    for (let request = 0; request < 30; request++) assert.equal(take(`192.0.2.${request}`, "ann@example.com"), 0);
    assert.ok(take("192.0.2.200", "ann@example.com") > 0);
    assert.equal(take("192.0.2.200", "bob@example.com"), 0);
    assert.equal(
      refusalSecs(() => limits.take("send", { ip: null, subject: "ann@example.com" })),
      0,
    );
  });

  it("does not use up an address's requests for a network that is refused", () => {
    const rule = { burst: 1, perMinute: 1 };
    const rules = { ...SIGN_IN_RULES, send: { network: rule, subject: rule } };
    const limits = createSignInLimits({ clock: createVirtualClock(), rules });
    limits.take("send", { ip: "192.0.2.1", subject: null });
    assert.equal(
      refusalSecs(() => limits.take("send", { ip: "192.0.2.1", subject: "ann@example.com" })),
      60,
    );
    limits.take("send", { ip: "192.0.2.2", subject: "ann@example.com" });
  });

  it("forgets the longest idle, and a flood of one kind forgets nothing of another", () => {
    const rule = { burst: 1, perMinute: 1 };
    const rules = { ...SIGN_IN_RULES, send: { network: rule, subject: rule } };
    const limits = createSignInLimits({ clock: createVirtualClock(), rules, maxBuckets: 3 });
    limits.take("send", { ip: "192.0.2.1", subject: null });
    for (let count = 0; count < 100; count++) limits.take("send", { ip: null, subject: `u${count}` });
    assert.equal(
      refusalSecs(() => limits.take("send", { ip: "192.0.2.1", subject: null })),
      60,
    );
    assert.ok(refusalSecs(() => limits.take("send", { ip: null, subject: "u97" })) > 0);
    assert.equal(
      refusalSecs(() => limits.take("send", { ip: null, subject: "u96" })),
      0,
    );
  });
});

describe("networkOf()", () => {
  it("is one IPv4 address or one IPv6 /64, in one spelling", () => {
    assert.equal(networkOf("192.0.2.1"), "192.0.2.1");
    assert.equal(networkOf("::ffff:192.0.2.1"), "192.0.2.1");
    assert.equal(networkOf("2001:db8:0:1::5"), networkOf("2001:DB8:0:1:ffff:ffff:ffff:ffff"));
    assert.notEqual(networkOf("2001:db8:0:1::5"), networkOf("2001:db8:0:2::5"));
    assert.equal(networkOf("x".repeat(1_000)).length, 64);
  });
});
