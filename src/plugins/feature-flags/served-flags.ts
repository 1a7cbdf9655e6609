// The flags that a process answers from: one immutable set at a time, so that a change is a single assignment and no
// request sees half of it. What goes over the wire is made beforehand, for every answer that a flag can give.

import { compileFlag, type CompiledFlag } from "./compile-flag.ts";
import type { PatternEngine } from "./condition-operators.ts";
import type { Evaluation, FlagContext, FlagReason } from "./evaluation.ts";
import type { StoredChanges } from "./flag-changes.ts";
import type { FlagDefinition } from "./flag-definition.ts";
import { flagError } from "./flag-errors.ts";
import type { FlagUse } from "./flag-use.ts";
import { parseSchedule, type Schedule } from "./schedule.ts";

export interface ServedFlag {
  readonly flag: CompiledFlag;
  readonly stored: StoredChanges | null;
  readonly use: FlagUse;
  /** `"name":true` and `"name":false`, by outcome. */
  readonly plain: readonly string[];
  /** The success of the evaluation protocol as JSON, by outcome. */
  readonly remote: readonly string[];
}

export interface FlagSet {
  /** Another for other definitions; says nothing about what they are. */
  readonly version: string;
  /** Epoch milliseconds. */
  readonly since: number;
  readonly flags: readonly ServedFlag[];
  readonly byName: ReadonlyMap<string, ServedFlag>;
  /** Those that change answers as time goes by. */
  readonly schedules: readonly Schedule[];
}

/** OFREP's schema has no DEFAULT; its servers say UNKNOWN of what nothing decided. */
const WIRE_REASONS: Readonly<Record<FlagReason, string>> = {
  STATIC: "STATIC",
  TARGETING_MATCH: "TARGETING_MATCH",
  SPLIT: "SPLIT",
  DISABLED: "DISABLED",
  DEFAULT: "UNKNOWN",
};

/** What anybody may be told: the answer and why in one word, never what the rules are. */
function renderRemote(name: string, answer: Evaluation, version: string): string {
  const { value, variant, reason, targetingKeyMissing } = answer;
  return JSON.stringify({
    key: name,
    value,
    reason: WIRE_REASONS[reason],
    variant: variant ?? (value ? "on" : "off"),
    metadata: targetingKeyMissing ? { version, targetingKeyMissing } : { version },
  });
}

export interface FlagSource {
  readonly name: string;
  readonly definition: FlagDefinition;
  readonly stored: StoredChanges | null;
}

export interface FlagSetOptions {
  readonly version: string;
  readonly since: number;
  readonly engine: PatternEngine;
  /** The counters of a flag, kept from one set to the next. */
  readonly useOf: (name: string) => FlagUse;
}

/** @throws FLAG_INVALID for a pattern that is only found out by its engine */
function compile(name: string, definition: FlagDefinition, engine: PatternEngine): CompiledFlag {
  try {
    return compileFlag(name, definition, engine);
  } catch (error) {
    throw flagError("FLAG_INVALID", {
      message: `The flag "${name}" has a pattern that is not in RE2 syntax`,
      hint: "https://github.com/google/re2/wiki/Syntax says what is",
      cause: error,
    });
  }
}

function serveFlag({ name, definition, stored }: FlagSource, { version, engine, useOf }: FlagSetOptions): ServedFlag {
  const flag = compile(name, definition, engine);
  const key = JSON.stringify(name);
  return {
    flag,
    stored,
    use: useOf(name),
    plain: flag.outcomes.map(({ value }) => `${key}:${value}`),
    remote: flag.outcomes.map((answer) => renderRemote(name, answer, version)),
  };
}

/** What moves the answers of a flag; null for one that is off or stands still. */
function movementOf({ enabled, schedule }: FlagDefinition): Schedule | null {
  const parsed = enabled ? parseSchedule(schedule) : null;
  return parsed === null || parsed.fromRollout === parsed.toRollout ? null : parsed;
}

/** @throws FLAG_INVALID */
export function createFlagSet(sources: readonly FlagSource[], options: FlagSetOptions): FlagSet {
  const flags = sources.map((source) => serveFlag(source, options));
  const byName = new Map(flags.map((served) => [served.flag.name, served]));
  const schedules = sources.map(({ definition }) => movementOf(definition)).filter((schedule) => schedule !== null);
  return { version: options.version, since: options.since, flags, byName, schedules };
}

/** One answer, counted. */
export function answerFlag({ flag, use }: ServedFlag, context: FlagContext): Evaluation {
  use.evaluations += 1;
  use.lastMs = context.nowMs;
  return flag.evaluate(context);
}

/** The answers of all flags, as JSON fragments, and a tag that is the same for the same answers of the same version. */
export interface Bulk {
  readonly parts: readonly string[];
  readonly tag: string;
}

/** Two lanes of 32 bits over the places of the answers, so that two sets of answers share a tag once in 2^64. */
export function answerAll(set: FlagSet, form: "plain" | "remote", context: FlagContext): Bulk {
  const parts: string[] = [];
  let [left, right] = [0, 1];
  for (const served of set.flags) {
    const { index } = answerFlag(served, context);
    parts.push(served[form][index] as string);
    left = Math.imul(left ^ index ^ (left >>> 15), 0x85ebca6b) + 1;
    right = Math.imul(right ^ index ^ (right >>> 13), 0xc2b2ae35) + 1;
  }
  return { parts, tag: `${set.version}-${(left >>> 0).toString(36)}-${(right >>> 0).toString(36)}` };
}
