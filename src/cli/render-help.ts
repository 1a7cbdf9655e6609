// The help as text, made from the commands' tables, so that nothing is accepted and left unexplained.

import type { Command } from "./command.ts";

const WIDTH = 88;
const INDENT = "  ";

interface Line {
  readonly left: string;
  readonly right: string;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function renderTable(title: string, lines: readonly Line[]): string[] {
  if (lines.length === 0) return [];
  const leftWidth = Math.max(...lines.map(({ left }) => left.length)) + 2;
  const rows = lines.flatMap(({ left, right }) => {
    const [first = "", ...others] = wrap(right, WIDTH - leftWidth - INDENT.length);
    const rest = others.map((other) => `${INDENT}${" ".repeat(leftWidth)}${other}`);
    return [`${INDENT}${left.padEnd(leftWidth)}${first}`, ...rest];
  });
  return ["", title, ...rows];
}

/** `pylon migrate [DIR] [--plan]`; a list of options that no line holds is the table's alone. */
export function renderUsage(command: Command): string {
  const args = command.arguments.map(({ name, isRequired }) => (isRequired ? name : `[${name}]`));
  const options = command.options.map(({ name, value }) => `[--${name}${value === undefined ? "" : ` ${value}`}]`);
  const all = ["pylon", command.name, ...args, ...options].join(" ");
  return all.length <= WIDTH ? all : ["pylon", command.name, ...args, "[OPTIONS]"].join(" ");
}

/** `init DIR`; options are for the command's own page. */
function renderCall(command: Command): string {
  const args = command.arguments.map(({ name, isRequired }) => (isRequired ? name : `[${name}]`));
  return [command.name, ...args].join(" ");
}

export function renderCommandHelp(command: Command): string {
  const aliases = command.aliases?.length ? ["", `Also: pylon ${command.aliases.join(", pylon ")}`] : [];
  const details = (command.details ?? []).flatMap((detail) => ["", ...wrap(detail, WIDTH)]);
  return [
    `${command.summary}.`,
    "",
    `Usage: ${renderUsage(command)}`,
    ...aliases,
    ...details,
    ...renderTable(
      "Arguments:",
      command.arguments.map(({ name, summary }) => ({ left: name, right: summary })),
    ),
    ...renderTable("Options:", [
      ...command.options.map(({ name, value, summary }) => ({
        left: value === undefined ? `--${name}` : `--${name} ${value}`,
        right: summary,
      })),
      { left: "-h, --help", right: "print this" },
    ]),
    "",
  ].join("\n");
}

/** Of commands whose names begin with the same word. */
export function renderGroupHelp(word: string, commands: readonly Command[]): string {
  return [
    `Usage: pylon ${word} COMMAND [ARGUMENTS]`,
    ...renderTable(
      "Commands:",
      commands.map((command) => ({ left: renderCall(command), right: command.summary })),
    ),
    "",
    `\`pylon help ${word} COMMAND\` explains one.`,
    "",
  ].join("\n");
}

export interface ProgramHelp {
  readonly version: string;
  readonly commands: readonly Command[];
}

export function renderProgramHelp({ version, commands }: ProgramHelp): string {
  return [
    `Pylon ${version}: your application's data, functions and signed webhooks in one executable.`,
    "",
    "Usage: pylon COMMAND [ARGUMENTS]",
    ...renderTable(
      "Commands:",
      commands.map((command) => ({ left: renderCall(command), right: command.summary })),
    ),
    "",
    "`pylon help COMMAND` explains one. Exit codes: 0 done, 1 failed or found a problem, 2 wrong usage.",
    "",
  ].join("\n");
}
