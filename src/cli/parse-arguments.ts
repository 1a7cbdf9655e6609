// Reads the words behind a command by the command's own table. Nothing is guessed: what the table does not hold is refused,
// with the nearest thing that it does hold.

import { cliError, usageError } from "./cli-errors.ts";
import type { Command, OptionSpec, ParsedArguments } from "./command.ts";
import { findNearest } from "./nearest-name.ts";

/** @throws USAGE */
function findOption(command: Command, name: string): OptionSpec {
  const found = command.options.find((option) => option.name === name);
  if (found) return found;
  const nearest = findNearest(
    name,
    command.options.map((option) => option.name),
  );
  throw cliError("USAGE", {
    message: `Unknown option of \`pylon ${command.name}\`: "--${name}"`,
    hint: nearest ? `Did you mean --${nearest}?` : `\`pylon help ${command.name}\` lists its options`,
  });
}

/** `--name=value` as two. */
function splitWord(word: string): readonly [name: string, value: string | undefined] {
  const equals = word.indexOf("=");
  return equals < 0 ? [word.slice(2), undefined] : [word.slice(2, equals), word.slice(equals + 1)];
}

/**
 * Reads `words`, the command's own name not among them. `--` ends the options.
 *
 * @throws USAGE naming the word that does not fit.
 */
export function parseArguments(command: Command, words: readonly string[]): ParsedArguments {
  const positional: string[] = [];
  const switches = new Set<string>();
  const values = new Map<string, string>();
  const rest = [...words];
  const readOption = (word: string): void => {
    const [name, inline] = splitWord(word);
    const option = findOption(command, name);
    if (switches.has(name) || values.has(name)) throw usageError(command.name, `--${name} is there twice`);
    if (option.value === undefined) {
      if (inline !== undefined) throw usageError(command.name, `--${name} takes no value`);
      switches.add(name);
      return;
    }
    const value = inline ?? (rest[0]?.startsWith("--") ? undefined : rest.shift());
    if (value === undefined || value === "")
      throw usageError(command.name, `--${name} needs a value: --${name} ${option.value}`);
    values.set(name, value);
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") positional.push(...rest.splice(0));
    else if (word.startsWith("--")) readOption(word);
    else if (word.startsWith("-") && word !== "-") throw usageError(command.name, `Unknown option: "${word}"`);
    else positional.push(word);
  }
  const extra = positional[command.arguments.length];
  if (extra !== undefined)
    throw usageError(command.name, `Unexpected argument of \`pylon ${command.name}\`: "${extra}"`);
  const missing = command.arguments.slice(positional.length).find((argument) => argument.isRequired);
  if (missing) throw usageError(command.name, `\`pylon ${command.name}\` needs ${missing.name}: ${missing.summary}`);
  return { positional, switches, values };
}
