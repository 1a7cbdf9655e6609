// Compares the stored tiles above the leaves with the nodes of the tree that a verifier builds. Holds one tile of each level.

import { equalBytes } from "../../crypto/merkle-proof.ts";
import type { Findings } from "./audit-report.ts";
import type { AuditSource } from "./audit-source.ts";
import { hashAt, TILE_HEIGHT, TILE_WIDTH } from "./audit-tiles.ts";

export interface UpperTiles {
  /** A node is complete. */
  note(level: number, hash: Uint8Array): void;
  /** Compares the tiles that are full. */
  compare(): Promise<void>;
  /** Compares the others as well. */
  finish(): Promise<void>;
}

/** Nodes of one level of tiles, from `next - hashes.length` on. */
interface Level {
  next: number;
  hashes: Uint8Array[];
}

export interface UpperTilesOptions {
  readonly source: AuditSource;
  /** The first leaf that is added. */
  readonly from: number;
  readonly findings: Findings;
}

export function createUpperTiles({ source, from, findings }: UpperTilesOptions): UpperTiles {
  const levels = new Map<number, Level>();
  let isFull = false;

  const compareLevel = async (level: number, nodes: Level, isLast: boolean): Promise<void> => {
    while (nodes.hashes.length > 0) {
      const first = nodes.next - nodes.hashes.length;
      const slot = first % TILE_WIDTH;
      const room = TILE_WIDTH - slot;
      if (nodes.hashes.length < room && !isLast) return;
      const taken = nodes.hashes.splice(0, room);
      const index = Math.floor(first / TILE_WIDTH);
      const tile = await source.readTile(level, index);
      const seq = first * TILE_WIDTH ** level;
      if (!tile) findings.add("TILE_MISSING", seq);
      const bad = tile ? taken.findIndex((hash, at) => !equalBytes(hash, hashAt(tile, slot + at) ?? EMPTY)) : -1;
      if (bad >= 0) findings.add("TILE_MISMATCH", (first + bad) * TILE_WIDTH ** level);
      const extra = tile ? tile.hashes.length / 32 - (slot + taken.length) : 0;
      // What was put behind the end of a log that does not grow is not its own.
      if (bad < 0 && source.isSnapshot && extra !== 0) findings.add("TILE_MISMATCH", seq);
      if (tile && (tile.requests !== null || tile.seal !== null)) findings.add("TILE_MISMATCH", seq);
    }
  };
  const compareAll = async (isLast: boolean): Promise<void> => {
    for (const [level, nodes] of levels) await compareLevel(level, nodes, isLast);
  };
  return {
    note(level, hash) {
      if (level % TILE_HEIGHT !== 0) return;
      const tileLevel = level / TILE_HEIGHT;
      const known = levels.get(tileLevel);
      const nodes = known ?? { next: Math.floor(from / 2 ** level), hashes: [] };
      if (!known) levels.set(tileLevel, nodes);
      nodes.hashes.push(hash);
      nodes.next += 1;
      isFull ||= nodes.next % TILE_WIDTH === 0;
    },
    async compare() {
      if (!isFull) return;
      isFull = false;
      await compareAll(false);
    },
    finish: () => compareAll(true),
  };
}

const EMPTY = new Uint8Array(0);
