// Delays by example, and every form of Retry-After that is read or refused.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { exponentialDelayMs, retryAfterMs, scheduleDelayMs } from "../../src/jobs/backoff.ts";

const NOW = Date.UTC(2026, 10, 6, 8, 49, 37);
const noJitter = (): number => 0;

describe("exponentialDelayMs()", () => {
  it("doubles from the base", () => {
    const delays = [1, 2, 3, 4].map((attempt) =>
      exponentialDelayMs({ baseMs: 30_000, attempt, random: noJitter, maxMs: 3_600_000 }),
    );
    assert.deepEqual(delays, [30_000, 60_000, 120_000, 240_000]);
  });

  it("keeps the share of jitter at the bound, so that retries still spread", () => {
    const delay = { baseMs: 1000, attempt: 2000, maxMs: 3_600_000 };
    assert.equal(exponentialDelayMs({ ...delay, random: noJitter }), 3_600_000);
    assert.equal(exponentialDelayMs({ ...delay, random: () => 0.5, jitterRatio: 0.2 }), 3_960_000);
  });

  it("stays 0 for a base of 0, whatever the attempt", () => {
    assert.equal(exponentialDelayMs({ baseMs: 0, attempt: 5000, random: Math.random, maxMs: 1000 }), 0);
  });
});

describe("scheduleDelayMs()", () => {
  it("takes the entry behind the attempt and ends with the schedule", () => {
    const schedule = [5000, 300_000];
    assert.equal(scheduleDelayMs(schedule, 1, noJitter), 5000);
    assert.equal(
      scheduleDelayMs(schedule, 2, () => 0.5),
      315_000,
    );
    assert.equal(scheduleDelayMs(schedule, 3, noJitter), undefined);
    assert.equal(scheduleDelayMs(schedule, 0, noJitter), undefined);
  });
});

describe("retryAfterMs()", () => {
  const accepted: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["120", 120_000],
    [" 7\t", 7000],
    ["86401", 86_400_000],
    ["99999999999999999999999999", 86_400_000],
    ["Fri, 06 Nov 2026 08:50:37 GMT", 60_000],
    ["Friday, 06-Nov-26 08:50:37 GMT", 60_000],
    ["Fri Nov  6 08:50:37 2026", 60_000],
    ["Fri Nov 06 08:50:37 2026", 60_000],
    ["Fri, 06 Nov 2026 08:49:60 GMT", 23_000],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 0],
    ["Sunday, 06-Nov-94 08:49:37 GMT", 0],
    ["Sun, 06 Nov 2094 08:49:37 GMT", 86_400_000],
    ["Sun, 01 Jan 0050 00:00:00 GMT", 0],
  ];
  for (const [header, expected] of accepted) {
    it(`reads ${JSON.stringify(header)}`, () => assert.equal(retryAfterMs(header, NOW), expected));
  }

  const refused: readonly (string | null | undefined)[] = [
    undefined,
    null,
    "",
    " ",
    "-1",
    "+5",
    "1.5",
    "1e3",
    "0x10",
    "5 seconds",
    "12, 13",
    "٣",
    "2026-11-06T08:49:37Z",
    "Fri, 06 Nov 2026 08:49:37 UTC",
    "Fri, 06 Nov 2026 08:49:37 +0000",
    "fri, 06 nov 2026 08:49:37 gmt",
    "Fri, 6 Nov 2026 08:49:37 GMT",
    "Mon, 30 Feb 2026 08:49:37 GMT",
    "Fri, 00 Nov 2026 08:49:37 GMT",
    "Fri, 06 Nov 2026 24:00:00 GMT",
    "Fri, 06 Nov 2026 08:60:00 GMT",
    "Fri, 06 Nov 2026 08:49:61 GMT",
    "1".repeat(4096),
  ];
  for (const header of refused) {
    it(`refuses ${JSON.stringify(header)?.slice(0, 60)}`, () => assert.equal(retryAfterMs(header, NOW), undefined));
  }

  it("takes a two-digit year within the next 50 years for the future, a later one for the past", () => {
    const century = Date.UTC(2099, 11, 31, 23, 59, 0);
    assert.equal(retryAfterMs("Thursday, 31-Dec-99 23:59:30 GMT", century), 30_000);
    assert.equal(retryAfterMs("Sunday, 06-Nov-76 08:49:37 GMT", NOW), 86_400_000);
    assert.equal(retryAfterMs("Sunday, 06-Nov-77 08:49:37 GMT", NOW), 0);
  });

  it("takes the next century's first years for the future at the end of this one", () => {
    const century = Date.UTC(2099, 11, 31, 23, 59, 0);
    assert.equal(retryAfterMs("Friday, 01-Jan-00 00:00:00 GMT", century), 60_000);
  });
});
