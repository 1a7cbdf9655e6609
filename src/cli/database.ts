// Which database a run uses: a SQLite file, or a Postgres server's. An address may hold a password and is never shown.

import type { DatabaseLimits } from "../instance/settings.ts";

/** `name` is for people. */
export type Database =
  | { readonly kind: "sqlite"; readonly name: string; readonly path: string }
  | { readonly kind: "postgres"; readonly name: string; readonly url: string; readonly limits: DatabaseLimits };
