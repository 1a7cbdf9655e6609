// What the options and the environment say about one run: the folder, the address, the database, the log. Options win.

import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Env } from "../core/env.ts";
import { coreError } from "../core/errors.ts";
import { readDatabaseLimits } from "../instance/settings.ts";
import { isPostgresUrl, nameOf } from "../store/postgres/postgres-url.ts";
import { cliError } from "./cli-errors.ts";
import type { CliPlatform, LogFormat } from "./cli-platform.ts";
import type { Database } from "./database.ts";
import type { ParsedArguments } from "./command.ts";

const DEFAULT_PORT = 4321;
const MAX_PORT = 65_535;
const DEFAULT_FILE = ".pylon/pylon.db";

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

interface Said {
  readonly text: string;
  /** The option or variable that says it. */
  readonly source: string;
  /** What a relative path is relative to. */
  readonly base: string;
}

/** The option wins, then DATABASE_URL, then the file. The option is relative to where it is typed. */
function whatIsSaid(args: ParsedArguments, env: Env, { dir, cwd }: { dir: string; cwd: string }): Said {
  const option = args.values.get("db");
  if (option !== undefined) return { text: option, source: "--db", base: cwd };
  if (env.DATABASE_URL) return { text: env.DATABASE_URL, source: "DATABASE_URL", base: dir };
  return { text: env.PYLON_DB_PATH || DEFAULT_FILE, source: "PYLON_DB_PATH", base: dir };
}

/** @throws STORE_UNSUPPORTED, CONFIG_INVALID */
export function readDatabase(args: ParsedArguments, env: Env, where: { dir: string; cwd: string }): Database {
  const { text, source, base } = whatIsSaid(args, env, where);
  if (isPostgresUrl(text)) return { kind: "postgres", name: nameOf(text), url: text, limits: readDatabaseLimits(env) };
  if (source === "DATABASE_URL" || /^[a-z][a-z0-9+.-]+:\/\//i.test(text)) {
    throw cliError("STORE_UNSUPPORTED", { message: `${source} is not the address of a Postgres database` });
  }
  const path = resolve(base, text);
  return { kind: "sqlite", name: path, path };
}

/** @throws CONFIG_INVALID */
export function readLogFormat(env: Env): LogFormat {
  const format = env.PYLON_LOG_FORMAT || "text";
  if (format === "text" || format === "json") return format;
  throw coreError("CONFIG_INVALID", { message: "PYLON_LOG_FORMAT is not text or json" });
}
