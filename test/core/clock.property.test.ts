// Whatever timers are set and cancelled, and in whatever steps time moves: the same ones fire, in the same order.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import fc from "fast-check";

import { createVirtualClock } from "../../src/core/clock.ts";

interface Planned {
  readonly delayMs: number;
  readonly cancelled: boolean;
}

const planned: fc.Arbitrary<readonly Planned[]> = fc.array(
  fc.record({ delayMs: fc.integer({ min: -10, max: 200 }), cancelled: fc.boolean() }),
  { maxLength: 30 },
);

/** Lets promises run; nothing here needs more. */
const settle = (): Promise<void> => Promise.resolve();

/** Sets the timers, moves time in the given steps; gives what fired, as `index@time`. */
async function play(
  timers: readonly Planned[],
  stepsMs: readonly number[],
  jumpsMs: readonly number[],
): Promise<string[]> {
  const clock = createVirtualClock(0, settle);
  const fired: string[] = [];
  for (const [index, { delayMs, cancelled }] of timers.entries()) {
    const cancel = clock.setTimer(delayMs, () => fired.push(`${index}@${clock.monotonic()}`));
    if (cancelled) cancel();
  }
  for (const [index, stepMs] of stepsMs.entries()) {
    clock.jump(jumpsMs[index] ?? 0);
    await clock.advance(stepMs);
  }
  return fired;
}

describe("createVirtualClock()", () => {
  it("fires exactly what is due and was kept, by due time and then by order of setting", async () => {
    await fc.assert(
      fc.asyncProperty(planned, fc.nat({ max: 250 }), async (timers, totalMs) => {
        const expected = timers
          .map(({ delayMs, cancelled }, index) => ({ dueMs: Math.max(0, delayMs), cancelled, index }))
          .filter(({ dueMs, cancelled }) => !cancelled && dueMs <= totalMs)
          .toSorted((a, b) => a.dueMs - b.dueMs || a.index - b.index)
          .map(({ dueMs, index }) => `${index}@${dueMs}`);
        assert.deepEqual(await play(timers, [totalMs], []), expected);
      }),
    );
  });

  it("does not care how an advance is cut up, nor about jumps of the wall", async () => {
    const steps = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 10 });
    const jumps = fc.array(fc.integer({ min: -1e7, max: 1e7 }), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(planned, steps, jumps, async (timers, stepsMs, jumpsMs) => {
        const totalMs = stepsMs.reduce((sum, ms) => sum + ms, 0);
        assert.deepEqual(await play(timers, stepsMs, jumpsMs), await play(timers, [totalMs], []));
      }),
    );
  });
});
