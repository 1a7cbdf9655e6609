// A fresh Postgres database for a test, on the server that `TEST_POSTGRES_URL` names: one that the user gives, or the one
// that `test/run.ts` starts for the whole run. A test file that is run by hand without it starts one for its process.

import { randomBytes } from "node:crypto";

import postgres from "postgres";

import { startPostgres } from "./postgres-server.ts";

export interface TestDatabase {
  /** Connects as a user that may do anything in this database. */
  readonly url: string;
  /** Closes every connection to it and removes it. Safe to repeat. */
  drop(): Promise<void>;
}

let ownServer: Promise<string> | undefined;

/** Ends with the process, which its guard notices. */
async function startOwnServer(): Promise<string> {
  return (await startPostgres()).url;
}

function findServer(): Promise<string> {
  const given = process.env["TEST_POSTGRES_URL"];
  if (given) return Promise.resolve(given);
  return (ownServer ??= startOwnServer());
}

async function runAsAdmin(server: string, statement: string): Promise<void> {
  const sql = postgres(server, { max: 1, onnotice: () => undefined });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Creates an empty database. Takes about 50 ms. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const server = await findServer();
  const name = `pylon_test_${randomBytes(8).toString("hex")}`;
  // No one can be connected to template0, so that databases can be created side by side.
  await runAsAdmin(server, `create database ${name} template template0`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => runAsAdmin(server, `drop database if exists ${name} with (force)`) };
}
