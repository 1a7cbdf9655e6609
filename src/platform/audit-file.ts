// The audit log of a SQLite file, read as it was at one moment, while others may write it. Rows are read one after the other,
// so that memory does not grow with the log.

import { DatabaseSync } from "node:sqlite";
import type { AuditEntry } from "../plugins/audit-log/audit-entry.ts";
import type { AuditSource } from "../plugins/audit-log/audit-source.ts";
import {
  AUDIT_LOG,
  auditLogEntity,
  CHECKPOINT_TABLE,
  firstCheckpointId,
  HEAD_ID,
  HEAD_TABLE,
  TILE_TABLE,
} from "../plugins/audit-log/audit-tables.ts";
import { tileId, toTile } from "../plugins/audit-log/audit-tiles.ts";
import { toHead } from "../plugins/audit-log/audit-tree.ts";

export interface AuditFile {
  readonly source: AuditSource;
  close(): void;
}

const BATCH = 512;
/** The log's own id is the same in every row, so it is read where it is not: a text less for each entry. */
const COLUMNS = ["id", ...auditLogEntity.fields.map(({ name }) => name)]
  .map((name) => (name === "logId" ? "nullif(coalesce(logId, ''), ?1) AS logId" : `"${name}"`))
  .join(", ");
type SqlRow = Readonly<Record<string, unknown>>;

interface StoredEntry extends Omit<AuditEntry, "logId"> {
  logId: string | null;
}

function* batches(rows: Iterable<unknown>, logId: string): Generator<readonly AuditEntry[]> {
  let batch: AuditEntry[] = [];
  for (const row of rows) {
    const entry = row as StoredEntry;
    entry.logId ??= logId;
    batch.push(entry as AuditEntry);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function createSource(db: DatabaseSync): AuditSource {
  const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[];
  const has = (table: string): boolean => names.some(({ name }) => name === table);
  const get = (table: string, columns: string, id: string): SqlRow | undefined =>
    has(table) ? db.prepare(`SELECT ${columns} FROM "${table}" WHERE id = ?`).get(id) : undefined;
  const tileSql = has(TILE_TABLE.name)
    ? db.prepare(`SELECT hashes, requests, seal FROM "${TILE_TABLE.name}" WHERE id = ?`)
    : undefined;
  const headLogId = (): string => {
    const row = get(HEAD_TABLE.name, "logId", HEAD_ID);
    return typeof row?.logId === "string" ? row.logId : "";
  };
  return {
    isSnapshot: true,
    startsAt: 0,
    async readHead() {
      // A number that was made too large to read is text here.
      const row = get(HEAD_TABLE.name, "logId, CAST(size AS TEXT) AS size, frontier", HEAD_ID);
      return row && toHead(row);
    },
    async firstSeq() {
      if (!has(AUDIT_LOG)) return undefined;
      const sql = `SELECT min(seq) AS seq FROM "${AUDIT_LOG}" WHERE seq BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`;
      return (db.prepare(sql).get() as { seq: number | null }).seq ?? undefined;
    },
    async *readEntries(from) {
      if (!has(AUDIT_LOG)) return;
      const logId = headLogId();
      const where = `WHERE seq BETWEEN ?2 AND ${Number.MAX_SAFE_INTEGER}`;
      const rows = db.prepare(`SELECT ${COLUMNS} FROM "${AUDIT_LOG}" ${where} ORDER BY seq`).iterate(logId, from);
      yield* batches(rows, logId);
    },
    async *readPending() {
      if (!has(AUDIT_LOG)) return;
      const logId = headLogId();
      const sql = `SELECT ${COLUMNS} FROM "${AUDIT_LOG}" WHERE seq IS NULL ORDER BY id`;
      yield* batches(db.prepare(sql).iterate(logId), logId);
    },
    async readTile(level, index) {
      const row = tileSql?.get(tileId(level, index)) as SqlRow | undefined;
      return row && toTile(row);
    },
    async *readCheckpoints(from) {
      const { name } = CHECKPOINT_TABLE;
      if (!has(name)) return;
      const sql = `SELECT id, coalesce(note, '') AS note FROM "${name}" WHERE id >= ? ORDER BY id`;
      for (const row of db.prepare(sql).iterate(firstCheckpointId(from))) yield row as { id: string; note: string };
    },
  };
}

/** @throws what SQLite says of a file that is no database */
export function openAuditFile(path: string): AuditFile {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    db.exec("PRAGMA busy_timeout = 5000");
    // Every read from here on sees the same commit.
    db.exec("BEGIN");
    return { source: createSource(db), close: () => db.close() };
  } catch (error) {
    db.close();
    throw error;
  }
}
