// The audit log of a SQLite file, read as it was at one moment, while others may write it. Rows are read one after the other,
// so that memory does not grow with the log.

import { isUtf8 } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { type AuditEntry, ENTRY_FORMAT } from "../plugins/audit-log/audit-entry.ts";
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
import { TILE_WIDTH, tileId, toTile } from "../plugins/audit-log/audit-tiles.ts";
import { toHead } from "../plugins/audit-log/audit-tree.ts";
import { FIRST_MARK, type PackedTile } from "../plugins/audit-log/packed-tile.ts";

export interface AuditFile {
  readonly source: AuditSource;
  close(): void;
}

const BATCH = 512;
/** The log's own id is the same in every row, so it is read where it is not: a text less for each entry. */
const COLUMNS = ["id", ...auditLogEntity.fields.map(({ name }) => name)]
  .map((name) => (name === "logId" ? "nullif(coalesce(logId, ''), ?1) AS logId" : `"${name}"`))
  .join(", ");
/** Writes out a tile as `PackedTile` has it. A signature that is no text is left out. */
function packedSql(from: string): string {
  return `SELECT
    CAST(group_concat(concat(
      seq - ?1 + ${FIRST_MARK}, json_array(salt, before, after), '\n',
      json_array('${ENTRY_FORMAT}', logId, id, actorType, actorId, tenantId, entity, rowId, operation, payloadHash, createdAt),
      '\n', iif(typeof(signature) = 'text', signature, ''), '\n'), '') AS BLOB) AS bytes,
    json_group_array(coalesce(requestId, '')) AS requests
    FROM ${from} WHERE seq BETWEEN ?1 AND ?1 + ${TILE_WIDTH - 1}`;
}

/** Undefined where the database refuses: that is reported by whoever reads the same entry by entry. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

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

/** Where entries are read from, always from the table's own rows: an index that holds all columns could say something else. */
interface Entries {
  readonly from: string;
  /** Whether rows are found by their places. Otherwise each question reads all of them. */
  readonly hasPlaces: boolean;
}

function findEntries(db: DatabaseSync): Entries {
  const index = `${AUDIT_LOG}_by_seq`;
  const rowId = db.prepare("SELECT name FROM pragma_table_info(?) WHERE pk = 1 AND type = 'INTEGER'").get(AUDIT_LOG);
  const whole = db.prepare(`SELECT group_concat(part.name) AS columns
    FROM pragma_index_list(?) AS made, pragma_index_info(made.name) AS part WHERE made.name = ? AND made.partial = 0`);
  // The places are the rowids, or as earlier versions made it, what an index of their own is over.
  if (rowId?.["name"] === "seq") return { from: `"${AUDIT_LOG}" NOT INDEXED`, hasPlaces: true };
  const isIndexed = whole.get(AUDIT_LOG, index)?.["columns"] === "seq";
  return { from: `"${AUDIT_LOG}" ${isIndexed ? `INDEXED BY "${index}"` : "NOT INDEXED"}`, hasPlaces: isIndexed };
}

/** Reads packed tiles. Undefined when the database does not have what that takes. */
function createPacker(db: DatabaseSync, entries: Entries): ((index: number) => PackedTile | undefined) | undefined {
  const statement = attempt(() => (entries.hasPlaces ? db.prepare(packedSql(entries.from)) : undefined));
  if (!statement) return undefined;
  return (index) => {
    // A bigint, for a number would make places fractions.
    const { bytes, requests } = attempt(() => statement.get(BigInt(index * TILE_WIDTH))) ?? {};
    // Where entries are read, something else stands in the place of what is no UTF-8.
    const isText = bytes instanceof Uint8Array && typeof requests === "string" && isUtf8(bytes);
    return isText ? { bytes, requests } : undefined;
  };
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
  const entries = findEntries(db);
  const pack = createPacker(db, entries);
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
      const sql = `SELECT min(seq) AS seq FROM ${entries.from} WHERE seq BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`;
      return (db.prepare(sql).get() as { seq: number | null }).seq ?? undefined;
    },
    async *readEntries(from) {
      if (!has(AUDIT_LOG)) return;
      const logId = headLogId();
      const where = `WHERE seq BETWEEN ?2 AND ${Number.MAX_SAFE_INTEGER}`;
      const rows = db.prepare(`SELECT ${COLUMNS} FROM ${entries.from} ${where} ORDER BY seq`).iterate(logId, from);
      yield* batches(rows, logId);
    },
    async readMisplaced() {
      if (!has(AUDIT_LOG)) return [];
      // A number that is too large to read exactly is told as nearly as possible; what is no number counts as larger than all.
      const sql = `SELECT CAST(seq AS REAL) AS seq FROM ${entries.from}
        WHERE seq < 0 OR seq > ${Number.MAX_SAFE_INTEGER} ORDER BY "${AUDIT_LOG}".seq LIMIT ${BATCH}`;
      return db
        .prepare(sql)
        .all()
        .map((row) => Number(row["seq"]));
    },
    async *readPending() {
      if (!has(AUDIT_LOG)) return;
      const logId = headLogId();
      const sql = `SELECT ${COLUMNS} FROM ${entries.from} WHERE seq IS NULL ORDER BY id`;
      yield* batches(db.prepare(sql).iterate(logId), logId);
    },
    async readTile(level, index) {
      const row = tileSql?.get(tileId(level, index)) as SqlRow | undefined;
      return row && toTile(row);
    },
    ...(pack && { readPacked: async (index: number) => pack(index) }),
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
