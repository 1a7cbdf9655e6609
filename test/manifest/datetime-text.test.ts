// Which texts are points in time, and the one spelling that they are stored in.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { normalizeDatetime } from "../../src/manifest/datetime-text.ts";

describe("normalizeDatetime", () => {
  it("gives UTC with milliseconds", () => {
    const cases: Record<string, string> = {
      "2026-04-28T10:32:00Z": "2026-04-28T10:32:00.000Z",
      "2026-04-28T10:32Z": "2026-04-28T10:32:00.000Z",
      "2026-04-28t10:32:00.5z": "2026-04-28T10:32:00.500Z",
      "2026-04-28T10:32:00.123456789Z": "2026-04-28T10:32:00.123Z",
      "2026-04-28T10:32:00+02:00": "2026-04-28T08:32:00.000Z",
      "2026-01-01T00:30:00+05:45": "2025-12-31T18:45:00.000Z",
      "2025-12-31T23:30:00-01:00": "2026-01-01T00:30:00.000Z",
      "2024-02-29T00:00:00Z": "2024-02-29T00:00:00.000Z",
      "2000-02-29T00:00:00Z": "2000-02-29T00:00:00.000Z",
      "0000-01-01T00:00:00Z": "0000-01-01T00:00:00.000Z",
      "0099-01-01T00:00:00Z": "0099-01-01T00:00:00.000Z",
      "9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999Z",
    };
    for (const [text, expected] of Object.entries(cases)) assert.equal(normalizeDatetime(text), expected, text);
  });

  it("refuses what is not a moment", () => {
    const cases = [
      "",
      "2026-04-28",
      "2026-04-28T10:32:00",
      "2026-04-28 10:32:00Z",
      "2026-02-29T00:00:00Z",
      "1900-02-29T00:00:00Z",
      "2026-04-31T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-00-01T00:00:00Z",
      "2026-01-00T00:00:00Z",
      "2026-01-01T24:00:00Z",
      "2026-01-01T00:60:00Z",
      "2026-01-01T00:00:60Z",
      "2026-01-01T00:00:00+24:00",
      "2026-01-01T00:00:00+00:60",
      "2026-01-01T00:00:00+0200",
      "2026-01-01T00:00:00.Z",
      "2026-01-01T00:00:00.1234567890Z",
      "0000-01-01T00:00:00+00:01",
      "9999-12-31T23:59:59-00:01",
      "+002026-01-01T00:00:00Z",
      "2026-01-01T00:00:00Z\n",
      "1767225600000",
      "２026-01-01T00:00:00Z",
    ];
    for (const text of cases) assert.equal(normalizeDatetime(text), undefined, JSON.stringify(text));
  });

  it("names the moment that it was given, and is stable", () => {
    const date = fc.date({
      min: new Date("0001-01-02T00:00:00Z"),
      max: new Date("9999-12-30T00:00:00Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(date, fc.integer({ min: -1439, max: 1439 }), (date, offset) => {
        const size = Math.abs(offset);
        const pad = (value: number): string => String(value).padStart(2, "0");
        const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1);
        const text = `${local}${offset < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
        assert.equal(normalizeDatetime(text), date.toISOString());
        assert.equal(normalizeDatetime(date.toISOString()), date.toISOString());
      }),
    );
  });

  it("answers for any text", () => {
    fc.assert(fc.property(fc.string(), (text) => normalizeDatetime(text) === undefined || text.length > 15));
  });
});
