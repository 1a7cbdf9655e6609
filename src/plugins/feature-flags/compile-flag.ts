// A flag made ready: lists become sets, patterns and versions are parsed, thresholds computed, and every answer that the
// flag can give exists already. Deciding allocates nothing, never throws, and depends on nothing but its arguments.

import { createPrefixHash, type PrefixHash } from "../../crypto/murmur3.ts";
import { OPERATORS, type PatternEngine, type Test } from "./condition-operators.ts";
import type { Evaluation, FlagContext, FlagReason } from "./evaluation.ts";
import type { FlagDefinition } from "./flag-definition.ts";
import { parseSchedule, rolloutAt, type Schedule } from "./schedule.ts";

/** As many values as a hash has. */
const HASHES = 2 ** 32;

/** The answers of one outcome: without a variant, and with each. */
interface Family {
  readonly plain: Evaluation;
  /** In the order of the weights. */
  readonly byVariant: readonly Evaluation[];
}

interface Condition {
  readonly read: (context: FlagContext) => unknown;
  readonly test: Test;
}

/** A part of the users. */
interface Share {
  /** Those whose hash is below it: 0 for nobody, 2^32 for everybody. */
  readonly threshold: number;
  /** What they get. */
  readonly on: Family;
}

/** Turns a part of those on who match. */
interface Rule extends Share {
  readonly conditions: readonly Condition[];
}

export interface CompiledFlag {
  readonly name: string;
  readonly definition: FlagDefinition;
  /** Every answer that it can give, by `index`. */
  readonly outcomes: readonly Evaluation[];
  evaluate(context: FlagContext): Evaluation;
}

interface Outcomes {
  readonly all: Evaluation[];
  add(answer: Pick<Evaluation, "value" | "reason"> & Partial<Evaluation>): Evaluation;
  family(reason: FlagReason): Family;
}

function createOutcomes(variants: readonly string[]): Outcomes {
  const all: Evaluation[] = [];
  const add: Outcomes["add"] = (answer) => {
    const outcome = Object.freeze({ variant: null, targetingKeyMissing: false, ...answer, index: all.length });
    all.push(outcome);
    return outcome;
  };
  const family = (reason: FlagReason): Family => ({
    plain: add({ value: true, reason }),
    byVariant: variants.map((variant) => add({ value: true, reason, variant })),
  });
  return { all, add, family };
}

/** What a rule may look at under the names of an identity; a caller's own attributes never stand for these. */
const IDENTITY_ATTRIBUTES: Readonly<Record<string, (context: FlagContext) => unknown>> = {
  userId: (context) => context.userId,
  targetingKey: (context) => context.userId,
  tenantId: (context) => context.tenantId,
  email: (context) => context.email,
  roles: (context) => context.roles,
  isAdmin: (context) => context.isAdmin === true,
};

function ownValue(owner: unknown, key: string): unknown {
  return typeof owner === "object" && owner !== null && Object.hasOwn(owner, key)
    ? (owner as Record<string, unknown>)[key]
    : undefined;
}

function readerOf(attribute: string): (context: FlagContext) => unknown {
  if (Object.hasOwn(IDENTITY_ATTRIBUTES, attribute)) return IDENTITY_ATTRIBUTES[attribute] as Condition["read"];
  const path = attribute.split(".");
  return ({ attributes }) => ownValue(attributes, attribute) ?? path.reduce<unknown>(ownValue, attributes);
}

type RuleText = NonNullable<FlagDefinition["rules"]>[number];
type ConditionText = RuleText["if"][number];

function compileCondition(given: ConditionText, engine: PatternEngine): Condition {
  const test = OPERATORS[given.op].compile(given, engine);
  return { read: readerOf(given.attribute), test: given.not ? (attribute) => !test(attribute) : test };
}

function thresholdOf(percentage: number): number {
  return (percentage / 100) * HASHES;
}

function compileRules(rules: readonly RuleText[], outcomes: Outcomes, engine: PatternEngine): Rule[] {
  return rules.map((rule) => {
    const reason = rule.rollout === undefined ? "TARGETING_MATCH" : "SPLIT";
    const fixed = rule.variant;
    return {
      conditions: rule.if.map((condition) => compileCondition(condition, engine)),
      threshold: rule.enabled ? thresholdOf(rule.rollout ?? 100) : 0,
      on:
        fixed === undefined
          ? outcomes.family(reason)
          : { plain: outcomes.add({ value: true, reason, variant: fixed }), byVariant: [] },
    };
  });
}

function holds(rule: Rule, context: FlagContext): boolean {
  for (const { read, test } of rule.conditions) if (!test(read(context))) return false;
  return true;
}

/** An empty text is an id like any other. */
function isKnown(id: string | null | undefined): id is string {
  return id !== null && id !== undefined;
}

function setOf(ids: readonly string[] | undefined): ReadonlySet<string> | null {
  return ids && ids.length > 0 ? new Set(ids) : null;
}

type Chooser = (family: Family, userId: string) => Evaluation;

/** Chooses among weights by a hash of its own, so that raising a rollout moves nobody to another variant. */
function createChooser(variants: Readonly<Record<string, number>>, hash: PrefixHash): Chooser {
  let total = 0;
  const ends = Object.values(variants).map((weight) => (total += weight));
  return ({ plain, byVariant }, userId) => {
    if (byVariant.length === 0) return plain;
    const point = (hash.hash(userId) / HASHES) * total;
    for (let index = 0; index < ends.length; index++)
      if (point < (ends[index] as number)) return byVariant[index] as Evaluation;
    return plain;
  };
}

/** The answers that do not depend on the rules. Made in a fixed order, so that an `index` means the same in each process. */
function createAnswers(outcomes: Outcomes) {
  return {
    disabled: outcomes.add({ value: false, reason: "DISABLED" }),
    unmatched: outcomes.add({ value: false, reason: "DEFAULT" }),
    outside: outcomes.add({ value: false, reason: "SPLIT" }),
    ruledOut: outcomes.add({ value: false, reason: "TARGETING_MATCH" }),
    keyless: outcomes.add({ value: false, reason: "DEFAULT", targetingKeyMissing: true }),
    everybody: outcomes.family("STATIC"),
    listed: outcomes.family("TARGETING_MATCH"),
    inside: outcomes.family("SPLIT"),
  } as const;
}

/** A definition in the form in which it is decided. */
interface Plan {
  readonly enabled: boolean;
  readonly users: ReadonlySet<string> | null;
  readonly tenants: ReadonlySet<string> | null;
  readonly rules: readonly Rule[];
  readonly schedule: Schedule | null;
  /** Null without a rollout. */
  readonly rollout: Share | null;
  /** Whether somebody is named. An empty list is a list: it names nobody. */
  readonly isTargeted: boolean;
  readonly bucket: PrefixHash;
  readonly choose: Chooser;
  readonly answers: ReturnType<typeof createAnswers>;
}

function planFlag(
  { name, definition }: Pick<CompiledFlag, "name" | "definition">,
  outcomes: Outcomes,
  engine: PatternEngine,
): Plan {
  const { salt = name, variants = {}, rules = [], users, tenants, rollout } = definition;
  const answers = createAnswers(outcomes);
  return {
    enabled: definition.enabled,
    users: setOf(users),
    tenants: setOf(tenants),
    rules: compileRules(rules, outcomes, engine),
    schedule: parseSchedule(definition.schedule),
    rollout: rollout === undefined ? null : { threshold: thresholdOf(rollout), on: answers.inside },
    isTargeted: users !== undefined || tenants !== undefined || rules.length > 0,
    bucket: createPrefixHash(`${salt}:`),
    choose: createChooser(variants, createPrefixHash(`${salt}:variant:`)),
    answers,
  };
}

type UserId = FlagContext["userId"];

function pick({ choose }: Plan, family: Family, userId: UserId): Evaluation {
  return isKnown(userId) ? choose(family, userId) : family.plain;
}

function split(plan: Plan, { threshold, on }: Share, userId: UserId): Evaluation {
  if (threshold >= HASHES) return pick(plan, on, userId);
  if (!isKnown(userId)) return threshold > 0 ? plan.answers.keyless : plan.answers.outside;
  return plan.bucket.hash(userId) < threshold ? plan.choose(on, userId) : plan.answers.outside;
}

function isListed({ users, tenants }: Plan, { userId, tenantId }: FlagContext): boolean {
  if (users !== null && isKnown(userId) && users.has(userId)) return true;
  return tenants !== null && isKnown(tenantId) && tenants.has(tenantId);
}

/** What the rollout is at a moment; null without one. A schedule stands before a fixed one. */
function shareAt({ schedule, rollout, answers }: Plan, nowMs: number): Share | null {
  return schedule === null ? rollout : { threshold: thresholdOf(rolloutAt(schedule, nowMs)), on: answers.inside };
}

/** The kill switch, the lists, the rules, the rollout: the first that says something decides. */
function decide(plan: Plan, context: FlagContext): Evaluation {
  const { answers, rules } = plan;
  const { userId } = context;
  if (!plan.enabled) return answers.disabled;
  if (isListed(plan, context)) return pick(plan, answers.listed, userId);
  for (let index = 0; index < rules.length; index++) {
    const rule = rules[index] as Rule;
    if (holds(rule, context)) return rule.threshold === 0 ? answers.ruledOut : split(plan, rule, userId);
  }
  const share = shareAt(plan, context.nowMs);
  if (share !== null) return split(plan, share, userId);
  return plan.isTargeted ? answers.unmatched : pick(plan, answers.everybody, userId);
}

/** Compiles a definition that fits its schema. @throws what the engine throws for a pattern that it does not take */
export function compileFlag(name: string, definition: FlagDefinition, engine: PatternEngine): CompiledFlag {
  const outcomes = createOutcomes(Object.keys(definition.variants ?? {}));
  const plan = planFlag({ name, definition }, outcomes, engine);
  return { name, definition, outcomes: outcomes.all, evaluate: (context) => decide(plan, context) };
}
