// For any course of the clock and any random bytes, ids of one source are canonical and strictly growing.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import fc from "fast-check";

import { createUlidSource, isUlid } from "../../src/core/ids.ts";

/** Milliseconds that repeat, jump ahead and go back; far enough from 2^48 for random parts that overflow. */
const times = fc.array(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 ** 48 - 1000 })), {
  minLength: 1,
  maxLength: 60,
});
/** Random parts that are often full or almost full. */
const randoms = fc.array(fc.oneof(fc.constant(255), fc.constant(0), fc.nat({ max: 255 })), {
  minLength: 16,
  maxLength: 16,
});

describe("createUlidSource()", () => {
  it("makes canonical ids that grow strictly and are never older than the clock", () => {
    fc.assert(
      fc.property(times, randoms, (nowsMs, bytes) => {
        const next = createUlidSource((target) => target.set(bytes));
        let last = "";
        for (const nowMs of nowsMs) {
          const id = next(nowMs);
          assert.ok(isUlid(id), id);
          assert.ok(id > last, `${id} after ${last}`);
          assert.ok(id.slice(0, 10) >= createUlidSource()(nowMs).slice(0, 10));
          last = id;
        }
      }),
    );
  });

  it("sorts ids of different sources by time", () => {
    const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
    fc.assert(
      fc.property(time, time, (a, b) => {
        const [idA, idB] = [createUlidSource()(a), createUlidSource()(b)];
        if (a !== b) assert.equal(idA < idB, a < b);
      }),
    );
  });
});
