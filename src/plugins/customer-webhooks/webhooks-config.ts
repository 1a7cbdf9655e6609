// The configuration of webhooks to customers (seed: `webhooks({...})`), the same from TypeScript and from JSON.

import { z } from "zod";
import { canonicalJson } from "../../core/canonical-json.ts";
import { isJson, isObject, type Json, type JsonObject } from "../../core/json.ts";
import { readWithSchema } from "../../manifest/schema-problems.ts";
import { isValidator, type Validator } from "../../functions/validators.ts";
import { isEventType } from "./event-type.ts";
import { compilePayload } from "./payload-schema.ts";

/** Seconds before attempts 2 to 8 (seed). */
const DEFAULT_SCHEDULE: readonly number[] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400];
const DAY_SECS = 86_400;
const MAX_RETRIES = 100;

export interface EventTypeOptions {
  readonly description?: string | undefined;
  /** Of the payload: JSON Schema, or a validator of `v`. */
  readonly schema?: JsonObject | Validator | undefined;
}

/** What an application gives. */
export interface WebhooksOptions {
  /** Seconds between attempts. @default [5, 300, 1800, 7200, 18000, 36000, 50400] */
  readonly retrySchedule?: readonly number[] | undefined;
  /** What receivers are told to allow between their time and a timestamp. @default 300 */
  readonly replayToleranceSecs?: number | undefined;
  /** How long events and finished attempts are kept. @default 30 */
  readonly attemptRetentionDays?: number | undefined;
  /** When given, nothing else can be dispatched. */
  readonly eventTypes?: Readonly<Record<string, EventTypeOptions>> | undefined;
}

/** The same with everything filled in: plain data. */
export interface CustomerWebhooksConfig {
  readonly retrySchedule: readonly number[];
  readonly replayToleranceSecs: number;
  readonly attemptRetentionDays: number;
  readonly eventTypes?: Readonly<Record<string, EventTypeConfig>> | undefined;
}

export interface EventTypeConfig {
  readonly description: string;
  readonly schema?: JsonObject | undefined;
}

function isSchema(value: unknown): value is JsonObject {
  return isObject(value) && isJson(value) && compilePayload(value) !== undefined;
}

const eventTypeSchema = z.strictObject({
  description: z.string().max(1_000).default(""),
  schema: z
    .preprocess(
      (value) => (isValidator(value) ? value.jsonSchema : value),
      z.custom<JsonObject>(isSchema, { error: "Expected a JSON Schema that can be checked, or a validator of v" }),
    )
    .optional(),
});

/** What `webhooks()` takes. */
export const webhooksOptions: z.ZodType<CustomerWebhooksConfig> = z
  .strictObject({
    /** Seconds between attempts; behind the last one a delivery is dead. */
    retrySchedule: z
      .array(
        z
          .number()
          .min(0)
          .max(30 * DAY_SECS),
      )
      .max(MAX_RETRIES)
      .default([...DEFAULT_SCHEDULE]),
    /** What receivers are told to allow between their time and a timestamp. */
    replayToleranceSecs: z.number().int().min(1).max(DAY_SECS).default(300),
    /** How long events and finished attempts are kept. */
    attemptRetentionDays: z.number().min(1).max(3_650).default(30),
    /** When given, nothing else can be dispatched. */
    eventTypes: z
      .record(z.string().refine(isEventType, "Expected a type such as invoice.paid"), eventTypeSchema)
      .optional(),
  })
  .refine(
    ({ retrySchedule, attemptRetentionDays }) =>
      retrySchedule.reduce((sum, delay) => sum + delay, 0) <= attemptRetentionDays * DAY_SECS,
    { path: ["attemptRetentionDays"], message: "The retry schedule takes longer than attempts are kept" },
  );

/** Where `webhooks()` puts its settings, so that they stay apart from those of a manifest that are merged with them. */
export const DECLARED = "webhooks()";

/** The same text for the same settings, in whatever order they were given. */
function textOf(config: CustomerWebhooksConfig): string {
  return canonicalJson(JSON.parse(JSON.stringify(config)) as Json);
}

/** Whether a value that was handed to `dispatch` says the same as the settings that count. */
export function isSameConfig(given: unknown, config: CustomerWebhooksConfig): boolean {
  const parsed = webhooksOptions.safeParse(given);
  return parsed.success && textOf(parsed.data) === textOf(config);
}

function differing(a: CustomerWebhooksConfig, b: CustomerWebhooksConfig): string[] {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])] as (keyof CustomerWebhooksConfig)[];
  return keys.filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]) && !isSameConfig(a, b));
}

/** The plugin's configuration: from a manifest, from `webhooks()`, or from both when they say the same. */
export const customerWebhooksConfig: z.ZodType<CustomerWebhooksConfig> = z
  .record(z.string(), z.unknown())
  .transform((given, context) => {
    const { [DECLARED]: declared, ...listed } = given;
    const parse = (value: unknown): CustomerWebhooksConfig | undefined => {
      const read = readWithSchema(webhooksOptions, value);
      if (read.ok) return read.value;
      for (const { path, message } of read.problems)
        context.addIssue({ code: "custom", path: path === "" ? [] : [path], message });
      return undefined;
    };
    const code = declared === undefined ? undefined : parse(declared);
    // A manifest that only names the plugin leaves the settings to the code.
    const counts = code && Object.keys(listed).length === 0 ? code : parse(listed);
    if (!counts) return z.NEVER;
    const keys = code ? differing(counts, code) : [];
    if (keys.length > 0) {
      const message = `The settings here and those of webhooks() in the code differ (${keys.join(", ")}): give both the same, or say them in one place`;
      context.addIssue({ code: "custom", message });
    }
    return counts;
  });
