// `pylon backup [DIR] --to FILE`: copies the SQLite database while other processes serve it. What another server stores is
// that server's to copy.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { cliError, usageError } from "./cli-errors.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ParsedArguments, RunCommand } from "./command.ts";
import { makeNewFile } from "./new-file.ts";
import { readAppDir, readDatabase } from "./read-options.ts";

const UNITS = ["bytes", "kB", "MB", "GB", "TB"] as const;

/** In units of a thousand: `12.3 MB`. */
export function renderSize(bytes: number): string {
  const power = bytes < 1_000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const amount = bytes / 1_000 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${UNITS[power]}`;
}

/** @throws USAGE */
function readTarget({ values }: ParsedArguments, { cwd }: Pick<CliPlatform, "cwd">): string {
  const target = values.get("to");
  if (target !== undefined) return resolve(cwd, target);
  throw usageError("backup", "`pylon backup` needs --to FILE: the file to make");
}

/** @throws USAGE for a server: what it stores is that server's to copy. */
function readFile(args: ParsedArguments, { env, cwd }: CliPlatform): string {
  const database = readDatabase(args, env, { dir: readAppDir(args, { cwd }), cwd });
  if (database.kind === "sqlite") return database.path;
  throw cliError("USAGE", {
    message: `\`pylon backup\` copies SQLite files only: ${database.name} is a Postgres database`,
    hint: 'Postgres has its own: pg_dump --format=custom --file=FILE "$DATABASE_URL"',
  });
}

/** @throws DATABASE_NOT_FOUND */
function findDatabase(args: ParsedArguments, platform: CliPlatform): string {
  const database = readFile(args, platform);
  if (existsSync(database)) return database;
  throw cliError("DATABASE_NOT_FOUND", { message: `There is no database at "${database}"` });
}

export const backup: RunCommand = async (args, platform) => {
  const file = readTarget(args, platform);
  const database = findDatabase(args, platform);
  const startedMs = performance.now();
  const bytes = await makeNewFile(file, (partial) => platform.copyDatabase(database, partial));
  const durationMs = Math.round(performance.now() - startedMs);
  const text = args.switches.has("json")
    ? JSON.stringify({ database, file, bytes, duration_ms: durationMs }, null, 2)
    : `Copied ${database} to ${file}: ${renderSize(bytes)} in ${(durationMs / 1_000).toFixed(2)} s`;
  platform.stdout.write(`${text}\n`);
  return 0;
};
