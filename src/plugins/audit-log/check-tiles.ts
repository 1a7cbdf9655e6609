// Goes through the entries of a log by the tile and builds its tree again from them. What can be accepted a tile at a time is;
// everything else is looked at entry by entry. Where a row and the tree part, the tree is followed, so that one change is one
// finding.

import { type CompactRange, HASH_BYTES } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import type { Anchors } from "./anchors.ts";
import { type AuditEntry, type EntryKey, keyIdOf } from "./audit-entry.ts";
import type { Findings } from "./audit-report.ts";
import type { AuditSource } from "./audit-source.ts";
import { hashAt, holdsAt, type Tile, TILE_HEIGHT, TILE_WIDTH, type TileSeals } from "./audit-tiles.ts";
import type { Head } from "./audit-tree.ts";
import type { EntryCheck } from "./entry-check.ts";
import type { PackedCheck } from "./packed-tile.ts";
import type { UpperTiles } from "./upper-tiles.ts";

/** Tiles that are looked at closely in a row: about a batch of entries at first. */
const FIRST_STRETCH = 8;
const LAST_STRETCH = 1_024;

/** Everything that one verification works with. */
export interface Verification {
  readonly source: AuditSource;
  readonly head: Head;
  readonly sha256: Sha256;
  readonly findings: Findings;
  readonly entryKeys: ReadonlyMap<string, EntryKey>;
  readonly entries: EntryCheck;
  readonly packed: PackedCheck;
  readonly rootOfTile: (leaves: Uint8Array) => Uint8Array;
  readonly anchors: Anchors;
  readonly seals: TileSeals;
  readonly upper: UpperTiles;
  readonly range: CompactRange;
  /** The first place that is checked. */
  readonly from: number;
  /** A checkpoint from outside commits to everything below. */
  readonly coveredSize: number;
  /** When the entries at the last proven and the last place were written. */
  readonly times: { proven: string | null; newest: string | null };
}

/** Compares the request ids of a tile, and the seal over them. */
function checkRequests(run: Verification, index: number, tile: Tile, slots: readonly (AuditEntry | undefined)[]): void {
  const { findings, head, source } = run;
  const first = index * TILE_WIDTH;
  const width = Math.min(TILE_WIDTH, head.size - first);
  const lines = (tile.requests ?? "").split("\n");
  if (source.isSnapshot ? lines.length !== width : lines.length < width) findings.add("REQUEST_MISMATCH", first);
  let signature: string | null = null;
  for (let slot = 0; slot < width; slot++) {
    const entry = slots[slot];
    if (!entry) continue;
    signature = entry.signature;
    if ((entry.requestId ?? "") !== lines[slot]) findings.add("REQUEST_MISMATCH", first + slot);
  }
  if (tile.seal === null) {
    // Whoever signs the last entry seals the tile with it.
    if (signature !== null) findings.add("SEAL_BAD", first);
    return;
  }
  const keyId = keyIdOf(tile.seal);
  const key = run.entryKeys.get(keyId ?? "");
  if (key ? !run.seals.holds(key, index, tile) : keyId === undefined) findings.add("SEAL_BAD", first);
  else if (!key && first >= run.coveredSize)
    findings.add("UNKNOWN_KEY", first, { note: "of the seal over request ids" });
}

/** Checks one place. Answers the leaf that the tree has there, as far as that can be known. */
function checkLeaf(run: Verification, seq: number, entry: AuditEntry | undefined, tile: Tile | undefined): Uint8Array {
  const { findings, times } = run;
  const slot = seq % TILE_WIDTH;
  const leaf = entry && run.entries.check(entry);
  if (!entry) findings.add("ROW_MISSING", seq);
  if (entry && seq === run.coveredSize - 1) times.proven = entry.createdAt;
  if (entry) times.newest = entry.createdAt;
  if (leaf && tile && holdsAt(tile, slot, leaf)) return leaf;
  const stored = tile && hashAt(tile, slot);
  if (tile && (leaf || !stored)) findings.add("LEAF_MISMATCH", seq);
  return stored ?? leaf ?? new Uint8Array(HASH_BYTES);
}

/**
 * Checks the entries of a tile, and adds its leaves to the tree. Answers whether there is anything of it: a head that claims
 * what was never there must not be followed to its end.
 */
async function checkTile(
  run: Verification,
  index: number,
  slots: readonly (AuditEntry | undefined)[],
): Promise<boolean> {
  const { head, findings, range, anchors, source } = run;
  const first = index * TILE_WIDTH;
  const end = Math.min(first + TILE_WIDTH, head.size);
  const tile = await source.readTile(0, index);
  if (!tile && slots.length === 0) {
    findings.add("ROW_MISSING", first, { count: head.size - first });
    return false;
  }
  if (!tile) findings.add("TILE_MISSING", first);
  const isWatched = await anchors.reaches(end);
  for (let seq = Math.max(first, run.from); seq < end; seq++) {
    range.append(checkLeaf(run, seq, slots[seq - first], tile));
    if (isWatched) await anchors.compare(range.size, () => range.root());
  }
  if (tile) {
    const extra = tile.hashes.length - (end - first) * HASH_BYTES;
    if (source.isSnapshot ? extra !== 0 : extra < 0) findings.add("TILE_MISMATCH", first);
    checkRequests(run, index, tile, slots);
  }
  await run.upper.compare();
  return true;
}

/**
 * Whether a tile is intact as the source has packed it; then it is part of the tree. Never the last one: what stands behind
 * the end is found where entries are read.
 */
async function acceptTile(run: Verification, index: number): Promise<boolean> {
  const { source, head, anchors, range, times, coveredSize } = run;
  const [first, end] = [index * TILE_WIDTH, (index + 1) * TILE_WIDTH];
  if (!source.readPacked || first < run.from || end >= head.size) return false;
  const tile = await source.readTile(0, index);
  const packed = tile && (await source.readPacked(index));
  if (!packed || !run.packed.accepts(packed, tile)) return false;
  const key = run.entryKeys.get(keyIdOf(tile.seal ?? "") ?? "");
  if (!key || !run.seals.holds(key, index, tile)) return false;
  run.entries.countIntact(TILE_WIDTH);
  times.newest = run.packed.createdAt(packed, TILE_WIDTH - 1);
  if (first < coveredSize && coveredSize <= end) times.proven = run.packed.createdAt(packed, coveredSize - 1 - first);
  if (await anchors.reaches(end)) {
    for (let slot = 0; slot < TILE_WIDTH; slot++) {
      range.append(hashAt(tile, slot) as Uint8Array);
      await anchors.compare(range.size, () => range.root());
    }
  } else range.appendSubtree(TILE_HEIGHT, run.rootOfTile(tile.hashes).slice());
  await run.upper.compare();
  return true;
}

/**
 * Reads entries in order from a tile on and hands them over by the tile. Answers the tile to go on with, which is not below
 * `until`; undefined at the end.
 */
async function checkEntries(run: Verification, from: number, until: number): Promise<number | undefined> {
  const { source, head, findings } = run;
  let index = from;
  let slots: (AuditEntry | undefined)[] = [];
  const advanceTo = async (next: number): Promise<boolean> => {
    for (; index < next; index++) {
      if (!(await checkTile(run, index, slots))) return false;
      slots = [];
    }
    return true;
  };
  for await (const batch of source.readEntries(index * TILE_WIDTH)) {
    for (const entry of batch) {
      const seq: unknown = entry.seq;
      if (typeof seq !== "number" || !Number.isSafeInteger(seq) || seq < 0) {
        findings.add("ROW_UNEXPECTED", typeof seq === "number" ? seq : null, { note: "this is no place" });
        continue;
      }
      if (seq >= head.size) {
        if (source.isSnapshot) findings.add("ROW_UNEXPECTED", seq);
        continue;
      }
      const tile = Math.floor(seq / TILE_WIDTH);
      if (tile > index && !(await advanceTo(tile))) return undefined;
      if (index >= until) return index;
      if (slots[seq % TILE_WIDTH]) findings.add("ROW_DUPLICATE", seq);
      slots[seq % TILE_WIDTH] = entry;
    }
    if (!source.isSnapshot && (batch.at(-1)?.seq ?? 0) >= head.size) break;
  }
  await advanceTo(Math.ceil(head.size / TILE_WIDTH));
  return undefined;
}

/** Accepts tiles, and looks closely where that cannot be done: at more and more of them while there is nothing to accept. */
export async function checkTiles(run: Verification): Promise<void> {
  let index: number | undefined = Math.floor(run.from / TILE_WIDTH);
  for (let stretch = FIRST_STRETCH; index !== undefined;) {
    if (await acceptTile(run, index)) {
      index += 1;
      stretch = FIRST_STRETCH;
    } else {
      index = await checkEntries(run, index, run.source.readPacked ? index + stretch : Infinity);
      stretch = Math.min(stretch * 2, LAST_STRETCH);
    }
  }
}
