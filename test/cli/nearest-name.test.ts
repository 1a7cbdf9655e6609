// How far two names are apart, and which one was probably meant.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { countEdits, findNearest } from "../../src/cli/nearest-name.ts";

describe("countEdits", () => {
  test.each([
    ["", "", 0],
    ["port", "port", 0],
    ["prot", "port", 1],
    ["por", "port", 1],
    ["portt", "port", 1],
    ["pork", "port", 1],
    ["kitten", "sitting", 3],
    ["", "abc", 3],
  ])("%j to %j is %d", (a, b, edits) => {
    expect(countEdits(a, b)).toBe(edits);
  });

  test("is the same both ways, 0 only for equals, and never more than the longer name", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });
    fc.assert(
      fc.property(name, name, (a, b) => {
        const edits = countEdits(a, b);
        expect(countEdits(b, a)).toBe(edits);
        expect(edits === 0).toBe(a === b);
        expect(edits).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(edits).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
  });
});

describe("findNearest", () => {
  const KNOWN = ["init", "dev", "serve", "check", "migrate", "version", "help"];

  test.each([
    ["serv", "serve"],
    ["SERVE", "serve"],
    ["srve", "serve"],
    ["chekc", "check"],
    ["mig", "migrate"],
    ["hepl", "help"],
  ])("%s means %s", (name, nearest) => {
    expect(findNearest(name, KNOWN)).toBe(nearest);
  });

  test.each(["frobnicate", "x", "", "de", "audit"])("nothing is near %j", (name) => {
    expect(findNearest(name, name === "de" ? [] : KNOWN)).toBeUndefined();
  });
});
