// The codes that a migration raises.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const migrationError: ErrorFactory<"MIGRATION_DESTRUCTIVE" | "MIGRATION_BLOCKED" | "MIGRATION_RACED"> =
  defineErrors({
    MIGRATION_DESTRUCTIVE: {
      status: 500,
      message: "A pending migration would destroy data",
      hint: "See it with `pylon migrate --plan`, apply it with `pylon migrate --allow-destructive`",
    },
    MIGRATION_RACED: {
      status: 500,
      message: "Another process changed the schema to something else at the same time",
      hint: "Start again; replicas that start together should be of one version",
    },
    MIGRATION_BLOCKED: {
      status: 500,
      message: "The rows in the database do not fit the new schema",
      hint: "Mend the rows with the old version of the application, or make the field optional",
    },
  });
