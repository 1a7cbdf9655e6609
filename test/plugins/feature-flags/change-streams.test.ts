// Streams by themselves: bounded in number and in what waits for a reader who does not read, and forgotten when he leaves.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createVirtualClock } from "../../../src/core/clock.ts";
import { isPylonError } from "../../../src/core/errors.ts";
import { createChangeStreams } from "../../../src/plugins/feature-flags/change-streams.ts";

const NOW = { version: "v1", since: 0, schedules: [] };
const half = (): number => 0.5;

describe("change streams", () => {
  it("forget a reader who leaves", async () => {
    const streams = createChangeStreams(createVirtualClock(), half);
    const reader = streams.open(null, NOW).getReader();
    await reader.read();
    assert.equal(streams.count, 1);
    await reader.cancel();
    assert.equal(streams.count, 0);
  });

  it("drop a reader who does not read, and leave the others alone", () => {
    const streams = createChangeStreams(createVirtualClock(), half);
    streams.open(null, NOW);
    for (let version = 0; version < 100; version++) streams.announce({ ...NOW, version: `v${version}` });
    assert.equal(streams.count, 0);
    streams.open(null, NOW);
    assert.equal(streams.count, 1);
  });

  it("have readers come back within one to five seconds, not all at once", async () => {
    for (const [random, retryMs] of [
      [0, 1_000],
      [0.25, 2_000],
      [1 - Number.EPSILON, 4_999],
    ] as const) {
      const reader = createChangeStreams(createVirtualClock(), () => random)
        .open(null, NOW)
        .getReader();
      const { value } = await reader.read();
      assert.equal(new TextDecoder().decode(value), `retry: ${retryMs}\n: connected\n\n`);
      await reader.cancel();
    }
  });

  it("are at most 10,000", () => {
    const streams = createChangeStreams(createVirtualClock(), half);
    for (let index = 0; index < 10_000; index++) streams.open(null, NOW);
    assert.throws(
      () => streams.open(null, NOW),
      (error) => isPylonError(error, "STREAMS_EXHAUSTED") && error.retryAfterSecs === 5,
    );
    streams.close();
    assert.equal(streams.count, 0);
  });

  it("need no timer without readers, and end at once when they are closed", async () => {
    const clock = createVirtualClock();
    const streams = createChangeStreams(clock, half);
    const reader = streams.open(null, NOW).getReader();
    assert.equal(clock.pending, 1);
    await reader.cancel();
    await clock.advance(25_000);
    assert.equal(clock.pending, 0);
    streams.close();
    const late = streams.open(null, NOW).getReader();
    assert.equal((await late.read()).done, true);
    assert.equal(streams.count, 0);
  });
});
