// What the audit log stores: the entity `AuditLog`, and beside it the tree over its entries and the signed checkpoints.

import type { EntityDef } from "../../manifest/manifest.ts";
import type { Row, TableSpec } from "../../store/store.ts";
import type { AuditEntry } from "./audit-entry.ts";

/** Named by the seeds. */
export const AUDIT_LOG = "AuditLog";

const required = { optional: false, unique: false };
const optional = { optional: true, unique: false };

export const auditLogEntity: EntityDef = {
  name: AUDIT_LOG,
  fields: [
    { name: "actorId", type: "id(User)", ...optional },
    { name: "entity", type: "string", ...required },
    { name: "rowId", type: "string", ...required },
    { name: "operation", type: "string", ...required },
    { name: "before", type: "string", ...optional },
    { name: "after", type: "string", ...optional },
    { name: "signature", type: "string", ...optional },
    { name: "createdAt", type: "datetime", ...required },
    { name: "seq", type: "int", ...optional },
    { name: "logId", type: "string", ...required },
    { name: "salt", type: "string", ...optional },
    { name: "payloadHash", type: "string", ...required },
    { name: "actorType", type: "string", ...required },
    { name: "tenantId", type: "string", ...optional },
    { name: "requestId", type: "string", ...optional },
  ],
  indexes: [
    { name: "by_seq", fields: ["seq"], unique: true },
    { name: "by_row", fields: ["rowId"], unique: false },
  ],
  // Entries are written and verified in the order of their places.
  clusteredBy: "seq",
};

export function toEntry(row: Row): AuditEntry {
  return row as unknown as AuditEntry;
}

export function toRow(entry: AuditEntry): Row {
  return entry as unknown as Row;
}

/** One row: which log this is, how many leaves its tree has, and the roots of the complete subtrees. */
export const HEAD_TABLE: TableSpec = {
  name: "_pylon_audit_head",
  columns: [
    { name: "logId", type: "text" },
    { name: "size", type: "int" },
    { name: "frontier", type: "blob" },
  ],
  indexes: [],
};
export const HEAD_ID = "head";

/**
 * The nodes of the tree, 64 to a row. A tile of level 0 holds leaves, and the request ids of their entries, which the
 * entries' own signatures do not cover: `seal` signs them.
 */
export const TILE_TABLE: TableSpec = {
  name: "_pylon_audit_tiles",
  columns: [
    { name: "hashes", type: "blob" },
    { name: "requests", type: "text" },
    { name: "seal", type: "text" },
  ],
  indexes: [],
};

/** Signed notes, by the size of their tree. */
export const CHECKPOINT_TABLE: TableSpec = {
  name: "_pylon_audit_checkpoints",
  columns: [{ name: "note", type: "text" }],
  indexes: [],
};

/** The signed note of a row of checkpoints. */
export function noteOf(row: Row): string {
  const { note } = row;
  return typeof note === "string" ? note : "";
}

const CHECKPOINT_DIGITS = 16;

/** Sorts by size. */
export function checkpointId(size: number): string {
  return String(size).padStart(CHECKPOINT_DIGITS, "0");
}

/** Where to look for checkpoints of `size` leaves and more. From the beginning, even ids that are none are found. */
export function firstCheckpointId(size: number): string {
  return size === 0 ? "" : checkpointId(size);
}

export const AUDIT_TABLES: readonly TableSpec[] = [HEAD_TABLE, TILE_TABLE, CHECKPOINT_TABLE];
