// The codes that the commands raise.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const cliError: ErrorFactory<
  | "USAGE"
  | "APP_NOT_FOUND"
  | "APP_INVALID"
  | "ADMIN_TOKEN_MISSING"
  | "ENV_FILE_INVALID"
  | "PORT_BUSY"
  | "LISTEN_FAILED"
  | "STORE_UNSUPPORTED"
  | "DATABASE_NOT_FOUND"
  | "FILES_EXIST"
  | "FILES_UNWRITABLE"
  | "EXPORT_TARGET_UNSUPPORTED"
> = defineErrors({
  USAGE: { status: 500, message: "The command is not understood", hint: "`pylon help` lists every command" },
  APP_NOT_FOUND: {
    status: 500,
    message: "There is no such folder",
    hint: "Name the application's folder, or make one with `pylon init DIR`",
  },
  APP_INVALID: { status: 500, message: "The application does not load" },
  ADMIN_TOKEN_MISSING: {
    status: 500,
    message: "The environment variable PYLON_ADMIN_TOKEN is not set",
    hint: "Set PYLON_ADMIN_TOKEN to a long random text; `pylon serve` reads no .env file",
  },
  ENV_FILE_INVALID: { status: 500, message: "A file of environment variables cannot be read" },
  PORT_BUSY: { status: 500, message: "The port is taken" },
  LISTEN_FAILED: { status: 500, message: "Cannot listen" },
  STORE_UNSUPPORTED: {
    status: 500,
    message: "This is not a database that Pylon can use",
    hint: "DATABASE_URL=postgres://user:password@host:5432/name for Postgres; PYLON_DB_PATH or --db for a SQLite file",
  },
  DATABASE_NOT_FOUND: {
    status: 500,
    message: "There is no database",
    hint: "Name the application's folder, or the file with --db or PYLON_DB_PATH",
  },
  FILES_EXIST: { status: 500, message: "Cannot write over files that exist", hint: "Choose another folder" },
  FILES_UNWRITABLE: { status: 500, message: "Cannot write the files" },
  EXPORT_TARGET_UNSUPPORTED: { status: 500, message: "This build cannot export there" },
});

/** USAGE of one command, by its name. */
export function usageError(command: string, message: string): Error {
  return cliError("USAGE", { message, hint: `\`pylon help ${command}\` says how it is called` });
}
