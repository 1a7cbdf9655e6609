// The event types that an application declares: what may be dispatched, and how it is described to those who receive it.

import type { Problem } from "../../core/errors.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { readWithSchema } from "../../manifest/schema-problems.ts";
import type { OutgoingWebhook } from "../../plugin/plugin.ts";
import { compilePayload } from "./payload-schema.ts";
import { SYSTEM_TYPES } from "./event-type.ts";
import type { CustomerWebhooksConfig } from "./webhooks-config.ts";

const MAX_PROBLEMS = 20;

export interface EventCatalogue {
  /** Whether `type` may be dispatched. Everything may when the application declares nothing. */
  has(type: string): boolean;
  /** What is wrong with the payload of an event. */
  check(type: string, data: Json): readonly Problem[];
}

export function createCatalogue(types: CustomerWebhooksConfig["eventTypes"]): EventCatalogue {
  if (!types) return { has: () => true, check: () => [] };
  const schemas = new Map(
    Object.entries(types).flatMap(([type, { schema }]) => {
      const compiled = schema && compilePayload(schema);
      return compiled ? [[type, compiled] as const] : [];
    }),
  );
  return {
    has: (type) => Object.hasOwn(types, type) || SYSTEM_TYPES.includes(type),
    check(type, data) {
      const schema = schemas.get(type);
      const read = schema && readWithSchema(schema, data, { at: ["data"], unknownKey: "Unknown field" });
      return !read || read.ok ? [] : read.problems.slice(0, MAX_PROBLEMS);
    },
  };
}

const TEXT = { type: "string" } as const;

/** What every delivery carries (Standard Webhooks); the `svix-*` names say the same. */
function headersOf(toleranceSecs: number): OutgoingWebhook["headers"] {
  const described = {
    id: { description: "The event, the same for every attempt: a key for what was handled already", schema: TEXT },
    timestamp: {
      description: `Unix seconds of this attempt; refuse it when it is more than ${toleranceSecs} seconds away`,
      schema: TEXT,
    },
    signature: {
      description: "One entry per live secret, separated by spaces: v1,<base64> or v1a,<base64>",
      schema: TEXT,
    },
  };
  const named = (prefix: string): OutgoingWebhook["headers"] =>
    Object.fromEntries(Object.entries(described).map(([name, header]) => [prefix + name, header]));
  return { ...named("webhook-"), ...named("svix-") };
}

/** The declared types for the OpenAPI document. */
export function describeTypes(config: CustomerWebhooksConfig): Readonly<Record<string, OutgoingWebhook>> {
  const headers = headersOf(config.replayToleranceSecs);
  const describe = (type: string, description: string, data: JsonObject): OutgoingWebhook => ({
    summary: description || type,
    headers,
    body: {
      type: "object",
      required: ["id", "type", "occurredAt", "data"],
      properties: { id: TEXT, type: { const: type }, occurredAt: { ...TEXT, format: "date-time" }, data },
    },
  });
  return Object.fromEntries(
    Object.entries(config.eventTypes ?? {}).map(([type, { description, schema = {} }]) => [
      type,
      describe(type, description, schema),
    ]),
  );
}
