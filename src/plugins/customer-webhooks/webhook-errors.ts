// The codes that webhooks to customers raise.

import { defineErrors, type ErrorFactory } from "../../core/errors.ts";

export const customerWebhookError: ErrorFactory<
  | "NO_APPLICATION"
  | "WEBHOOKS_OFF"
  | "WEBHOOKS_CONFIG_FOREIGN"
  | "WEBHOOKS_DECLARED_TWICE"
  | "DISPATCH_OUTSIDE"
  | "EVENT_INVALID"
  | "EVENT_TYPE_UNKNOWN"
  | "EVENT_TOO_LARGE"
  | "EVENT_EXPIRED"
  | "ENDPOINT_INVALID"
  | "ENDPOINT_DISABLED"
  | "DELIVERY_IN_ORDER"
  | "TOO_MANY_SECRETS"
  | "SECRET_UNREADABLE"
> = defineErrors({
  NO_APPLICATION: {
    status: 400,
    message: "It is not known which application the event belongs to",
    hint: "Give applicationId, or call as a member of an organisation",
  },
  WEBHOOKS_OFF: {
    status: 500,
    message: "This application does not declare webhooks to its customers",
    hint: "Call webhooks() where the application is declared and put its manifest into app()",
  },
  WEBHOOKS_CONFIG_FOREIGN: {
    status: 500,
    message: "The config handed to dispatch has other settings than the application's customer_webhooks plugin",
    hint: "Call webhooks() once, export what it gives and hand on its config; where the manifest names the plugin, give webhooks() the same settings",
  },
  WEBHOOKS_DECLARED_TWICE: {
    status: 500,
    message: "An application declares webhooks to its customers once",
    hint: "Export what webhooks() gives from one file and import it elsewhere",
  },
  DISPATCH_OUTSIDE: {
    status: 500,
    message: "Cannot dispatch outside of a function",
    hint: "Hand on the ctx of the mutation or action, or use POST /api/webhook-events",
  },
  EVENT_INVALID: { status: 400, message: "The event does not fit" },
  EVENT_TYPE_UNKNOWN: {
    status: 400,
    message: "There is no such event type",
    hint: "Add it to eventTypes of webhooks()",
  },
  EVENT_TOO_LARGE: { status: 413, message: "The event is too large", hint: "Send ids instead of whole entities" },
  EVENT_EXPIRED: { status: 410, message: "The event is not stored any more" },
  ENDPOINT_INVALID: { status: 400, message: "The endpoint does not fit" },
  ENDPOINT_DISABLED: {
    status: 409,
    message: "The endpoint is disabled",
    hint: "Set disabled to false first",
  },
  DELIVERY_IN_ORDER: { status: 409, message: "The delivery keeps its place in the endpoint's order" },
  TOO_MANY_SECRETS: {
    status: 409,
    message: "Too many earlier secrets still sign",
    hint: "Wait for a grace period to end, or rotate with graceSecs 0",
  },
  SECRET_UNREADABLE: {
    status: 500,
    message: "The endpoint's secret cannot be read",
    hint: "Start with the PYLON_SECRET_KEY that it was stored with, or rotate the secret",
  },
});
