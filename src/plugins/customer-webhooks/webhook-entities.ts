// The entities of webhooks to customers: endpoints, which customers manage, and attempts, which they can only read. Both
// belong to one tenant. An application may declare them itself, with fields or policies of its own.

import type { Problem } from "../../core/errors.ts";
import { entity, field, policy } from "../../manifest/dsl.ts";
import type { EntityDef, PolicyDef } from "../../manifest/manifest.ts";

/** Named by the seeds. */
export const ENDPOINT = "WebhookEndpoint";
export const ATTEMPT = "WebhookAttempt";

export const endpointEntity: EntityDef = entity(
  ENDPOINT,
  {
    applicationId: field.string(),
    url: field.string(),
    /** Always null in the row: secrets have a table of their own. */
    secret: field.string().optional(),
    eventTypes: field.json().optional(),
    headers: field.json().optional(),
    disabled: field.bool().optional(),
    maxPerSecond: field.float().optional(),
    maxConcurrent: field.int().optional(),
    ordered: field.bool().optional(),
    createdAt: field.datetime().optional(),
  },
  { indexes: [{ name: "by_application", fields: ["applicationId"] }] },
);

export const attemptEntity: EntityDef = entity(
  ATTEMPT,
  {
    applicationId: field.string(),
    endpointId: field.string(),
    eventId: field.string(),
    eventType: field.string(),
    url: field.string(),
    attempt: field.int(),
    status: field.string(),
    httpStatus: field.int().optional(),
    error: field.string().optional(),
    durationMs: field.int().optional(),
    responseBody: field.string().optional(),
    scheduledAt: field.datetime(),
    deliveredAt: field.datetime().optional(),
    nextAttemptAt: field.datetime().optional(),
  },
  {
    indexes: [
      { name: "by_delivery", fields: ["endpointId", "eventId"] },
      { name: "by_application", fields: ["applicationId"] },
      { name: "by_time", fields: ["scheduledAt"] },
    ],
  },
);

/** Seed: `auth.tenantId == data.applicationId or auth.is_admin`. */
const OWN = "auth.tenantId == data.applicationId or auth.is_admin";

export const webhookEntities: readonly EntityDef[] = [endpointEntity, attemptEntity];
export const webhookPolicies: readonly PolicyDef[] = [
  policy({ name: "webhook_endpoint_tenant", entity: ENDPOINT, allow: OWN }),
  policy({ name: "webhook_attempt_tenant", entity: ATTEMPT, allowRead: OWN }),
];

function missingFields(declared: EntityDef, needed: EntityDef): Problem[] {
  const types = new Map(declared.fields.map(({ name, type }) => [name, type]));
  return needed.fields
    .filter(({ name, type }) => types.get(name) !== type)
    .map(({ name, type }) => ({
      path: "entities",
      message: `The application's ${declared.name} needs the field ${name} of type ${type}: use webhooks().manifest.entities`,
    }));
}

function surplusFields(declared: EntityDef, needed: EntityDef): Problem[] {
  const known = new Set(needed.fields.map(({ name }) => name));
  return declared.fields
    .filter(({ name, optional }) => !known.has(name) && !optional && declared.name === ATTEMPT)
    .map(({ name }) => ({
      path: "entities",
      message: `The application's ${declared.name} cannot require the field ${name}: Pylon would not know it`,
    }));
}

/** What keeps the application's own declarations from being used. */
export function checkDeclared(entities: readonly EntityDef[]): Problem[] {
  return webhookEntities.flatMap((needed) => {
    const declared = entities.find(({ name }) => name === needed.name);
    return declared ? [...missingFields(declared, needed), ...surplusFields(declared, needed)] : [];
  });
}
