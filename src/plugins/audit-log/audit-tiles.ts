// Tiles: the nodes of the log's tree as they are stored, 64 of one level to a row. Tile `n` of level `t` holds the roots of the
// complete subtrees over 64^t leaves, from the 64 × n-th on.

import { canonicalJson } from "../../core/canonical-json.ts";
import { decodeBase64Url } from "../../crypto/base64.ts";
import { encodeHex } from "../../crypto/hex.ts";
import { equalBytes } from "../../crypto/merkle-proof.ts";
import { HASH_BYTES, hashNode, type NodeAt } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { toBytes } from "../../crypto/utf8.ts";
import type { Reader } from "../../store/store.ts";
import { type EntryKey, formatSignature } from "./audit-entry.ts";
import { auditError } from "./audit-errors.ts";
import { TILE_TABLE } from "./audit-tables.ts";

/** A tile and its request ids fit into one page of SQLite: every commit writes the last one again. */
export const TILE_WIDTH = 64;
/** Levels of the tree that one level of tiles spans. */
export const TILE_HEIGHT = 6;
const INDEX_DIGITS = 12;
const SEAL_FORMAT = "pylon-audit-requests-v1";

export interface Tile {
  readonly hashes: Uint8Array;
  /** Level 0 alone: one line per leaf, empty without a request. */
  readonly requests: string | null;
  readonly seal: string | null;
}

export const EMPTY_TILE: Tile = { hashes: new Uint8Array(0), requests: null, seal: null };

export function tileId(level: number, index: number): string {
  return `${level}-${String(index).padStart(INDEX_DIGITS, "0")}`;
}

/** A column that somebody has emptied reads as nothing. */
export function toTile({ hashes, requests, seal }: Readonly<Record<string, unknown>>): Tile {
  return {
    hashes: hashes instanceof Uint8Array ? hashes : EMPTY_TILE.hashes,
    requests: typeof requests === "string" ? requests : null,
    seal: typeof seal === "string" ? seal : null,
  };
}

export type ReadTile = (level: number, index: number) => Promise<Tile | undefined>;

export function tileReader(reader: Pick<Reader, "get">): ReadTile {
  return async (level, index) => {
    const row = await reader.get(TILE_TABLE.name, tileId(level, index));
    return row && toTile(row);
  };
}

export function hashAt(tile: Tile, slot: number): Uint8Array | undefined {
  const hash = tile.hashes.subarray(slot * HASH_BYTES, (slot + 1) * HASH_BYTES);
  return hash.length === HASH_BYTES ? hash : undefined;
}

/** Whether the tile has this hash there, without a view for each of a million. */
export function holdsAt({ hashes }: Tile, slot: number, hash: Uint8Array): boolean {
  const first = slot * HASH_BYTES;
  if (hashes.length < first + HASH_BYTES) return false;
  for (let at = 0; at < HASH_BYTES; at++) if (hashes[first + at] !== hash[at]) return false;
  return true;
}

/** What a seal signs: the requests of a tile of one log. */
function sealedBytes(sha256: Sha256, place: { logId: string; index: number }, requests: string): Uint8Array {
  return toBytes(canonicalJson([SEAL_FORMAT, place.logId, place.index, encodeHex(sha256(requests))]));
}

export interface TileSeals {
  make(key: EntryKey, index: number, requests: string): string;
  holds(key: EntryKey, index: number, tile: Tile): boolean;
  /** Whether the tile is as it was sealed here last, which is known without computing anything. */
  isOwn(index: number, tile: Tile): boolean;
}

export function createTileSeals(sha256: Sha256, logId: string): TileSeals {
  let last: { readonly index: number; readonly requests: string; readonly seal: string } | undefined;
  return {
    make(key, index, requests) {
      const seal = formatSignature(key.id, key.sign(sealedBytes(sha256, { logId, index }, requests)));
      last = { index, requests, seal };
      return seal;
    },
    isOwn: (index, { requests, seal }) => last?.index === index && last.seal === seal && last.requests === requests,
    holds(key, index, { requests, seal }) {
      const code = decodeBase64Url(seal?.split(":")[2] ?? "");
      return code !== undefined && equalBytes(code, key.sign(sealedBytes(sha256, { logId, index }, requests ?? "")));
    },
  };
}

/**
 * The nodes of a tree from its tiles, each tile read once.
 *
 * @throws AUDIT_PROOF_GONE when a tile is not there any more.
 */
export function nodesOf(sha256: Sha256, readTile: ReadTile): NodeAt {
  const known = new Map<string, Promise<Tile | undefined>>();
  const tileAt = (level: number, index: number): Promise<Tile | undefined> => {
    const id = tileId(level, index);
    const tile = known.get(id) ?? readTile(level, index);
    known.set(id, tile);
    return tile;
  };
  return async (level, index) => {
    const [tileLevel, height] = [Math.floor(level / TILE_HEIGHT), level % TILE_HEIGHT];
    const first = index * 2 ** height;
    const tile = await tileAt(tileLevel, Math.floor(first / TILE_WIDTH));
    let row: Uint8Array[] = [];
    for (let slot = first % TILE_WIDTH; row.length < 2 ** height; slot++) {
      const hash = tile && hashAt(tile, slot);
      if (!hash) throw auditError("AUDIT_PROOF_GONE");
      row.push(hash);
    }
    while (row.length > 1) {
      const above: Uint8Array[] = [];
      for (let at = 0; at < row.length; at += 2) {
        above.push(hashNode(sha256, row[at] as Uint8Array, row[at + 1] as Uint8Array));
      }
      row = above;
    }
    return row[0] as Uint8Array;
  };
}
