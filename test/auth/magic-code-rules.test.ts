// The rules of sign-in codes under any sequence of sends, guesses and waits.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type CodeState, drawCode, planGuess, planSend } from "../../src/auth/magic-code-rules.ts";

/** Fills with the given numbers, one after the other. */
function fixedRandom(numbers: readonly number[]): (into: Uint32Array<ArrayBuffer>) => void {
  const rest = [...numbers];
  return (into) => {
    const next = rest.shift();
    if (next === undefined) throw new Error("Out of numbers");
    into[0] = next;
  };
}

const LIMIT = 4_294_000_000;

describe("drawCode()", () => {
  it("throws away the numbers that would favour low codes", () => {
    assert.equal(drawCode(fixedRandom([LIMIT, 2 ** 32 - 1, 7])), "000007");
    assert.equal(drawCode(fixedRandom([LIMIT - 1])), "999999");
    assert.equal(drawCode(fixedRandom([0])), "000000");
  });

  it("spreads over the whole range", () => {
    const buckets = Array.from({ length: 10 }, () => 0);
    for (let draw = 0; draw < 10_000; draw++) {
      const code = drawCode();
      assert.match(code, /^\d{6}$/);
      buckets[Number(code[0])] = (buckets[Number(code[0])] ?? 0) + 1;
    }
    // 1000 each; ten standard deviations away is a fault, not luck.
    for (const count of buckets) assert.ok(count > 700 && count < 1300, String(count));
  });
});

type Step = { readonly kind: "send" } | { readonly kind: "guess"; readonly right: boolean };

const steps = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 700_000 }), fc.constant(60_000)),
    step: fc.oneof(
      fc.constant<Step>({ kind: "send" }),
      fc.boolean().map((right): Step => ({ kind: "guess", right })),
    ),
  }),
  { maxLength: 80 },
);

describe("planSend() and planGuess()", () => {
  it("judge at most five guesses per code, none after a right one, and never two codes a minute", () => {
    fc.assert(
      fc.property(steps, (script) => {
        let [now, state, sentAt, judged, open] = [0, null as CodeState | null, -Infinity, 0, false];
        for (const { waitMs, step } of script) {
          now += waitMs;
          if (step.kind === "send") {
            const plan = planSend(state, now);
            if (plan.kind === "wait") {
              assert.ok(plan.waitMs > 0 && plan.waitMs <= 86_400_000);
              continue;
            }
            assert.ok(now - sentAt >= 60_000);
            [state, sentAt, judged, open] = [plan.state, now, 0, true];
            assert.ok(plan.keepUntil > plan.state.expiresAt);
          } else if (state) {
            const plan = planGuess(state, step.right, now);
            if (plan.kind === "dead") continue;
            assert.ok(open && ++judged <= 5 && now - sentAt < 600_000);
            if (plan.kind === "right") {
              open = false;
              state = { ...state, consumed: true, failures: 0 };
            } else {
              state = { ...state, ...plan };
            }
          }
        }
      }),
    );
  });

  it("never judge more than a hundred wrong guesses in a row within a day", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 400, maxLength: 600 }), (waits) => {
        let [now, state] = [0, null as CodeState | null];
        const wrongAt: number[] = [];
        for (const waitMs of waits) {
          now += waitMs;
          const plan = planSend(state, now);
          if (plan.kind === "send") ({ state } = plan);
          for (let guess = 0; state && guess < 6; guess++) {
            const judged = planGuess(state, false, now);
            if (judged.kind !== "wrong") break;
            wrongAt.push(now);
            state = { ...state, ...judged };
          }
        }
        for (const [index, at] of wrongAt.entries()) {
          // The window starts with its first failure, so two windows may meet: twice a hundred bounds any day.
          const sameDay = wrongAt.slice(index).filter((later) => later - at < 86_400_000);
          assert.ok(sameDay.length <= 200);
        }
        assert.ok(wrongAt.filter((at) => at < 86_400_000).length <= 100);
      }),
      { numRuns: 20 },
    );
  });
});
