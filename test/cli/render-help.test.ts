// The help says everything that the commands' tables hold, in lines that a terminal shows whole.

import { describe, expect, test } from "bun:test";
import { COMMANDS, findCommand } from "../../src/cli/commands.ts";
import { renderCommandHelp, renderProgramHelp, renderUsage } from "../../src/cli/render-help.ts";

describe("the help", () => {
  const program = renderProgramHelp({ version: "1.2.3", commands: COMMANDS });

  test("names the version and every command", () => {
    expect(program).toContain("1.2.3");
    for (const { name, summary } of COMMANDS) expect(program).toMatch(new RegExp(`^  ${name}\\b.*${summary}$`, "m"));
  });

  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    "of %s names all it takes",
    (_name, command) => {
      const text = renderCommandHelp(command);
      expect(text).toContain(renderUsage(command));
      for (const option of command.options) expect(text).toContain(`--${option.name}`);
      for (const argument of command.arguments) expect(text).toContain(argument.name);
      for (const alias of command.aliases ?? []) expect(text).toContain(`pylon ${alias}`);
      for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(96);
    },
  );

  test("shows what must be there and what may", () => {
    const [init, migrate] = [findCommand("init"), findCommand("migrate")];
    expect(init && renderUsage(init)).toBe("pylon init DIR");
    expect(migrate && renderUsage(migrate)).toBe(
      "pylon migrate [DIR] [--plan] [--allow-destructive] [--db PATH] [--json]",
    );
  });

  test("finds a command by its alias", () => {
    expect(findCommand("start")).toBe(findCommand("serve"));
    expect(findCommand("toString")).toBeUndefined();
  });
});
