// `pylon help [COMMAND]`

import { VERSION } from "../version.ts";
import { cliError } from "./cli-errors.ts";
import type { Command, RunCommand } from "./command.ts";
import { COMMANDS, commandsBelow, findCommand } from "./commands.ts";
import { findNearest } from "./nearest-name.ts";
import { renderCommandHelp, renderGroupHelp, renderProgramHelp } from "./render-help.ts";

function hintFor(words: readonly string[]): string | undefined {
  const [first = ""] = words;
  const below = commandsBelow(first);
  // Of `audit verfy`, what its second word is near to.
  const known = below.length > 0 ? below : COMMANDS;
  const nearest = findNearest(
    words.slice(0, below.length > 0 ? 2 : 1).join(" "),
    known.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
  );
  if (nearest !== undefined) return `Did you mean \`pylon ${nearest}\`?`;
  return below.length > 0 ? `\`pylon help ${first}\` lists what there is of it` : undefined;
}

/** @throws USAGE naming what is nearest. `words` is the whole command line. */
export function requireCommand(name: string, words: readonly string[] = [name]): Command {
  const command = findCommand(name);
  if (command) return command;
  const hint = hintFor(words);
  throw cliError("USAGE", {
    message: `There is no command "${words.join(" ")}"`,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** What `pylon help NAME` prints. @throws USAGE */
function explain(name: string): string {
  const below = commandsBelow(name);
  return below.length > 0 ? renderGroupHelp(name, below) : renderCommandHelp(requireCommand(name, name.split(" ")));
}

export const help: RunCommand = async ({ positional }, { stdout }) => {
  const name = positional.length === 0 ? undefined : positional.join(" ");
  stdout.write(name === undefined ? renderProgramHelp({ version: VERSION, commands: COMMANDS }) : explain(name));
  return 0;
};
