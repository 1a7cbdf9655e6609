// Time that is read rarely: what is answered is as right as if it were read at every call, however long a run of the
// process takes.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CacheTime, type TimeSource } from "../../src/cache/cache-time.ts";
import { type Cache, createLru } from "../../src/cache/lru.ts";
import { createVirtualClock } from "../../src/core/clock.ts";

interface Blocked {
  readonly cache: Cache;
  /** Time goes by in one synchronous run: no timer fires. */
  block(ms: number): void;
  /** The run ends: timers fire. */
  end(): void;
  reads(): number;
}

function blocked(): Blocked {
  let [now, reads] = [0, 0];
  let timers: (() => void)[] = [];
  const clock: TimeSource = {
    monotonic() {
      reads++;
      return now;
    },
    setTimer(_delayMs, fire) {
      timers.push(fire);
      return () => undefined;
    },
  };
  const end = (): void => {
    const due = timers;
    timers = [];
    for (const fire of due) fire();
  };
  return { cache: createLru({ clock }), block: (ms) => void (now += ms), end, reads: () => reads };
}

describe("a cache on a clock", () => {
  it("reads it once for many calls of one run, and again in a run that does not end", () => {
    const { cache, reads } = blocked();
    cache.set("a", 1);
    for (let i = 0; i < 60; i++) cache.get("a");
    assert.equal(reads(), 1);
    for (let i = 0; i < 65; i++) cache.get("a");
    assert.equal(reads(), 2);
  });

  it("never answers what ended while the process was blocked for less than ten seconds", () => {
    for (const ttl_secs of [0.5, 1, 9, 300]) {
      const { cache, block, end } = blocked();
      cache.set("a", 1, { ttl_secs });
      block(Math.max(0, ttl_secs * 1_000 - 9_000));
      end();
      // Holds a reading, after which the process is blocked until the very end.
      cache.stats();
      assert.equal(cache.get("a"), 1);
      block(Math.min(9_000, ttl_secs * 1_000) - 1);
      assert.equal(cache.get("a"), 1, `${ttl_secs} s, a millisecond before its end`);
      block(1);
      assert.equal(cache.get("a"), undefined, `${ttl_secs} s, at its end`);
    }
  });

  it("gives a short life all of its time, though it begins at the end of a long run", () => {
    const { cache, block } = blocked();
    cache.set("a", 1);
    block(8_000);
    cache.set("b", 2, { ttl_secs: 1 });
    block(999);
    assert.equal(cache.get("b"), 2);
    block(1);
    assert.equal(cache.get("b"), undefined);
  });

  it("ends a long life early by no more than the run that it began in", () => {
    const { cache, block, end } = blocked();
    cache.set("a", 1);
    block(2_000);
    cache.set("b", 2, { ttl_secs: 300 });
    end();
    block(297_999);
    assert.equal(cache.get("b"), 2);
    end();
    block(2_001);
    assert.equal(cache.get("b"), undefined);
  });

  it("is exact at the boundary once timers fire, and leaves none behind", async () => {
    const clock = createVirtualClock();
    const cache = createLru({ clock, defaultTtlSecs: 300 });
    cache.set("a", 1);
    assert.equal(clock.pending, 1);
    await clock.advance(299_999);
    assert.equal(cache.get("a"), 1);
    await clock.advance(1);
    assert.equal(cache.get("a"), undefined);
    await clock.advance(10);
    assert.equal(clock.pending, 0);
  });
});

describe("CacheTime", () => {
  it("never goes back, and never calls a moment future that has come", async () => {
    const clock = createVirtualClock();
    const time = new CacheTime(clock);
    let last = 0;
    for (let step = 0; step < 500; step++) {
      if (step % 7 === 0) await clock.advance(step % 5);
      const answer = step % 3 === 0 ? time.now() : time.recent();
      assert.ok(answer >= last && answer <= clock.monotonic());
      assert.ok(clock.monotonic() - answer < 10, "held for less than ten milliseconds");
      assert.ok(time.future() > clock.monotonic());
      last = answer;
    }
  });
});
