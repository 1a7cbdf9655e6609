// What the options and the environment say about one run: the folder, the address, the database, the log. Options win.

import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Env } from "../core/env.ts";
import { coreError } from "../core/errors.ts";
import { cliError } from "./cli-errors.ts";
import type { CliPlatform, LogFormat } from "./cli-platform.ts";
import type { ParsedArguments } from "./command.ts";

const DEFAULT_PORT = 4321;
const MAX_PORT = 65_535;
const DEFAULT_DB = ".pylon/pylon.db";

/** An absolute path. @throws APP_NOT_FOUND */
export function readAppDir({ positional: [name = "."] }: ParsedArguments, { cwd }: Pick<CliPlatform, "cwd">): string {
  const dir = resolve(cwd, name);
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return dir;
  throw cliError("APP_NOT_FOUND", { message: `There is no folder "${dir}"` });
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= MAX_PORT ? port : undefined;
}

/** @throws USAGE when the option does not fit, CONFIG_INVALID when the variable does not. */
export function readPort({ values }: ParsedArguments, env: Env): number {
  const option = values.get("port");
  const port = parsePort(option ?? (env.PYLON_PORT || String(DEFAULT_PORT)));
  if (port !== undefined) return port;
  if (option !== undefined) throw cliError("USAGE", { message: `--port is not a number from 0 to ${MAX_PORT}` });
  throw coreError("CONFIG_INVALID", { message: `PYLON_PORT is not a number from 0 to ${MAX_PORT}` });
}

export function readHost({ values }: ParsedArguments, env: Env, fallback: string): string {
  return values.get("host") ?? (env.PYLON_HOST || fallback);
}

/** @throws STORE_UNSUPPORTED; never says what the address holds, which may be a password. */
function assertFile(path: string, source: string): string {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(path)) return path;
  throw cliError("STORE_UNSUPPORTED", {
    message: `${source} names a database server: this build stores in SQLite only`,
  });
}

/** The SQLite file, absolute. The option is relative to where it is typed, the variable to the application's folder. */
export function readDatabasePath(args: ParsedArguments, env: Env, { dir, cwd }: { dir: string; cwd: string }): string {
  const option = args.values.get("db");
  if (option !== undefined) return resolve(cwd, assertFile(option, "--db"));
  if (env.DATABASE_URL)
    throw cliError("STORE_UNSUPPORTED", { message: "DATABASE_URL is set: this build stores in SQLite only" });
  return resolve(dir, assertFile(env.PYLON_DB_PATH || DEFAULT_DB, "PYLON_DB_PATH"));
}

/** @throws CONFIG_INVALID */
export function readLogFormat(env: Env): LogFormat {
  const format = env.PYLON_LOG_FORMAT || "text";
  if (format === "text" || format === "json") return format;
  throw coreError("CONFIG_INVALID", { message: "PYLON_LOG_FORMAT is not text or json" });
}
