// The codes that signing and verifying raise.
import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const cryptoError: ErrorFactory<"WEBHOOK_SECRET_INVALID" | "WEBHOOK_MESSAGE_INVALID"> = defineErrors({
  WEBHOOK_SECRET_INVALID: {
    status: 400,
    message: "The webhook secret is malformed",
    hint: "Expected whsec_ and padded base64 of the key, whsk_ and base64 of an Ed25519 key, or any other text as the key",
  },
  WEBHOOK_MESSAGE_INVALID: { status: 400, message: "The webhook message cannot be signed" },
});
