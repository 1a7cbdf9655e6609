// Files of environment variables: every way to write a value, and the line of everything that is none.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseDotenv } from "../../src/cli/dotenv.ts";

function values(text: string): Record<string, string> {
  const { values, problems } = parseDotenv(text);
  expect(problems).toEqual([]);
  return Object.fromEntries(values);
}

describe("parseDotenv", () => {
  test.each([
    ["", {}],
    ["\n\n# nothing\n   # here\n", {}],
    ["A=1", { A: "1" }],
    ["A=1\nB=2\n", { A: "1", B: "2" }],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["\uFEFFA=1", { A: "1" }],
    ["  export A = one two  ", { A: "one two" }],
    ["A=\nB= # nothing\n", { A: "", B: "" }],
    ["A=1 # the first", { A: "1" }],
    ["A=http://x/#part", { A: "http://x/#part" }],
    ["A=a=b==", { A: "a=b==" }],
    ["A=1\nA=2", { A: "2" }],
    [`A="a # b" # c`, { A: "a # b" }],
    [`A='$HOME \\n "x"'`, { A: '$HOME \\n "x"' }],
    ['A="line\\nline\\t\\"q\\" \\\\ \\$"', { A: 'line\nline\t"q" \\ $' }],
    ['KEY="-----BEGIN\nabc\n-----END"\nB=2', { KEY: "-----BEGIN\nabc\n-----END", B: "2" }],
    ["KEY='a\n# no comment\nb'\n", { KEY: "a\n# no comment\nb" }],
    ["A=${B} $(date) `date`", { A: "${B} $(date) `date`" }],
    ["__proto__=x\nconstructor=y", JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>],
  ])("reads %j", (text, expected) => {
    expect(values(text)).toEqual(expected);
  });

  test("lists every line that is none, by its number, and reads the others", () => {
    const text = 'A=1\nnot a line\n"quoted"=1\nM="two\nlines"\n1A=x\nB="open\nC=3';
    const { values, problems } = parseDotenv(text);
    expect(Object.fromEntries(values)).toEqual({ A: "1", M: "two\nlines", C: "3" });
    expect(problems.map(({ line }) => line)).toEqual([2, 3, 6, 7]);
  });

  test("refuses what stands behind a closing quote", () => {
    expect(parseDotenv('A="x" y\nB="x"y').problems.map(({ line }) => line)).toEqual([1, 2]);
  });

  test("reads back every value that is written in double quotes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (value, other) => {
        const text = value.replaceAll("\r\n", "\n").replaceAll("\r", "");
        const quoted = `"${text.replace(/[\\"]/g, "\\$&")}"`;
        const comment = other.replace(/[\r\n]/g, " ");
        expect(values(`# ${comment}\nBEFORE=1\nA=${quoted} # ${comment}\nBEHIND=2\n`)).toEqual({
          BEFORE: "1",
          A: text,
          BEHIND: "2",
        });
      }),
    );
  });

  test("never throws, and never says what a line holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        for (const { line, message } of parseDotenv(text).problems) {
          expect(line).toBeGreaterThan(0);
          expect([
            "Expected NAME=value",
            "The quote is never closed",
            "Expected the end of the line behind the closing quote",
          ]).toContain(message);
        }
      }),
    );
  });

  test("reads a large file in time that grows with its size", () => {
    const text = `${"A=".padEnd(2_000, "x")}\n`.repeat(2_000) + "B='never closed\n".repeat(200);
    const startedMs = performance.now();
    expect(parseDotenv(text).values.size).toBe(1);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});
