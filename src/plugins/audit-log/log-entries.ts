// Entries that the log writes about itself: what was erased, and what retention has removed. Both are entries like any
// other, so a verifier learns of them from the log alone.

import { isObject } from "../../core/json.ts";
import type { AuditEntry } from "./audit-entry.ts";
import { AUDIT_LOG } from "./audit-tables.ts";

export const REDACT = "redact";
export const CUT = "cut";

/** The `after` of a redaction. */
export interface Redaction {
  readonly reason: string;
  /** Ids of the entries whose payload was erased. */
  readonly entries: readonly string[];
}

/** The `after` of a cut: everything below `before` may be gone. */
export interface Cut {
  /** A tree size. */
  readonly before: number;
  /** The root of the tree of that size, base64. */
  readonly root: string;
}

function parse(text: string | null): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined when the entry records no redaction. */
export function redactionOf({ operation, after }: AuditEntry): Redaction | undefined {
  if (operation !== REDACT) return undefined;
  const { reason, entries } = parse(after) ?? {};
  if (typeof reason !== "string" || !Array.isArray(entries)) return undefined;
  return { reason, entries: entries.filter((id): id is string => typeof id === "string") };
}

/** Undefined when the entry records no cut. */
export function cutOf({ operation, entity, after }: AuditEntry): Cut | undefined {
  if (operation !== CUT || entity !== AUDIT_LOG) return undefined;
  const { before, root } = parse(after) ?? {};
  return typeof before === "number" && typeof root === "string" ? { before, root } : undefined;
}
