// Every command of the program as data: what the help shows and what the arguments are read by.

import type { ArgumentSpec, Command, OptionSpec } from "./command.ts";

const DIR: ArgumentSpec = { name: "DIR", isRequired: false, summary: "the application's folder (default: .)" };
const JSON_OUTPUT: OptionSpec = { name: "json", summary: "print one JSON document" };
const DB: OptionSpec = {
  name: "db",
  value: "PATH",
  summary: "SQLite file (PYLON_DB_PATH; default: DIR/.pylon/pylon.db)",
};
const PORT: OptionSpec = {
  name: "port",
  value: "PORT",
  summary: "port to listen on; 0 chooses a free one (PYLON_PORT; default: 4321)",
};

function hostOption(fallback: string): OptionSpec {
  return { name: "host", value: "HOST", summary: `address to listen on (PYLON_HOST; default: ${fallback})` };
}

export const COMMANDS: readonly Command[] = [
  {
    name: "init",
    summary: "Make a runnable application",
    arguments: [{ name: "DIR", isRequired: true, summary: "the folder to make it in" }],
    options: [],
  },
  {
    name: "dev",
    summary: "Serve with reload on change",
    details: [
      "Reads .env and then .env.local in DIR; what the environment already holds wins. Sign-in codes are shown in answers, and webhooks may reach this machine.",
    ],
    arguments: [DIR],
    options: [PORT, hostOption("127.0.0.1"), DB],
  },
  {
    name: "serve",
    aliases: ["start"],
    summary: "Serve in production",
    details: [
      "Needs PYLON_ADMIN_TOKEN in the environment and reads no .env file. SIGTERM and SIGINT finish what runs for up to PYLON_DRAIN_SECS (10); a second one ends at once.",
    ],
    arguments: [DIR],
    options: [PORT, hostOption("0.0.0.0"), DB],
  },
  {
    name: "check",
    summary: "List everything that is wrong with an application",
    details: ["Looks at app.ts, pylon.manifest.json, functions and the plugins' configuration. Touches no database."],
    arguments: [DIR],
    options: [JSON_OUTPUT],
  },
  {
    name: "migrate",
    summary: "Bring the database to the application's entities",
    details: [
      "Steps that destroy values are listed with the number of rows that lose one, and are not applied unasked.",
    ],
    arguments: [DIR],
    options: [
      { name: "plan", summary: "only show what would be done" },
      { name: "allow-destructive", summary: "apply steps that destroy values too" },
      DB,
      JSON_OUTPUT,
    ],
  },
  {
    name: "backup",
    summary: "Copy the SQLite database while it is served",
    details: [
      "The copy is one moment of the database, with every write that was acknowledged before; it is checked and on the disk when this ends. A file that exists is not written over.",
      "To restore, stop Pylon, move pylon.db, pylon.db-wal and pylon.db-shm away, put the copy in the place of pylon.db, and start.",
    ],
    arguments: [DIR],
    options: [{ name: "to", value: "FILE", summary: "the file to make (required)" }, DB, JSON_OUTPUT],
  },
  {
    name: "version",
    summary: "Print the version",
    arguments: [],
    options: [JSON_OUTPUT],
  },
  {
    name: "help",
    summary: "Explain a command",
    arguments: [{ name: "COMMAND", isRequired: false, summary: "the command to explain" }],
    options: [],
  },
];

/** By name or alias. */
export function findCommand(name: string): Command | undefined {
  return COMMANDS.find((command) => command.name === name || command.aliases?.includes(name));
}
