// The codes that the HTTP layer itself raises.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const httpError: ErrorFactory<
  | "PAYLOAD_TOO_LARGE"
  | "BODY_INCOMPLETE"
  | "DRAINING"
  | "ADMIN_ONLY"
  | "IDEMPOTENCY_MISMATCH"
  | "IDEMPOTENCY_IN_PROGRESS"
  | "IDEMPOTENCY_ANSWER_SECRET"
  | "UNSUPPORTED_MEDIA_TYPE"
> = defineErrors({
  PAYLOAD_TOO_LARGE: { status: 413, message: "The body is too large", hint: "PYLON_MAX_BODY_BYTES sets the limit" },
  BODY_INCOMPLETE: { status: 400, message: "The body did not arrive" },
  DRAINING: { status: 503, message: "This process is shutting down", hint: "Try again: another one answers" },
  ADMIN_ONLY: { status: 403, message: "Only an administrator may do this", hint: "Send the admin token" },
  IDEMPOTENCY_MISMATCH: { status: 422, message: "This Idempotency-Key was used for another request" },
  IDEMPOTENCY_IN_PROGRESS: { status: 409, message: "The first request with this Idempotency-Key is still running" },
  IDEMPOTENCY_ANSWER_SECRET: {
    status: 409,
    message: "The first request with this Idempotency-Key was carried out; its answer held a secret and is not kept",
    hint: "Read the secret where it can be read again, or make another one with another key",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    message: "Only JSON bodies are read here",
    hint: "Send Content-Type: application/json",
  },
});
