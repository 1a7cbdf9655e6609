// A flag made ready: lists become sets, patterns and versions are parsed, thresholds computed, and every answer that the
// flag can give exists already. Deciding allocates nothing, never throws, and depends on nothing but its arguments.

import { createPrefixHash, type PrefixHash } from "../../crypto/murmur3.ts";
import { OPERATORS, type PatternEngine, type Test } from "./condition-operators.ts";
import type { Evaluation, FlagContext, FlagReason } from "./evaluation.ts";
import type { FlagDefinition } from "./flag-definition.ts";
import { parseSchedule, rolloutAt } from "./schedule.ts";

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

interface Rule {
  readonly conditions: readonly Condition[];
  /** 0 for nobody, 2^32 for everybody who matches. */
  readonly threshold: number;
  /** What those get who are inside of the threshold. */
  readonly on: Family;
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

function compileCondition(
  given: NonNullable<FlagDefinition["rules"]>[number]["if"][number],
  engine: PatternEngine,
): Condition {
  const test = OPERATORS[given.op].compile(given, engine);
  return { read: readerOf(given.attribute), test: given.not ? (attribute) => !test(attribute) : test };
}

function thresholdOf(percentage: number): number {
  return (percentage / 100) * HASHES;
}

function compileRules(rules: NonNullable<FlagDefinition["rules"]>, outcomes: Outcomes, engine: PatternEngine): Rule[] {
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

/** Chooses among weights by a hash of its own, so that raising a rollout moves nobody to another variant. */
function createChooser(
  variants: Readonly<Record<string, number>>,
  hash: PrefixHash,
): (family: Family, userId: string) => Evaluation {
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

/** Compiles a definition that fits its schema. @throws what the engine throws for a pattern that it does not take */
export function compileFlag(name: string, definition: FlagDefinition, engine: PatternEngine): CompiledFlag {
  const { salt = name, variants = {}, rules = [], rollout } = definition;
  const outcomes = createOutcomes(Object.keys(variants));
  const disabled = outcomes.add({ value: false, reason: "DISABLED" });
  const unmatched = outcomes.add({ value: false, reason: "DEFAULT" });
  const outside = outcomes.add({ value: false, reason: "SPLIT" });
  const ruledOut = outcomes.add({ value: false, reason: "TARGETING_MATCH" });
  const keyless = outcomes.add({ value: false, reason: "DEFAULT", targetingKeyMissing: true });
  const [everybody, listed, inside] = [
    outcomes.family("STATIC"),
    outcomes.family("TARGETING_MATCH"),
    outcomes.family("SPLIT"),
  ];
  const compiledRules = compileRules(rules, outcomes, engine);

  const users = setOf(definition.users);
  const tenants = setOf(definition.tenants);
  const schedule = parseSchedule(definition.schedule);
  const threshold = thresholdOf(rollout ?? 0);
  const isSplit = schedule !== null || rollout !== undefined;
  /** An empty list is a list: it names nobody. */
  const isTargeted = definition.users !== undefined || definition.tenants !== undefined || rules.length > 0;
  const bucket = createPrefixHash(`${salt}:`);
  const choose = createChooser(variants, createPrefixHash(`${salt}:variant:`));

  const pick = (family: Family, userId: string | null | undefined): Evaluation =>
    isKnown(userId) ? choose(family, userId) : family.plain;
  const split = (limit: number, family: Family, userId: string | null | undefined): Evaluation => {
    if (limit >= HASHES) return pick(family, userId);
    if (!isKnown(userId)) return limit > 0 ? keyless : outside;
    return bucket.hash(userId) < limit ? choose(family, userId) : outside;
  };
  const applyRule = (rule: Rule, userId: string | null | undefined): Evaluation =>
    rule.threshold === 0 ? ruledOut : split(rule.threshold, rule.on, userId);

  return {
    name,
    definition,
    outcomes: outcomes.all,
    evaluate(context) {
      if (!definition.enabled) return disabled;
      const { userId, tenantId } = context;
      if (users !== null && isKnown(userId) && users.has(userId)) return pick(listed, userId);
      if (tenants !== null && isKnown(tenantId) && tenants.has(tenantId)) return pick(listed, userId);
      for (let index = 0; index < compiledRules.length; index++) {
        const rule = compiledRules[index] as Rule;
        if (holds(rule, context)) return applyRule(rule, userId);
      }
      if (!isSplit) return isTargeted ? unmatched : pick(everybody, userId);
      return split(schedule === null ? threshold : thresholdOf(rolloutAt(schedule, context.nowMs)), inside, userId);
    },
  };
}
