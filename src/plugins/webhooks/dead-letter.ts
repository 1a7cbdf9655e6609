// The entity of deliveries that were given up: the application can read it, only Pylon writes it.

import type { EntityDef } from "../../manifest/manifest.ts";

/** Named by the seeds. */
export const DEAD_LETTER = "WebhookDelivery";

const required = { optional: false, unique: false };
const optional = { optional: true, unique: false };

export const deadLetterEntity: EntityDef = {
  name: DEAD_LETTER,
  fields: [
    { name: "deliveryId", type: "string", optional: false, unique: true },
    { name: "hook", type: "string", ...required },
    { name: "url", type: "string", ...required },
    { name: "entity", type: "string", ...required },
    { name: "rowId", type: "string", ...required },
    { name: "event", type: "string", ...required },
    { name: "payload", type: "json", ...required },
    { name: "attempts", type: "int", ...required },
    { name: "lastStatus", type: "int", ...optional },
    { name: "lastError", type: "string", ...optional },
    { name: "status", type: "string", ...required },
    { name: "createdAt", type: "datetime", ...required },
    { name: "failedAt", type: "datetime", ...required },
  ],
  indexes: [],
};
