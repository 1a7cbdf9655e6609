// Which database a run uses: a SQLite file, or a Postgres server's. An address may hold a password and is never shown.

import { resolve } from "node:path";
import type { Env } from "../core/env.ts";
import { readDatabaseLimits, type DatabaseLimits } from "../instance/settings.ts";
import { isPostgresUrl, nameOf } from "../store/postgres/postgres-url.ts";
import { cliError } from "./cli-errors.ts";
import type { ParsedArguments } from "./command.ts";

/** `name` is for people. */
export type Database =
  | { readonly kind: "sqlite"; readonly name: string; readonly path: string }
  | { readonly kind: "postgres"; readonly name: string; readonly url: string; readonly limits: DatabaseLimits };

const DEFAULT_FILE = ".pylon/pylon.db";

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
