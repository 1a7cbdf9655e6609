// ULIDs sort as they were made, whatever the clock and the random source do; tokens have all their bytes.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { createUlidSource, isUlid, randomHex } from "../../src/core/ids.ts";

/** A random source that gives one byte over and over. */
const constant =
  (byte: number) =>
  (bytes: Uint8Array): void => {
    bytes.fill(byte);
  };

describe("createUlidSource()", () => {
  it("spells the time as the specification's example does", () => {
    assert.equal(createUlidSource(constant(0))(1_469_918_176_385).slice(0, 10), "01ARYZ6S41");
  });

  it("spells the least and the greatest", () => {
    assert.equal(createUlidSource(constant(0))(0), "0".repeat(26));
    assert.equal(createUlidSource(constant(255))(2 ** 48 - 1), `7${"Z".repeat(25)}`);
  });

  it("counts up within a millisecond", () => {
    const next = createUlidSource(constant(0));
    assert.deepEqual(
      [next(5), next(5), next(5)].map((id) => id.slice(10)),
      ["0000000000000000", "0000000000000001", "0000000000000002"],
    );
  });

  it("carries into the next digit", () => {
    let byte = 0;
    const next = createUlidSource((bytes) => {
      bytes.fill(byte);
      bytes[15] = 31;
    });
    assert.deepEqual([next(5).slice(22), next(5).slice(22)], ["000Z", "0010"]);
    byte = 7;
    assert.equal(next(6).slice(22), "777Z");
  });

  it("draws new random digits for a new millisecond", () => {
    let byte = 0;
    const next = createUlidSource((bytes) => bytes.fill(byte++));
    assert.equal(next(5).slice(10), "0".repeat(16));
    assert.equal(next(6).slice(10), "1".repeat(16));
  });

  it("goes on from the last time when the clock goes back", () => {
    const next = createUlidSource(constant(0));
    const [first, second, third] = [next(1000), next(400), next(999)];
    assert.equal(second, `${first.slice(0, 25)}1`);
    assert.equal(third, `${first.slice(0, 25)}2`);
    assert.ok(next(1001) > third);
  });

  it("moves to the next millisecond when the random part is full", () => {
    const next = createUlidSource(constant(255));
    const [first, second, third] = [next(1000), next(1000), next(1000)];
    assert.equal(first.slice(10), "Z".repeat(16));
    assert.equal(second.slice(0, 10), createUlidSource()(1001).slice(0, 10));
    assert.equal(third.slice(0, 10), createUlidSource()(1002).slice(0, 10));
    assert.ok(first < second && second < third);
    assert.ok([first, second, third].every(isUlid));
  });

  it("gives two sources different ids for the same time", () => {
    assert.notEqual(createUlidSource()(1000), createUlidSource()(1000));
  });
});

describe("isUlid()", () => {
  const good = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  const bad: Readonly<Record<string, string>> = {
    nothing: "",
    "lower case": good.toLowerCase(),
    "too short": good.slice(1),
    "too long": `${good}0`,
    "a time beyond 48 bits": `8${good.slice(1)}`,
    I: `${good.slice(0, 25)}I`,
    L: `${good.slice(0, 25)}L`,
    O: `${good.slice(0, 25)}O`,
    U: `${good.slice(0, 25)}U`,
    "a line after it": `${good}\n`,
    "a line before it": `\n${good}`,
  };

  it("takes the specification's example", () => assert.equal(isUlid(good), true));
  for (const [name, text] of Object.entries(bad)) {
    it(`refuses ${name}`, () => assert.equal(isUlid(text), false));
  }
});

describe("randomHex()", () => {
  for (const byteCount of [0, 1, 16, 32]) {
    it(`spells ${byteCount} bytes with two digits each`, () => {
      assert.match(randomHex(byteCount), new RegExp(`^[0-9a-f]{${byteCount * 2}}$`));
    });
  }

  it("differs from call to call", () => assert.notEqual(randomHex(16), randomHex(16)));
});
