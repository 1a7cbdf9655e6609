// The codes that reading a manifest and its policies raises.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const manifestError: ErrorFactory<"MANIFEST_INVALID" | "POLICY_INVALID"> = defineErrors({
  MANIFEST_INVALID: {
    status: 500,
    message: "The manifest does not fit",
    hint: "Every problem is listed with its path",
  },
  POLICY_INVALID: { status: 500, message: "The rule does not parse" },
});
