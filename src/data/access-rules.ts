// What an entity's policies say to one operation. No rule means denied; several mean all; admin is above them.

import type { Identity } from "../core/identity.ts";
import type { EntityDef, PolicyDef } from "../manifest/manifest.ts";
import { compileRule } from "../manifest/policy/evaluate-rule.ts";
import { parseRule } from "../manifest/policy/parse-rule.ts";
import { pushdown } from "../manifest/policy/pushdown.ts";
import type { Rule } from "../manifest/policy/rule.ts";
import type { Condition, Row } from "../store/store.ts";

export type Operation = "read" | "insert" | "update" | "delete";

/** The rows that a rule sees: `data` as it is or would be, `existing` as it was. */
export interface RuleRows {
  readonly data: Readonly<Record<string, unknown>>;
  readonly existing: Row | null;
}

export interface AccessRules {
  /** Whether any policy speaks of the operation; if none does, only admin may. */
  governs(operation: Operation): boolean;
  allows(operation: Operation, actor: Identity, rows: RuleRows): boolean;
  /** Conditions that every row fulfils which the actor may read; undefined when there can be none. */
  narrow(actor: Identity): readonly Condition[] | undefined;
}

type CompiledRule = (scope: { auth: Identity; data: RuleRows["data"] | null; existing: Row | null }) => boolean;

/** The keys that answer for an operation, most specific first. */
const RULE_KEYS = {
  read: ["allowRead", "allow"],
  insert: ["allowInsert", "allowWrite", "allow"],
  update: ["allowUpdate", "allowWrite", "allow"],
  delete: ["allowDelete", "allowWrite", "allow"],
} as const satisfies Record<Operation, readonly (keyof PolicyDef)[]>;

function rulesFor(policies: readonly PolicyDef[], operation: Operation): Rule[] {
  return policies.flatMap((policy) => {
    const key = RULE_KEYS[operation].find((name) => policy[name] !== undefined);
    const text = key && policy[key];
    return text === undefined ? [] : [parseRule(text)];
  });
}

/** @throws POLICY_INVALID when a rule does not parse; a parsed manifest has none. */
export function compileAccessRules(entity: EntityDef, policies: readonly PolicyDef[]): AccessRules {
  const readRules = rulesFor(policies, "read");
  const compiled = (operation: Operation): CompiledRule[] =>
    rulesFor(policies, operation).map((rule) => compileRule(rule));
  const rules: Readonly<Record<Operation, readonly CompiledRule[]>> = {
    read: compiled("read"),
    insert: compiled("insert"),
    update: compiled("update"),
    delete: compiled("delete"),
  };
  return {
    governs: (operation) => rules[operation].length > 0,
    allows(operation, actor, { data, existing }) {
      if (actor.isAdmin) return true;
      if (rules[operation].length === 0) return false;
      const scope = { auth: actor, data, existing };
      return rules[operation].every((rule) => rule(scope));
    },
    narrow(actor) {
      if (actor.isAdmin) return [];
      const conditions: Condition[] = [];
      for (const rule of readRules) {
        const narrowed = pushdown(rule, actor, entity);
        if (!narrowed) return undefined;
        conditions.push(...narrowed);
      }
      return conditions;
    },
  };
}
