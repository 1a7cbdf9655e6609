// `pylon help [COMMAND]`

import { VERSION } from "../version.ts";
import { cliError } from "./cli-errors.ts";
import type { Command, RunCommand } from "./command.ts";
import { COMMANDS, findCommand } from "./commands.ts";
import { findNearest } from "./nearest-name.ts";
import { renderCommandHelp, renderProgramHelp } from "./render-help.ts";

/** @throws USAGE naming what is nearest. `words` is the whole command line. */
export function requireCommand(name: string, words: readonly string[] = [name]): Command {
  const command = findCommand(name);
  if (command) return command;
  const nearest = findNearest(
    name,
    COMMANDS.flatMap((known) => [known.name, ...(known.aliases ?? [])]),
  );
  throw cliError("USAGE", {
    message: `There is no command "${words.join(" ")}"`,
    ...(nearest ? { hint: `Did you mean \`pylon ${nearest}\`?` } : {}),
  });
}

export const help: RunCommand = async ({ positional }, { stdout }) => {
  const name = positional.length === 0 ? undefined : positional.join(" ");
  stdout.write(
    name === undefined
      ? renderProgramHelp({ version: VERSION, commands: COMMANDS })
      : renderCommandHelp(requireCommand(name)),
  );
  return 0;
};
