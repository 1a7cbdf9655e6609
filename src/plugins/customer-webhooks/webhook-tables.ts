// What webhooks to customers store beside their entities: events as they are sent, secrets, and how endpoints are doing.

import type { TableSpec } from "../../store/store.ts";

/** One row per event and application; `body` is sent as it stands, by every attempt to every endpoint. */
export const EVENTS = "_pylon_webhook_events";
/** Live secrets of endpoints, and those that still sign until their grace ends. */
export const SECRETS = "_pylon_webhook_secrets";
/** Endpoints (by id) whose attempts have all failed since a moment. */
export const HEALTH = "_pylon_webhook_health";

export const webhookTables: readonly TableSpec[] = [
  {
    name: EVENTS,
    columns: [
      { name: "applicationId", type: "text" },
      { name: "eventId", type: "text" },
      { name: "type", type: "text" },
      { name: "body", type: "text" },
      /** The only endpoint that it is for; null for all that want it. */
      { name: "target", type: "text" },
      /** Whether deliveries to some endpoints are still to be scheduled. */
      { name: "waiting", type: "bool" },
      { name: "createdAt", type: "int" },
    ],
    indexes: [
      { name: `${EVENTS}_application`, columns: ["applicationId", "createdAt"], unique: false },
      { name: `${EVENTS}_waiting`, columns: ["applicationId", "waiting"], unique: false },
      { name: `${EVENTS}_created`, columns: ["createdAt"], unique: false },
    ],
  },
  {
    name: SECRETS,
    columns: [
      { name: "endpointId", type: "text" },
      { name: "sealed", type: "text" },
      { name: "createdAt", type: "int" },
      /** When it stops signing; null for the current one. */
      { name: "expiresAt", type: "int" },
    ],
    indexes: [{ name: `${SECRETS}_endpoint`, columns: ["endpointId"], unique: false }],
  },
  { name: HEALTH, columns: [{ name: "failingSince", type: "int" }], indexes: [] },
];
