// Delays stay in their bounds, and no header makes a wait of less than nothing or more than a day.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { exponentialDelayMs, retryAfterMs, scheduleDelayMs } from "../../src/jobs/backoff.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const two = (value: number): string => String(value).padStart(2, "0");

/** The three forms of RFC 9110 section 5.6.7, written from the platform's own fields. */
function httpDates(epochMs: number): readonly string[] {
  const date = new Date(epochMs);
  const imf = date.toUTCString();
  const [, day = "", month = "", year = "", time = ""] = imf.split(/[ ,]+/);
  const long = DAYS[date.getUTCDay()] ?? "";
  return [
    imf,
    `${long}, ${day}-${month}-${two(date.getUTCFullYear() % 100)} ${time} GMT`,
    `${long.slice(0, 3)} ${month} ${String(date.getUTCDate()).padStart(2, " ")} ${time} ${year}`,
  ];
}

describe("delays", () => {
  it("exponentialDelayMs() lies between the plain delay and 10 % more, and is finite", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        fc.integer({ min: 1, max: 5000 }),
        random,
        fc.integer({ min: 1, max: 1e12 }),
        (baseMs, attempt, dice, maxMs) => {
          const delayMs = exponentialDelayMs({ baseMs, attempt, random: () => dice, maxMs });
          const plain = Math.min(baseMs === 0 ? 0 : baseMs * 2 ** (attempt - 1), maxMs);
          assert.ok(Number.isFinite(delayMs));
          assert.ok(delayMs >= plain && delayMs <= plain * 1.1 + 1e-9, `${delayMs} for ${plain}`);
        },
      ),
    );
  });

  it("scheduleDelayMs() lies between the entry and 10 % more, and ends with the schedule", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1e8)), fc.nat(40), random, (schedule, attempt, dice) => {
        const delayMs = scheduleDelayMs(schedule, attempt, () => dice);
        const plain = schedule[attempt - 1];
        if (plain === undefined) return assert.equal(delayMs, undefined);
        assert.ok(delayMs !== undefined && delayMs >= plain && delayMs <= plain * 1.1 + 1e-9);
      }),
    );
  });
});

describe("retryAfterMs()", () => {
  it("reads each form of a date as the same wait", () => {
    // Two-digit years are ambiguous beyond 50 years: stay within.
    fc.assert(
      fc.property(fc.integer({ min: -40 * 365 * 86_400, max: 40 * 365 * 86_400 }), (offsetSecs) => {
        const expected = Math.min(Math.max(0, offsetSecs * 1000), DAY_MS);
        for (const text of httpDates(NOW + offsetSecs * 1000)) assert.equal(retryAfterMs(text, NOW), expected, text);
      }),
      { numRuns: 500 },
    );
  });

  it("reads seconds", () => {
    fc.assert(
      fc.property(fc.nat(), (secs) => assert.equal(retryAfterMs(String(secs), NOW), Math.min(secs * 1000, DAY_MS))),
    );
  });

  it("answers a wait from 0 to 24 hours, or nothing, whatever it is given", () => {
    const mangled = fc
      .tuple(fc.integer({ min: NOW - DAY_MS, max: NOW + DAY_MS }), fc.nat(2), fc.nat(30), fc.string({ maxLength: 2 }))
      .map(([epochMs, form, at, noise]) => {
        const text = httpDates(epochMs)[form] ?? "";
        return text.slice(0, at) + noise + text.slice(at + 1);
      });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" }), mangled), fc.nat(4e12), (text, nowMs) => {
        const wait = retryAfterMs(text, nowMs);
        assert.ok(wait === undefined || (wait >= 0 && wait <= DAY_MS));
      }),
      { numRuns: 2000 },
    );
  });
});
