// A server that crashes while it commits forgets the transaction and gives its number to the next one. What became of ours
// must not be read from what became of that.

import { expect, test } from "bun:test";

import postgres from "postgres";

import { createSystemClock } from "../../src/core/clock.ts";
import { openPostgresStore } from "../../src/store/postgres/open-postgres-store.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { replaceNextCommit } from "./replace-commit.ts";

test("a commit that a crash of the server took back is not taken for another's that got its number", async () => {
  const server = await startPostgres();
  const platform = replaceNextCommit(async () => {
    await server.kill();
    await server.restart();
    const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
    // Whoever comes first gets the number; these come first, and commit.
    for (let i = 0; i < 50; i++) await sql`CREATE TABLE ${sql(`another_${i}`)} ()`;
    await sql.end({ timeout: 5 });
  });
  const store = await openPostgresStore({ url: server.url, platform, clock: createSystemClock() });
  try {
    await store.write((tx) => tx.writeMeta("before", "the crash"));
    platform.arm();
    const code = await store
      .write((tx) => tx.writeMeta("kept", "yes"))
      .then(
        () => "acknowledged",
        (error: { readonly code?: string }) => error.code,
      );
    const kept = await store.reader.readMeta("kept");
    expect([code, kept]).toEqual(["STORE_UNCERTAIN", undefined]);
  } finally {
    await store.close();
    await server.stop();
  }
}, 60_000);
