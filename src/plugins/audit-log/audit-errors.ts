// The codes of the audit log.

import { defineErrors, type ErrorFactory } from "../../core/errors.ts";

export const auditError: ErrorFactory<
  | "AUDIT_HEAD_MISSING"
  | "AUDIT_PLACE_TAKEN"
  | "AUDIT_NO_KEY"
  | "AUDIT_NO_FILES"
  | "AUDIT_FILE_UNWRITABLE"
  | "AUDIT_ENTRY_NOT_FOUND"
  | "AUDIT_PROOF_GONE"
  | "AUDIT_EXPORT_INVALID"
> = defineErrors({
  AUDIT_HEAD_MISSING: {
    status: 500,
    message: "The audit log has lost its head, so nothing can be recorded",
    hint: "Run `pylon audit verify`; restore the table _pylon_audit_head from a backup",
  },
  AUDIT_PLACE_TAKEN: {
    status: 500,
    message:
      "Somebody else has changed the rows of the audit log: the next entry cannot have its place, so nothing is recorded",
    hint: "Run `pylon audit verify`; it names the row",
  },
  AUDIT_NO_KEY: {
    status: 409,
    message: "The audit log has no key for checkpoints",
    hint: "Set signing_key_env or log_key_env in the configuration of audit_log",
  },
  AUDIT_NO_FILES: {
    status: 500,
    message: "checkpoint_file is set, and this platform has no files",
    hint: "Leave checkpoint_file out",
  },
  AUDIT_FILE_UNWRITABLE: {
    status: 500,
    message: "Cannot append to the checkpoint_file",
    hint: "Check that its folder exists and can be written, or leave checkpoint_file out",
  },
  AUDIT_ENTRY_NOT_FOUND: { status: 404, message: "The audit log has no such entry" },
  AUDIT_PROOF_GONE: {
    status: 404,
    message: "The entries that this proof needs were removed by retention",
    hint: "Proofs for what is retained still work",
  },
  AUDIT_EXPORT_INVALID: { status: 500, message: "This is no export of an audit log" },
});
