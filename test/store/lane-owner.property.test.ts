// Which of several engines owns a lane: one of them, fairly, and as few lanes as can be move when one comes or goes.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { createLaneOwner } from "../../src/store/postgres/lane-owner.ts";
import { createDice } from "../support/dice.ts";

const number = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const members = fc.uniqueArray(number, { minLength: 1, maxLength: 8 });
const lanes = fc.uniqueArray(fc.string({ maxLength: 60, unit: "grapheme" }), { minLength: 1, maxLength: 30 });

describe("createLaneOwner()", () => {
  it("names nobody when there is nobody", () => {
    assert.equal(createLaneOwner([])("lane"), undefined);
  });

  it("names one of the members, the same in whatever order they are known", () => {
    fc.assert(
      fc.property(members, lanes, (present, names) => {
        const ownerOf = createLaneOwner(present);
        const other = createLaneOwner(present.toReversed());
        for (const lane of names) {
          const owner = ownerOf(lane);
          assert.ok(owner !== undefined && present.includes(owner));
          assert.equal(other(lane), owner);
        }
      }),
    );
  });

  it("moves only the lanes that a new member gains, and gives back the same when it goes", () => {
    fc.assert(
      fc.property(members, number, lanes, (present, newcomer, names) => {
        fc.pre(!present.includes(newcomer));
        const before = createLaneOwner(present);
        const after = createLaneOwner([newcomer, ...present]);
        for (const lane of names) {
          const owner = after(lane);
          if (owner !== newcomer) assert.equal(owner, before(lane));
        }
      }),
    );
  });

  it("gives each of them its share, whether their numbers are drawn or lie close together", () => {
    const dice = createDice(20_260_101);
    const draw = (): number => Math.floor(dice() * 2 ** 31);
    const count = 10_000;
    for (const size of [2, 3, 5, 8]) {
      for (const present of [
        Array.from({ length: size }, draw),
        Array.from({ length: size }, (_, place) => 1_000 + place),
      ]) {
        const ownerOf = createLaneOwner(present);
        const shares = new Map<number | undefined, number>();
        for (let lane = 0; lane < count; lane++) {
          const owner = ownerOf(`customer-webhook:endpoint_${lane}`);
          shares.set(owner, (shares.get(owner) ?? 0) + 1);
        }
        const fair = count / size;
        // Five deviations of a fair die.
        const slack = 5 * Math.sqrt(fair * (1 - 1 / size));
        for (const member of present) {
          const share = shares.get(member) ?? 0;
          assert.ok(Math.abs(share - fair) < slack, `${share} of ${count} lanes for one of ${size}`);
        }
      }
    }
  });
});
