// The codes that the deliveries' routes raise.

import { defineErrors, type ErrorFactory } from "../../core/errors.ts";

export const webhookError: ErrorFactory<"DELIVERY_PENDING"> = defineErrors({
  DELIVERY_PENDING: { status: 409, message: "The delivery is not finished" },
});
