// What administrators have changed, as rows of an entity: so the audit log, webhooks and the API see each change like any
// other write. A row holds only the keys that were changed; everything else keeps following the configuration.

import type { EntityDef } from "../../manifest/manifest.ts";
import { toTableSpec } from "../../manifest/tables.ts";
import type { Reader, Row } from "../../store/store.ts";
import { FLAG_KEYS, flagChanges, type FlagChanges, type FlagDefinition, MAX_FLAGS } from "./flag-definition.ts";

export const FLAG_ENTITY = "FeatureFlag";

export const flagEntity: EntityDef = {
  name: FLAG_ENTITY,
  fields: [
    { name: "name", type: "string", optional: false, unique: true },
    /** The changed keys; null for one that was taken away. */
    { name: "changes", type: "json", optional: false, unique: false },
    { name: "updatedBy", type: "string", optional: true, unique: false },
    { name: "updatedAt", type: "datetime", optional: false, unique: false },
  ],
  indexes: [],
};

const TABLE = toTableSpec(flagEntity).name;
/** Flags may leave the configuration and keep their row for the day they come back. */
const MAX_ROWS = MAX_FLAGS * 10;

/** The changes of one flag. */
export interface StoredChanges {
  readonly rowId: string;
  readonly changes: FlagChanges;
  readonly updatedBy: string | null;
  /** ISO 8601. */
  readonly updatedAt: string;
  /** Keys that do not fit any more, such as those of a newer version; they are left out of `changes`. */
  readonly unreadable: readonly string[];
}

/** Variants as pairs: the order of weights counts, and a database may sort the keys of an object. */
export function encodeChanges(changes: FlagChanges): Record<string, unknown> {
  const { variants, ...others } = changes;
  if (variants === undefined) return others;
  return { ...others, variants: variants === null ? null : Object.entries(variants) };
}

function decodeKey(key: string, value: unknown): unknown {
  return key === "variants" && Array.isArray(value) ? Object.fromEntries(value as [string, unknown][]) : value;
}

/** Both are columns of text. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Each key by itself, so that one that does not fit cannot take a kill switch with it. */
export function decodeChanges(row: Row): StoredChanges {
  const stored = typeof row.changes === "object" && row.changes !== null ? row.changes : {};
  const unreadable: string[] = [];
  let changes: FlagChanges = {};
  for (const [key, value] of Object.entries(stored)) {
    const parsed = flagChanges.safeParse({ [key]: decodeKey(key, value) });
    if (parsed.success) changes = { ...changes, ...parsed.data };
    else unreadable.push(key);
  }
  return {
    rowId: row.id,
    changes,
    updatedBy: typeof row.updatedBy === "string" ? row.updatedBy : null,
    updatedAt: textOf(row.updatedAt),
    unreadable,
  };
}

/** All stored changes, by the flag's name. */
export async function readChanges(reader: Reader): Promise<Map<string, StoredChanges>> {
  const rows = await reader.find(TABLE, { limit: MAX_ROWS });
  return new Map(rows.map((row) => [textOf(row.name), decodeChanges(row)]));
}

/** A configured flag with what was changed about it. */
export function applyChanges(configured: FlagDefinition, changes: FlagChanges): FlagDefinition {
  const merged: Record<string, unknown> = { ...configured };
  for (const key of FLAG_KEYS) {
    const value = changes[key];
    if (value === null) delete merged[key];
    else if (value !== undefined) merged[key] = value;
  }
  return merged as FlagDefinition;
}

/** A percentage set by hand ends the schedule that would have decided instead. */
export function completeChanges(changes: FlagChanges): FlagChanges {
  return typeof changes.rollout === "number" && changes.schedule === undefined
    ? { ...changes, schedule: null }
    : changes;
}
