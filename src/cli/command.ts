// What a command is: its arguments and options as data, and the function that runs it.

import type { CliPlatform } from "./cli-platform.ts";

/** An option of a command. With `value` it takes one, otherwise it is a switch. */
export interface OptionSpec {
  /** Without its dashes. */
  readonly name: string;
  /** What the value is, as the help shows it: `PORT`. */
  readonly value?: string;
  readonly summary: string;
}

export interface ArgumentSpec {
  /** As the help shows it: `DIR`. */
  readonly name: string;
  readonly isRequired: boolean;
  readonly summary: string;
}

export interface ParsedArguments {
  /** In the order of the command's arguments; absent ones are missing at the end. */
  readonly positional: readonly string[];
  readonly switches: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
}

/** Exit code: 0 done, 1 failed or found a problem, 2 a question that cannot be answered. */
export type ExitCode = 0 | 1 | 2;

export type RunCommand = (args: ParsedArguments, platform: CliPlatform) => Promise<ExitCode>;

export interface Command {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line. */
  readonly summary: string;
  /** What else there is to know, as paragraphs. */
  readonly details?: readonly string[];
  readonly arguments: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
}
