// What a flag is, as configuration and as an administrator's change: schemas that refuse unknown keys and say what is
// wrong. Everything that is behind them is bounded.

import { z } from "zod";
import { OPERATORS, type OperatorName } from "./condition-operators.ts";
import { parseMoment } from "./schedule.ts";

export const MAX_FLAGS = 1_000;
const MAX_LISTED = 10_000;
const MAX_RULES = 50;
const MAX_CONDITIONS = 20;
const MAX_VALUES = 1_000;
const MAX_VARIANTS = 100;

const percentage = z.number().min(0).max(100);
/** Any text that can stand in a URL and in a log line. */
const name = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => !/[\p{Cc}\p{Cs}]/u.test(text), "Expected no control characters");
const id = z.string().min(1).max(256);
const scalar = z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()]);
const moment = z
  .string()
  .refine((text) => parseMoment(text) !== undefined, "Expected an ISO 8601 moment such as 2026-05-01T09:00:00Z");

const OPERATOR_NAMES = Object.keys(OPERATORS) as [OperatorName, ...OperatorName[]];

const condition = z
  .strictObject({
    /** `userId`, `tenantId`, `email`, `roles`, `isAdmin`, or one that the caller gives; dots lead into objects. */
    attribute: z.string().min(1).max(200),
    op: z.enum(OPERATOR_NAMES),
    value: scalar.optional(),
    values: z.array(scalar).max(MAX_VALUES).optional(),
    /** For text: upper and lower case are the same. */
    ignoreCase: z.boolean().default(false),
    /** Matches where the operator does not, a missing attribute included. */
    not: z.boolean().default(false),
  })
  .superRefine((given, context) => {
    const { takes, problem } = OPERATORS[given.op];
    const refuse = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
    if (given.value !== undefined && takes !== "value") refuse("value", `"${given.op}" takes no value`);
    if (given.values !== undefined && takes !== "values") refuse("values", `"${given.op}" takes no values`);
    const message = problem(given);
    if (message !== null) refuse(takes === "values" ? "values" : "value", message);
  });

const rule = z.strictObject({
  /** All must hold. */
  if: z.array(condition).min(1).max(MAX_CONDITIONS),
  /** What whoever matches gets. */
  enabled: z.boolean().default(true),
  /** Only this part of those who match, by the flag's own hash. */
  rollout: percentage.optional(),
  /** Instead of the one that the hash chooses. */
  variant: name.optional(),
});

const schedule = z
  .strictObject({ from: moment, to: moment, fromRollout: percentage, toRollout: percentage })
  .refine(({ from, to }) => (parseMoment(from) ?? 0) < (parseMoment(to) ?? 0), {
    path: ["to"],
    message: "Expected a moment after `from`",
  });

const variants = z
  .record(name, z.number().min(0).max(1_000_000))
  .refine((weights) => Object.keys(weights).length <= MAX_VARIANTS, `Expected at most ${MAX_VARIANTS} variants`)
  .refine((weights) => Object.values(weights).some((weight) => weight > 0), "Expected a weight above 0");

/** The keys of a flag one by one, for changes that set some of them. */
const FLAG_SHAPE = {
  enabled: z.boolean(),
  rollout: percentage.optional(),
  users: z.array(id).max(MAX_LISTED).optional(),
  tenants: z.array(id).max(MAX_LISTED).optional(),
  salt: z.string().min(1).max(200).optional(),
  variants: variants.optional(),
  schedule: schedule.optional(),
  rules: z.array(rule).max(MAX_RULES).optional(),
  description: z.string().max(2_000).optional(),
} as const;

interface Named {
  readonly variants?: Readonly<Record<string, number>> | undefined;
  readonly rules?: readonly { readonly variant?: string | undefined }[] | undefined;
}

/** A rule that gives a variant which the flag has not would give nothing. */
function checkVariants({ variants: weights = {}, rules = [] }: Named, context: z.RefinementCtx): void {
  for (const [index, { variant }] of rules.entries()) {
    if (variant === undefined || Object.hasOwn(weights, variant)) continue;
    const message = `The flag has no variant "${variant}"`;
    context.addIssue({ code: "custom", path: ["rules", index, "variant"], message });
  }
}

export const flagDefinition = z.strictObject(FLAG_SHAPE).superRefine(checkVariants);

/** A flag as configured. Absent keys do not count. */
export type FlagDefinition = z.infer<typeof flagDefinition>;
/** The same before defaults are filled in. */
export type FlagInput = z.input<typeof flagDefinition>;

export const featureFlagsConfig = z.strictObject({
  flags: z
    .record(name, flagDefinition)
    .refine((flags) => Object.keys(flags).length <= MAX_FLAGS, `Expected at most ${MAX_FLAGS} flags`)
    .default({}),
});

export type FeatureFlagsConfig = z.infer<typeof featureFlagsConfig>;

export type FlagKey = keyof typeof FLAG_SHAPE;
export const FLAG_KEYS = Object.keys(FLAG_SHAPE) as readonly FlagKey[];

const nullable = <Schema extends z.ZodType>(schema: Schema) => schema.nullable();

/** What an administrator may change. Null takes a key away, as if it had never been configured. */
export const flagChanges = z
  .strictObject({
    enabled: FLAG_SHAPE.enabled.optional(),
    rollout: nullable(FLAG_SHAPE.rollout),
    users: nullable(FLAG_SHAPE.users),
    tenants: nullable(FLAG_SHAPE.tenants),
    salt: nullable(FLAG_SHAPE.salt),
    variants: nullable(FLAG_SHAPE.variants),
    schedule: nullable(FLAG_SHAPE.schedule),
    rules: nullable(FLAG_SHAPE.rules),
    description: nullable(FLAG_SHAPE.description),
  })
  .refine((changes) => Object.keys(changes).length > 0, "Expected at least one key to change");

export type FlagChanges = z.infer<typeof flagChanges>;
