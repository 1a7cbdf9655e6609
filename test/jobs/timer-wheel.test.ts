// The wheel by example: exact times, callbacks that change it, clocks that go back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createTimerWheel, type TimerWheel } from "../../src/jobs/timer-wheel.ts";

function firedAt(wheel: TimerWheel, nowMs: number, limit?: number): number[] {
  const fired: number[] = [];
  wheel.advance(nowMs, (value) => fired.push(value), limit);
  return fired;
}

describe("createTimerWheel()", () => {
  it("fires a timer at its due time, not before", () => {
    const wheel = createTimerWheel({ startMs: 1000 });
    wheel.add(1037, 7);
    assert.deepEqual(firedAt(wheel, 1036), []);
    assert.deepEqual(firedAt(wheel, 1037), [7]);
    assert.equal(wheel.size, 0);
  });

  it("rounds a due time between two ticks up", () => {
    const wheel = createTimerWheel({ startMs: 0, tickMs: 10 });
    wheel.add(11, 1);
    assert.deepEqual(firedAt(wheel, 19), []);
    assert.deepEqual(firedAt(wheel, 20), [1]);
  });

  it("fires what is due already at the next advance, even one that does not move time", () => {
    const wheel = createTimerWheel({ startMs: 1000 });
    wheel.add(5, 1);
    wheel.add(1000, 2);
    wheel.add(-Infinity, 3);
    assert.equal(wheel.nextExpiry(), 1000);
    assert.deepEqual(firedAt(wheel, 1000), [1, 2, 3]);
  });

  it("does not loop when a callback adds a timer that is due", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    wheel.add(10, 0);
    let calls = 0;
    const again = (value: number): void => {
      calls++;
      wheel.add(0, value + 1);
    };
    wheel.advance(20, again);
    assert.equal(calls, 1);
    wheel.advance(20, again);
    assert.equal(calls, 2);
  });

  it("fires what a callback adds for a time within the same advance", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    wheel.add(10, 0);
    const fired: number[] = [];
    wheel.advance(1000, (value, dueMs) => {
      fired.push(dueMs);
      if (value < 3) wheel.add(dueMs + 300, value + 1);
    });
    assert.deepEqual(fired, [10, 310, 610, 910]);
  });

  it("stops at the limit and goes on from there", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    for (let value = 0; value < 5; value++) wheel.add(10, value);
    wheel.add(700, 5);
    assert.deepEqual(firedAt(wheel, 1000, 2), [0, 1]);
    assert.ok((wheel.nextExpiry() ?? Infinity) <= 1000);
    assert.deepEqual(firedAt(wheel, 1000, 3), [2, 3, 4]);
    assert.ok((wheel.nextExpiry() ?? Infinity) <= 1000);
    assert.deepEqual(firedAt(wheel, 1000, 9), [5]);
  });

  it("cancels a timer that a callback of the same tick has not reached", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    wheel.add(10, 1);
    const second = wheel.add(10, 2);
    const fired: number[] = [];
    wheel.advance(10, (value) => {
      fired.push(value);
      assert.equal(wheel.cancel(second), true);
    });
    assert.deepEqual(fired, [1]);
  });

  it("refuses a handle whose timer has gone, also when its place is used again", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    const old = wheel.add(10, 1);
    firedAt(wheel, 10);
    wheel.add(20, 2);
    assert.equal(wheel.cancel(old), false);
    assert.equal(wheel.cancel(Number.NaN), false);
    assert.equal(wheel.cancel(-1), false);
    assert.deepEqual(firedAt(wheel, 20), [2]);
  });

  it("keeps timers beyond its levels, however far", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    const far = 3 * 2 ** 32 + 5;
    wheel.add(far, 1);
    wheel.add(Infinity, 2);
    assert.deepEqual(firedAt(wheel, far - 1), []);
    assert.deepEqual(firedAt(wheel, far), [1]);
    assert.equal(wheel.size, 1);
  });

  it("sorts anew when the clock is set back by an hour, and forward again", () => {
    const hourMs = 3_600_000;
    const wheel = createTimerWheel({ startMs: 10 * hourMs });
    wheel.add(10 * hourMs + 500, 1);
    firedAt(wheel, 10 * hourMs + 100);
    assert.deepEqual(firedAt(wheel, 9 * hourMs), []);
    wheel.add(9 * hourMs + 50, 2);
    assert.deepEqual(firedAt(wheel, 9 * hourMs + 49), []);
    assert.deepEqual(firedAt(wheel, 9 * hourMs + 50), [2]);
    assert.deepEqual(firedAt(wheel, 10 * hourMs + 499), []);
    assert.deepEqual(firedAt(wheel, 10 * hourMs + 500), [1]);
  });

  it("names the exact time once the timer is less than 256 ticks away", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    wheel.add(100_000, 1);
    const first = wheel.nextExpiry() ?? Number.NaN;
    assert.ok(first > 0 && first <= 100_000);
    firedAt(wheel, 99_999);
    assert.equal(wheel.nextExpiry(), 100_000);
  });

  it("holds many timers and cancels them in any order", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    const handles = Array.from({ length: 50_000 }, (_, value) => wheel.add((value * 7919) % 1_000_003, value));
    for (let i = 0; i < handles.length; i += 2) assert.equal(wheel.cancel(handles[i]!), true);
    assert.equal(wheel.size, 25_000);
    let last = -1;
    const count = wheel.advance(2_000_000, (value, dueMs) => {
      assert.equal(value % 2, 1);
      assert.ok(dueMs >= last);
      last = dueMs;
    });
    assert.equal(count, 25_000);
    assert.equal(wheel.nextExpiry(), undefined);
  });

  it("refuses times that are no times", () => {
    const wheel = createTimerWheel({ startMs: 0 });
    assert.throws(() => wheel.add(Number.NaN, 1), RangeError);
    assert.throws(() => wheel.advance(Number.NaN, () => undefined), RangeError);
    assert.throws(() => wheel.advance(Infinity, () => undefined), RangeError);
    assert.throws(() => createTimerWheel({ startMs: 0, tickMs: 0 }), RangeError);
  });
});
