// The codes that flags raise.

import { defineErrors, type ErrorFactory } from "../../core/errors.ts";

export const flagError: ErrorFactory<"FLAG_INVALID" | "FLAG_CONTEXT_INVALID" | "FLAG_NOT_FOUND" | "STREAMS_EXHAUSTED"> =
  defineErrors({
    FLAG_INVALID: { status: 400, message: "The definition of the flag does not fit" },
    FLAG_CONTEXT_INVALID: {
      status: 400,
      message: "Cannot evaluate a flag for this",
      hint: "{ nowMs: Date.now() } is nobody in particular; userId says who it is",
    },
    FLAG_NOT_FOUND: {
      status: 404,
      message: "There is no such flag",
      hint: "Flags are declared in the configuration of the feature_flags plugin; GET /api/admin/flags lists them",
    },
    STREAMS_EXHAUSTED: { status: 503, message: "This process has as many event streams open as it takes" },
  });
