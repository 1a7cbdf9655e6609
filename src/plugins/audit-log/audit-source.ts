// Where a verifier reads a log from: a live database, a backup, or an exported folder. Nothing of it is trusted.

import type { Reader } from "../../store/store.ts";
import type { AuditEntry } from "./audit-entry.ts";
import { AUDIT_LOG, CHECKPOINT_TABLE, firstCheckpointId, noteOf, toEntry } from "./audit-tables.ts";
import { type ReadTile, tileReader } from "./audit-tiles.ts";
import { type Head, readHead } from "./audit-tree.ts";
import type { PackedTile } from "./packed-tile.ts";

export interface StoredCheckpoint {
  readonly id: string;
  readonly note: string;
}

export interface AuditSource {
  /** Whether everything is read as it was at one moment. Otherwise the log may grow while it is read. */
  readonly isSnapshot: boolean;
  /** Entries below this place are not part of it: an export may begin anywhere. */
  readonly startsAt: number;
  /** Undefined when there is no log. */
  readHead(): Promise<Head | undefined>;
  /** The smallest place that an entry has; undefined when none has one. */
  firstSeq(): Promise<number | undefined>;
  /** Entries with a place from `from` on, in the order of their places. */
  readEntries(from: number): AsyncIterable<readonly AuditEntry[]>;
  /** Places that entries have and no entry can have: below 0, or too large to be one. A few of them tell enough. */
  readMisplaced(): Promise<readonly number[]>;
  /** Entries that wait for their place. */
  readPending(): AsyncIterable<readonly AuditEntry[]>;
  readTile: ReadTile;
  /** Where a source can write out entries by itself. Undefined when that takes a closer look. */
  readPacked?(index: number): Promise<PackedTile | undefined>;
  /** Over trees of `from` leaves and more, in the order of their ids. */
  readCheckpoints(from: number): AsyncIterable<StoredCheckpoint>;
}

const PAGE = 1_000;

/** A log in a store, which may grow while it is read. */
export function storeSource(reader: Reader): AuditSource {
  const bySeq = { column: "seq", descending: false };
  const pageFrom = async (from: number): Promise<AuditEntry[]> => {
    const where = [{ column: "seq", op: "gte", value: from } as const];
    return (await reader.find(AUDIT_LOG, { where, order: bySeq, limit: PAGE })).map(toEntry);
  };
  return {
    isSnapshot: false,
    startsAt: 0,
    readHead: () => readHead(reader),
    async firstSeq() {
      const where = [{ column: "seq", op: "gte", value: 0 } as const];
      const [first] = await reader.find(AUDIT_LOG, { where, order: bySeq, limit: 1 });
      return (first && toEntry(first).seq) ?? undefined;
    },
    async *readEntries(from) {
      for (let next = from; ;) {
        const page = await pageFrom(next);
        if (page.length > 0) yield page;
        if (page.length < PAGE) return;
        next = (page.at(-1)?.seq ?? next) + 1;
      }
    },
    async readMisplaced() {
      const below = { column: "seq", op: "lt", value: 0 } as const;
      const above = { column: "seq", op: "gt", value: Number.MAX_SAFE_INTEGER } as const;
      const found = [below, above].map((condition) => reader.find(AUDIT_LOG, { where: [condition], limit: PAGE }));
      return (await Promise.all(found)).flat().map(({ seq }) => Number(seq));
    },
    async *readPending() {
      const where = [{ column: "seq", op: "eq", value: null } as const];
      for (let after: string | undefined; ;) {
        const behind = after === undefined ? {} : { after: { value: null, id: after } };
        const page = (await reader.find(AUDIT_LOG, { where, limit: PAGE, ...behind })).map(toEntry);
        if (page.length > 0) yield page;
        if (page.length < PAGE) return;
        after = page.at(-1)?.id;
      }
    },
    readTile: tileReader(reader),
    async *readCheckpoints(from) {
      for (let after = firstCheckpointId(from); ;) {
        const where = [{ column: "id", op: "gte", value: after } as const];
        const page = await reader.find(CHECKPOINT_TABLE.name, { where, limit: PAGE });
        for (const row of page) yield { id: row.id, note: noteOf(row) };
        if (page.length < PAGE) return;
        // The smallest text that is larger.
        after = `${page.at(-1)?.id ?? ""}\u0001`;
      }
    },
  };
}
