// What was typed behind a command's name, read by the command's own table.

export interface ParsedArguments {
  /** In the order of the command's arguments; absent ones are missing at the end. */
  readonly positional: readonly string[];
  readonly switches: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
}
