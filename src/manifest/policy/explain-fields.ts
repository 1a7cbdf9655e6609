// Which fields a rule asks about, so that a rule about a field that does not exist is found before it denies everyone.

import { partsOf, type Rule, type RowRoot } from "./rule.ts";

export interface FieldMention {
  readonly root: RowRoot;
  /** The field itself; `members` are the names behind it, for json fields. */
  readonly field: string;
  readonly members: readonly string[];
  /** Where the rule's text names it, in UTF-16 units. */
  readonly offset: number;
}

/** Every mention of a `data` or `existing` field, in the order of the text. */
export function explainFields(rule: Rule): FieldMention[] {
  if (rule.kind !== "field") return partsOf(rule).flatMap(explainFields);
  const [field, ...members] = rule.path;
  return [{ root: rule.root, field, members, offset: rule.offset }];
}

/** Whether the rule asks about the caller alone, so that one answer holds for every row. */
export function isRowFree(rule: Rule): boolean {
  return rule.kind !== "field" && partsOf(rule).every(isRowFree);
}
