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
    name: "audit verify",
    summary: "Say what the audit log proves",
    details: [
      "DIR may also be a database file or an exported folder. Exit codes: 0 intact, 1 tampered, 2 cannot tell. The last line says in one sentence what is proven, up to which entry, and how fresh the evidence is.",
      "Without a checkpoint that was kept outside of the database nobody can tell whether the database was put back to an earlier state; that is 2.",
    ],
    arguments: [DIR],
    options: [
      { name: "checkpoint", value: "FILE", summary: "signed checkpoints that were kept outside of the database" },
      {
        name: "key",
        value: "KEY",
        summary: "a verifier key, or the name of a variable with a signing key; several with commas",
      },
      { name: "incremental", summary: "read entries from the newest of these checkpoints on" },
      { name: "save", value: "FILE", summary: "append the newest checkpoint that held, for the next time" },
      DB,
      JSON_OUTPUT,
    ],
  },
  {
    name: "audit export",
    summary: "Write the audit log as NDJSON or CSV",
    details: ["With --to a folder with a manifest, which `pylon audit verify` takes; without it to standard output."],
    arguments: [DIR],
    options: [
      { name: "since", value: "WHEN", summary: "a place in the log, or an ISO 8601 time (default: its beginning)" },
      { name: "format", value: "FORMAT", summary: "ndjson (default) or csv" },
      { name: "to", value: "FOLDER", summary: "an empty or new folder" },
      { name: "key", value: "KEY", summary: "as of audit verify" },
      DB,
      { name: "json", summary: "with --to: print one JSON document about what was written" },
    ],
  },
  {
    name: "audit checkpoint",
    summary: "Sign and print a checkpoint of the audit log",
    arguments: [DIR],
    options: [DB, JSON_OUTPUT],
  },
  {
    name: "audit key",
    summary: "Print the key that checks the log's checkpoints",
    arguments: [DIR],
    options: [DB, JSON_OUTPUT],
  },
  {
    name: "audit redact",
    summary: "Erase what the audit log holds of one row",
    details: ["The entries stay, with their commitments, and an entry records what was erased and why."],
    arguments: [DIR],
    options: [
      { name: "entity", value: "ENTITY", summary: "the row's entity (required)" },
      { name: "row", value: "ID", summary: "the row's id (required)" },
      { name: "reason", value: "TEXT", summary: "is recorded (required)" },
      DB,
      JSON_OUTPUT,
    ],
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
    arguments: [
      { name: "COMMAND", isRequired: false, summary: "the command to explain" },
      { name: "SUBCOMMAND", isRequired: false, summary: "its second word, when it has one" },
    ],
    options: [],
  },
];

/** Those whose name is `word` and another one. */
export function commandsBelow(word: string): readonly Command[] {
  return COMMANDS.filter(({ name }) => name.startsWith(`${word} `));
}

/** By name or alias. */
export function findCommand(name: string): Command | undefined {
  return COMMANDS.find((command) => command.name === name || command.aliases?.includes(name));
}
