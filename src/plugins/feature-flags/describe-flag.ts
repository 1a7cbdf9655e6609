// A flag as administrators see it, with everything that decides it.

import type { StoredChanges } from "./flag-changes.ts";
import type { FlagDefinition } from "./flag-definition.ts";
import type { FlagUse } from "./flag-use.ts";
import { rolloutNow } from "./schedule.ts";

export interface DescribedFlag {
  readonly name: string;
  readonly definition: FlagDefinition;
  readonly stored: StoredChanges | null;
  readonly use: FlagUse;
}

/** `changed` names the keys whose stored value beats the configuration; absent keys are null. */
export function describeFlag({ name, definition, stored, use }: DescribedFlag, nowMs: number): Record<string, unknown> {
  const { enabled, rollout, users, tenants, salt, variants, schedule, rules, description } = definition;
  return {
    name,
    enabled,
    rollout: rollout ?? null,
    users: users ?? null,
    tenants: tenants ?? null,
    salt: salt ?? name,
    variants: variants ?? null,
    schedule: schedule ?? null,
    rules: rules ?? null,
    description: description ?? null,
    currentRollout: rolloutNow(definition, nowMs),
    changed: Object.keys(stored?.changes ?? {}),
    updatedBy: stored?.updatedBy ?? null,
    updatedAt: stored?.updatedAt ?? null,
    evaluations: use.evaluations,
    lastEvaluatedAt: use.lastMs === null ? null : new Date(use.lastMs).toISOString(),
  };
}
