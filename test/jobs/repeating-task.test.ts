// The engine's own timers: none is left behind, none runs twice, and a failure ends none.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createVirtualClock } from "../../src/core/clock.ts";
import { startRepeatingTask, type RepeatingTask } from "../../src/jobs/repeating-task.ts";
import { createWakeTimer } from "../../src/jobs/wake-timer.ts";
import { createGate } from "./job-harness.ts";

function createTask(run: () => Promise<number>) {
  const clock = createVirtualClock(0);
  const times: number[] = [];
  const logged: string[] = [];
  const task: RepeatingTask = startRepeatingTask({
    clock,
    log: (_, message) => logged.push(message),
    name: "test",
    firstDelayMs: 10,
    retryDelayMs: 7,
    run: () => {
      times.push(clock.now());
      return run();
    },
  });
  return { clock, times, logged, task };
}

describe("startRepeatingTask()", () => {
  it("runs after the delay that the last run asked for", async () => {
    const { clock, times } = createTask(() => Promise.resolve(100));
    await clock.advance(250);
    assert.deepEqual(times, [10, 110, 210]);
  });

  it("goes on after a throw, and logs an outage once", async () => {
    let fails = 3;
    const { clock, times, logged } = createTask(() =>
      fails-- > 0 ? Promise.reject(new Error("x")) : Promise.resolve(50),
    );
    await clock.advance(100);
    assert.deepEqual(times, [10, 17, 24, 31, 81]);
    assert.equal(logged.length, 1);
  });

  it("runs at once when woken, and behind the run under way", async () => {
    const gate = createGate();
    let isFirst = true;
    const { clock, times, task } = createTask(async () => {
      if (isFirst) await gate.opened;
      isFirst = false;
      return 1000;
    });
    task.wake();
    await clock.advance(0);
    assert.deepEqual(times, [0]);
    task.wake();
    task.wake();
    await clock.advance(5);
    assert.deepEqual(times, [0]);
    gate.open();
    await clock.advance(5);
    assert.equal(times.length, 2);
    await clock.advance(1000);
    assert.equal(times.length, 3);
  });

  it("leaves no timer when stopped in the middle of a run", async () => {
    const gate = createGate();
    const { clock, times, task } = createTask(() => gate.opened.then(() => 1));
    await clock.advance(10);
    task.stop();
    gate.open();
    await clock.advance(100);
    task.wake();
    await clock.advance(100);
    assert.equal(clock.pending, 0);
    assert.equal(times.length, 1);
  });
});

describe("createWakeTimer()", () => {
  it("holds one timer, for the earliest time", async () => {
    const clock = createVirtualClock(0);
    const woken: number[] = [];
    const timer = createWakeTimer(clock, () => woken.push(clock.now()));
    timer.arm(500);
    timer.arm(80);
    timer.arm(300);
    timer.arm(undefined);
    assert.equal(clock.pending, 1);
    await clock.advance(100);
    timer.arm(20);
    await clock.advance(0);
    assert.deepEqual(woken, [80, 100]);
  });

  it("is not held up by a time that it was armed for before the clock jumped ahead", async () => {
    const clock = createVirtualClock(0);
    const woken: number[] = [];
    const timer = createWakeTimer(clock, () => woken.push(clock.monotonic()));
    timer.arm(9000);
    clock.jump(3_600_000);
    timer.arm(clock.now() + 50);
    await clock.advance(1000);
    assert.deepEqual(woken, [50]);
    timer.stop();
    timer.arm(0);
    assert.equal(clock.pending, 0);
  });
});
