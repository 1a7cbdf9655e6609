// The codes that a store raises.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const storeError: ErrorFactory<
  | "STORE_CLOSED"
  | "STORE_BUSY"
  | "STORE_FULL"
  | "STORE_FAILED"
  | "STORE_UNWRITABLE"
  | "STORE_TOO_OLD"
  | "STORE_NEWER"
  | "STORE_UNAVAILABLE"
  | "STORE_REFUSED"
  | "STORE_UNCERTAIN"
  | "TX_ENDED"
> = defineErrors({
  STORE_CLOSED: { status: 503, message: "The store is closed", hint: "The process is shutting down: try again" },
  STORE_BUSY: { status: 503, message: "The database is busy", hint: "Nothing was written: try again" },
  STORE_FULL: { status: 507, message: "The disk is full", hint: "Free space; nothing was written" },
  STORE_FAILED: { status: 500, message: "The database refused" },
  STORE_UNWRITABLE: { status: 500, message: "Cannot write the database" },
  STORE_TOO_OLD: { status: 500, message: "The database software is too old" },
  STORE_NEWER: {
    status: 500,
    message: "The database was written by a newer version of Pylon",
    hint: "Run the version that wrote it, or a newer one; this one changes nothing",
  },
  STORE_UNAVAILABLE: {
    status: 503,
    message: "The database cannot be reached",
    hint: "Nothing was written: try again",
  },
  STORE_REFUSED: {
    status: 500,
    message: "The database server does not let Pylon in",
    hint: "Check user, password and database name in DATABASE_URL",
  },
  STORE_UNCERTAIN: {
    status: 503,
    message: "The connection was lost while the transaction was being committed",
    hint: "It may have been written: look before trying again, or use an Idempotency-Key",
  },
  TX_ENDED: { status: 500, message: "Cannot use a transaction after it has ended" },
});
