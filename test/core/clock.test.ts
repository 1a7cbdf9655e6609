// The virtual clock is what every other test of time stands on.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { createSystemClock, createVirtualClock } from "../../src/core/clock.ts";

const START_MS = Date.UTC(2030, 5, 1);

describe("createVirtualClock()", () => {
  it("starts where it is told, and stays there", () => {
    const clock = createVirtualClock(START_MS);
    assert.equal(clock.now(), START_MS);
    assert.equal(clock.monotonic(), 0);
    assert.equal(clock.pending, 0);
  });

  it("moves both times on, with or without timers", async () => {
    const clock = createVirtualClock(START_MS);
    await clock.advance(1500);
    await clock.advance(0);
    assert.equal(clock.now(), START_MS + 1500);
    assert.equal(clock.monotonic(), 1500);
  });

  it("fires by due time, and in order of setting when due together", async () => {
    const clock = createVirtualClock(START_MS);
    const fired: string[] = [];
    clock.setTimer(30, () => fired.push("c"));
    clock.setTimer(10, () => fired.push("a"));
    clock.setTimer(20, () => fired.push("b1"));
    clock.setTimer(20, () => fired.push("b2"));
    clock.setTimer(31, () => fired.push("not yet"));
    await clock.advance(30);
    assert.deepEqual(fired, ["a", "b1", "b2", "c"]);
    assert.equal(clock.pending, 1);
  });

  it("shows each timer its own due time", async () => {
    const clock = createVirtualClock(START_MS);
    const seen: number[] = [];
    for (const delayMs of [5, 7]) clock.setTimer(delayMs, () => seen.push(clock.now() - START_MS, clock.monotonic()));
    await clock.advance(100);
    assert.deepEqual(seen, [5, 5, 7, 7]);
  });

  it("fires in the same advance what a timer sets within it, also across promises", async () => {
    const clock = createVirtualClock(START_MS);
    const firedAt: number[] = [];
    const again = async (): Promise<void> => {
      firedAt.push(clock.monotonic());
      await Promise.resolve();
      clock.setTimer(10, () => void again());
    };
    clock.setTimer(10, () => void again());
    await clock.advance(35);
    assert.deepEqual(firedAt, [10, 20, 30]);
    assert.equal(clock.pending, 1);
  });

  it("fires a delay of zero or less at once, and without moving", async () => {
    const clock = createVirtualClock(START_MS);
    const firedAt: number[] = [];
    clock.setTimer(0, () => firedAt.push(clock.now()));
    clock.setTimer(-5, () => firedAt.push(clock.now()));
    await clock.advance(0);
    assert.deepEqual(firedAt, [START_MS, START_MS]);
  });

  it("does not fire what was cancelled, and a timer once only", async () => {
    const clock = createVirtualClock(START_MS);
    const fired: string[] = [];
    const cancelFirst = clock.setTimer(10, () => fired.push("first"));
    const cancelSecond = clock.setTimer(10, () => fired.push("second"));
    cancelFirst();
    cancelFirst();
    await clock.advance(20);
    cancelSecond();
    await clock.advance(20);
    assert.deepEqual(fired, ["second"]);
  });

  it("lets one timer cancel another that is due at the same time", async () => {
    const clock = createVirtualClock(START_MS);
    const fired: string[] = [];
    clock.setTimer(10, () => {
      fired.push("first");
      cancel();
    });
    const cancel = clock.setTimer(10, () => fired.push("second"));
    await clock.advance(10);
    assert.deepEqual(fired, ["first"]);
  });

  for (const jumpMs of [3_600_000, -3_600_000]) {
    it(`jumps the wall by ${jumpMs} ms and leaves timers alone`, async () => {
      const clock = createVirtualClock(START_MS);
      const firedAt: number[] = [];
      clock.setTimer(100, () => firedAt.push(clock.now()));
      await clock.advance(40);
      clock.jump(jumpMs);
      assert.equal(clock.now(), START_MS + 40 + jumpMs);
      assert.equal(clock.monotonic(), 40);
      await clock.advance(59);
      assert.deepEqual(firedAt, []);
      await clock.advance(1);
      assert.deepEqual(firedAt, [START_MS + 100 + jumpMs]);
    });
  }

  for (const delayMs of [2 ** 31, 1e12, Number.POSITIVE_INFINITY, Number.NaN]) {
    it(`keeps a delay of ${delayMs} for 2^31-1 ms`, async () => {
      const clock = createVirtualClock(START_MS);
      clock.setTimer(delayMs, () => undefined);
      await clock.advance(2 ** 31 - 2);
      assert.equal(clock.pending, 1);
      await clock.advance(1);
      assert.equal(clock.pending, 0);
    });
  }

  it("waits for what a timer started before it fires the next", async () => {
    const steps: string[] = [];
    const clock = createVirtualClock(START_MS, async () => {
      await Promise.resolve();
      steps.push("settled");
    });
    clock.setTimer(1, () => steps.push("a"));
    clock.setTimer(2, () => steps.push("b"));
    await clock.advance(2);
    assert.deepEqual(steps, ["settled", "a", "settled", "b", "settled", "settled"]);
  });
});

describe("createSystemClock()", () => {
  it("reads the platform's time", () => {
    const clock = createSystemClock();
    const before = Date.now();
    const now = clock.now();
    assert.ok(before <= now && now <= Date.now());
    assert.ok(clock.monotonic() <= clock.monotonic());
  });

  it("fires a timer, and not the one that was cancelled", async () => {
    const clock = createSystemClock();
    const fired: string[] = [];
    const cancel = clock.setTimer(0, () => fired.push("cancelled"));
    cancel();
    await new Promise<void>((resolve) => {
      clock.setTimer(1, () => {
        fired.push("kept");
        resolve();
      });
    });
    assert.deepEqual(fired, ["kept"]);
  });

  it("does not fire a delay at once that is longer than the platform can hold", async () => {
    const clock = createSystemClock();
    const fired: string[] = [];
    const cancel = clock.setTimer(2 ** 31, () => fired.push("overflow"));
    await new Promise<void>((resolve) => {
      clock.setTimer(20, resolve);
    });
    cancel();
    assert.deepEqual(fired, []);
  });
});
