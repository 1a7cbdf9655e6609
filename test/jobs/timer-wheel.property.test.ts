// The wheel against a plain list: whatever is added, canceled and waited for, the same timers fire at the same advance.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { createTimerWheel } from "../../src/jobs/timer-wheel.ts";

const DAY_MS = 86_400_000;

type Step =
  | { readonly kind: "add"; readonly delayMs: number }
  | { readonly kind: "cancel"; readonly pick: number }
  | { readonly kind: "advance"; readonly byMs: number; readonly limit: number };

const delay = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 600 }) },
  { weight: 2, arbitrary: fc.integer({ min: -1000, max: 70_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 20_000_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 200 * DAY_MS }) },
  { weight: 1, arbitrary: fc.constantFrom(255, 256, 65_535, 65_536, 2 ** 24 - 1, 2 ** 24, 2 ** 32 - 1, 2 ** 32) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 1000, noNaN: true }) },
);
const stride = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 100_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 60 * DAY_MS }) },
  { weight: 1, arbitrary: fc.constantFrom(1, 255, 256, 65_536, 2 ** 24, 2 ** 32) },
  { weight: 1, arbitrary: fc.integer({ min: -3_600_000, max: -1 }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: delay.map((delayMs) => ({ kind: "add" as const, delayMs })) },
  { weight: 1, arbitrary: fc.nat(1000).map((pick) => ({ kind: "cancel" as const, pick })) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(stride, fc.oneof({ weight: 4, arbitrary: fc.constant(Infinity) }, fc.integer({ min: 1, max: 3 })))
      .map(([byMs, limit]) => ({ kind: "advance" as const, byMs, limit })),
  },
);

interface Waiting {
  readonly value: number;
  readonly dueMs: number;
  readonly handle: number;
}

/** The tick at which a timer may fire; the order of firing is the order of these. */
const tickOf = (dueMs: number, startMs: number, tickMs: number): number => Math.ceil((dueMs - startMs) / tickMs);

function runAgainstList(steps: readonly Step[], tickMs: number, startMs: number): void {
  const wheel = createTimerWheel({ startMs, tickMs });
  let nowMs = startMs;
  let nextValue = 0;
  let waiting: Waiting[] = [];
  const gone: number[] = [];
  for (const step of steps) {
    if (step.kind === "add") {
      const value = nextValue++;
      const dueMs = nowMs + step.delayMs;
      waiting.push({ value, dueMs, handle: wheel.add(dueMs, value) });
    } else if (step.kind === "cancel") {
      const victim = waiting[step.pick % Math.max(1, waiting.length)];
      if (!victim) continue;
      assert.equal(wheel.cancel(victim.handle), true);
      assert.equal(wheel.cancel(victim.handle), false);
      waiting = waiting.filter((timer) => timer !== victim);
    } else {
      nowMs += step.byMs;
      const fired: Waiting[] = [];
      wheel.advance(
        nowMs,
        (value, dueMs) => {
          const timer = waiting.find((candidate) => candidate.value === value);
          assert.ok(timer, `timer ${value} fired twice, or after it was canceled`);
          assert.equal(dueMs, timer.dueMs);
          assert.ok(dueMs <= nowMs, "a timer fired early");
          waiting = waiting.filter((candidate) => candidate !== timer);
          fired.push(timer);
        },
        step.limit,
      );
      assert.ok(fired.length <= step.limit);
      for (const timer of fired) gone.push(timer.handle);
      // A tick begins at or behind its due time; without jumps back the wheel counts ticks from its start.
      if (fired.length < step.limit) {
        const overdue = waiting.filter((timer) => timer.dueMs <= nowMs - tickMs);
        assert.deepEqual(overdue, [], "a timer that is due did not fire");
      }
    }
    assert.equal(wheel.size, waiting.length);
    const next = wheel.nextExpiry();
    if (waiting.length === 0) assert.equal(next, undefined);
    else {
      const earliest = Math.min(...waiting.map((timer) => timer.dueMs));
      assert.ok(next !== undefined && next <= Math.max(nowMs, earliest) + tickMs, `next expiry ${next} is too late`);
    }
  }
  for (const handle of gone) assert.equal(wheel.cancel(handle), false, "a handle outlived its timer");
}

describe("createTimerWheel() against a list", () => {
  it("fires the same timers at the same advance, whatever the steps", () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 80, size: "max" }),
        fc.constantFrom(1, 1, 1, 10, 100),
        fc.constantFrom(0, 1, 1_767_225_600_000, 123.5),
        runAgainstList,
      ),
      { numRuns: 2000 },
    );
  });

  it("fires in the order of the ticks, and each tick in the order of adding", () => {
    fc.assert(
      fc.property(
        fc.array(delay, { minLength: 1, maxLength: 200, size: "max" }),
        fc.constantFrom(1, 7, 10),
        fc.array(fc.integer({ min: 1, max: 40 * DAY_MS }), { maxLength: 4 }),
        (delays, tickMs, strides) => {
          const wheel = createTimerWheel({ startMs: 0, tickMs });
          delays.forEach((delayMs, value) => wheel.add(delayMs, value));
          const fired: number[] = [];
          let nowMs = 0;
          for (const byMs of [...strides, 300 * DAY_MS]) {
            nowMs += byMs;
            wheel.advance(nowMs, (value) => fired.push(value));
          }
          const expected = delays
            .map((delayMs, value) => ({ tick: Math.max(0, tickOf(delayMs, 0, tickMs)), value }))
            .sort((a, b) => a.tick - b.tick || a.value - b.value)
            .map(({ value }) => value);
          assert.deepEqual(fired, expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("needs few wake-ups: following nextExpiry() fires each timer within its tick", () => {
    fc.assert(
      fc.property(fc.array(delay, { minLength: 1, maxLength: 40, size: "max" }), (delays) => {
        const wheel = createTimerWheel({ startMs: 0 });
        for (const delayMs of delays) wheel.add(delayMs, 0);
        let wakeUps = 0;
        for (let next = wheel.nextExpiry(); next !== undefined; next = wheel.nextExpiry()) {
          const nowMs = next;
          wheel.advance(nowMs, (_, dueMs) => assert.ok(nowMs - Math.max(0, dueMs) < 1 + 1e-6, `${dueMs} at ${nowMs}`));
          wakeUps++;
          // One for the timer itself, one per level that it comes down, and one per block of 49 days.
          assert.ok(wakeUps <= delays.length * 4 + 8, "the wheel asks for too many wake-ups");
        }
      }),
      { numRuns: 300 },
    );
  });
});
