// Removes entries that are older than the application keeps them. A cut is recorded before anything is removed, and the
// tree above the removed leaves stays, so that everything after the cut can still be proven.

import type { Clock } from "../../core/clock.ts";
import { SYSTEM } from "../../core/identity.ts";
import { encodeBase64 } from "../../crypto/base64.ts";
import { createTreeProofs } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import type { Store, Tx } from "../../store/store.ts";
import type { AuditConfig } from "./audit-config.ts";
import type { AuditLog } from "./audit-log.ts";
import { AUDIT_LOG, TILE_TABLE, toEntry } from "./audit-tables.ts";
import { nodesOf, TILE_WIDTH, tileId, tileReader } from "./audit-tiles.ts";
import { requireHead } from "./audit-tree.ts";
import { type Cut, CUT, cutOf } from "./log-entries.ts";

const DAY_MS = 86_400_000;

export interface RetentionOptions {
  readonly store: Store;
  readonly log: AuditLog;
  readonly sha256: Sha256;
  readonly clock: Clock;
  readonly config: AuditConfig;
}

/** The newest entry that is recorded as a cut. */
async function lastCut(tx: Tx, logId: string): Promise<Cut | undefined> {
  const where = [
    { column: "rowId", op: "eq", value: logId } as const,
    { column: "operation", op: "eq", value: CUT } as const,
  ];
  const [row] = await tx.find(AUDIT_LOG, { where, order: { column: "id", descending: true }, limit: 1 });
  return row && cutOf(toEntry(row));
}

/** The first tile whose leaves are all older than `horizon`; null when there is none. */
async function oldestTile(tx: Tx, horizon: string): Promise<number | null> {
  const [first] = await tx.find(AUDIT_LOG, {
    where: [{ column: "seq", op: "ne", value: null }],
    order: { column: "seq", descending: false },
    limit: 1,
  });
  const seq = first && toEntry(first).seq;
  if (seq === undefined || seq === null) return null;
  const tile = Math.floor(seq / TILE_WIDTH);
  const rows = await tx.find(AUDIT_LOG, {
    where: [
      { column: "seq", op: "gte", value: tile * TILE_WIDTH },
      { column: "seq", op: "lt", value: (tile + 1) * TILE_WIDTH },
    ],
    limit: TILE_WIDTH,
  });
  const isOld = rows.map(toEntry).every(({ createdAt }) => createdAt < horizon);
  // A tile that is not full is the log's end, which stays.
  return rows.some((row) => toEntry(row).seq === (tile + 1) * TILE_WIDTH - 1) && isOld ? tile : null;
}

async function recordCut({ log, sha256, clock }: RetentionOptions, tx: Tx, before: number): Promise<void> {
  const root = await createTreeProofs(sha256, nodesOf(sha256, tileReader(tx))).rangeHash(0, before);
  const cut: Cut = { before, root: encodeBase64(root) };
  await log.record(tx, {
    actor: SYSTEM,
    requestId: null,
    entity: AUDIT_LOG,
    rowId: log.logId,
    operation: CUT,
    before: null,
    after: JSON.stringify(cut),
    at: clock.now(),
  });
}

async function removeTile(tx: Tx, tile: number): Promise<number> {
  const where = [
    { column: "seq", op: "gte", value: tile * TILE_WIDTH } as const,
    { column: "seq", op: "lt", value: (tile + 1) * TILE_WIDTH } as const,
  ];
  const removed = await tx.deleteWhere(AUDIT_LOG, where, TILE_WIDTH);
  await tx.delete(TILE_TABLE.name, tileId(0, tile));
  return removed;
}

/** A sweep of the upkeep: removes whole tiles, the oldest first, in transactions of their own. */
export function createRetention(options: RetentionOptions): (limit: number) => Promise<number> {
  const { store, log, clock, config } = options;
  const { retention_days: days } = config;
  const removeOldest = (horizon: string): Promise<number> =>
    store.write(async (tx) => {
      const tile = await oldestTile(tx, horizon);
      if (tile === null) return 0;
      const known = await lastCut(tx, log.logId);
      // The cut is recorded first and removed from later: a crash between the two leaves more than it says, never less.
      if ((known?.before ?? 0) >= (tile + 1) * TILE_WIDTH) return removeTile(tx, tile);
      await recordCut(options, tx, await cutFor(tx, tile, horizon));
      return 1;
    });
  return async (limit) => {
    if (days === undefined) return 0;
    const horizon = new Date(clock.now() - days * DAY_MS).toISOString();
    let removed = 0;
    while (removed < limit) {
      const count = await removeOldest(horizon);
      if (count === 0) return removed;
      removed += count;
    }
    return removed;
  };
}

/** How far the entries from this tile on are older than `horizon`, in whole tiles. */
async function cutFor(tx: Tx, tile: number, horizon: string): Promise<number> {
  const [young] = await tx.find(AUDIT_LOG, {
    where: [
      { column: "seq", op: "gte", value: tile * TILE_WIDTH },
      { column: "createdAt", op: "gte", value: horizon },
    ],
    order: { column: "seq", descending: false },
    limit: 1,
  });
  const end = (young && toEntry(young).seq) ?? (await requireHead(tx)).size;
  return Math.max(Math.floor(end / TILE_WIDTH), tile + 1) * TILE_WIDTH;
}
