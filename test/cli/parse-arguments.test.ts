// Reading a command line by a table: what is understood, and what is said of the rest.

import { describe, expect, test } from "bun:test";
import type { Command } from "../../src/cli/command.ts";
import { parseArguments } from "../../src/cli/parse-arguments.ts";

const COMMAND: Command = {
  name: "serve",
  summary: "Serve",
  arguments: [
    { name: "DIR", isRequired: true, summary: "the folder" },
    { name: "MORE", isRequired: false, summary: "more" },
  ],
  options: [
    { name: "port", value: "PORT", summary: "port" },
    { name: "host", value: "HOST", summary: "host" },
    { name: "json", summary: "JSON" },
  ],
};

function parse(...words: string[]): unknown {
  const { positional, switches, values } = parseArguments(COMMAND, words);
  return { positional, switches: [...switches], values: Object.fromEntries(values) };
}

describe("parseArguments", () => {
  test.each([
    [["a"], { positional: ["a"], switches: [], values: {} }],
    [["a", "b"], { positional: ["a", "b"], switches: [], values: {} }],
    [["--port", "1", "a", "--json"], { positional: ["a"], switches: ["json"], values: { port: "1" } }],
    [["a", "--port=1", "--host=x=y"], { positional: ["a"], switches: [], values: { port: "1", host: "x=y" } }],
    [["--json", "--", "--port"], { positional: ["--port"], switches: ["json"], values: {} }],
    [["a", "--host", "-1"], { positional: ["a"], switches: [], values: { host: "-1" } }],
    [["-"], { positional: ["-"], switches: [], values: {} }],
  ])("understands %j", (words, expected) => {
    expect(parse(...words)).toEqual(expected);
  });

  test.each([
    [["a", "--prot", "1"], "--prot", "--port"],
    [["a", "--JSON"], "--JSON", "--json"],
    [["a", "--jso"], "--jso", "--json"],
    [["a", "--frobnicate"], "--frobnicate", "pylon help serve"],
    [["a", "--constructor"], "--constructor", "pylon help serve"],
    [["a", "-p"], '"-p"', "pylon help serve"],
    [["a", "b", "c"], '"c"', "pylon help serve"],
    [[], "DIR", "pylon help serve"],
    [["a", "--port"], "--port PORT", ""],
    [["a", "--port", "--json"], "--port PORT", ""],
    [["a", "--port="], "--port PORT", ""],
    [["a", "--json=1"], "--json", ""],
    [["a", "--port", "1", "--port", "2"], "--port", "twice"],
  ])("refuses %j", (words, named, said) => {
    let refusal: unknown;
    try {
      parse(...words);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code: "USAGE" });
    const { message, hint } = refusal as { message: string; hint: string };
    expect(message).toContain(named);
    expect(`${message} ${hint}`).toContain(said);
  });
});
