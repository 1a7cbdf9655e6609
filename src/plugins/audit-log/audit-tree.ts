// The stored tree: its head and its tiles grow by the leaves of one commit, in the transaction that gives them their place.

import { createCompactRange, HASH_BYTES } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import type { Reader, Tx } from "../../store/store.ts";
import { type EntryKey, keyIdOf } from "./audit-entry.ts";
import { auditError } from "./audit-errors.ts";
import { HEAD_ID, HEAD_TABLE, TILE_TABLE } from "./audit-tables.ts";
import {
  createTileSeals,
  EMPTY_TILE,
  type Tile,
  TILE_HEIGHT,
  TILE_WIDTH,
  tileId,
  tileReader,
  type TileSeals,
} from "./audit-tiles.ts";

export interface Head {
  readonly logId: string;
  readonly size: number;
  /** The compact range of the tree. */
  readonly frontier: Uint8Array;
}

/** A column that somebody has emptied reads as nothing. */
export function toHead({ logId, size, frontier }: Readonly<Record<string, unknown>>): Head {
  return {
    logId: typeof logId === "string" ? logId : "",
    size: Math.max(0, Number(size)),
    frontier: frontier instanceof Uint8Array ? frontier : new Uint8Array(0),
  };
}

export async function readHead(reader: Pick<Reader, "get">): Promise<Head | undefined> {
  const row = await reader.get(HEAD_TABLE.name, HEAD_ID);
  return row && toHead(row);
}

/** @throws AUDIT_HEAD_MISSING */
export async function requireHead(reader: Pick<Reader, "get">): Promise<Head> {
  const head = await readHead(reader);
  if (!head) throw auditError("AUDIT_HEAD_MISSING");
  return head;
}

/** A leaf that is about to get its place. */
export interface Leaf {
  readonly hash: Uint8Array;
  readonly requestId: string | null;
}

export interface TreeWriterOptions {
  readonly sha256: Sha256;
  readonly logId: string;
  /** Signs request ids; null leaves them unsigned. */
  readonly key: EntryKey | null;
  /** By id, for seals that an earlier key has made. */
  readonly keys: ReadonlyMap<string, EntryKey>;
}

/** New hashes of one level, and where the first of them stands. */
interface Growth {
  readonly start: number;
  readonly hashes: Uint8Array[];
}

function joinHashes(before: Uint8Array, added: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(before.length + added.length * HASH_BYTES);
  bytes.set(before);
  for (const [index, hash] of added.entries()) bytes.set(hash, before.length + index * HASH_BYTES);
  return bytes;
}

function joinLines(before: string | null, count: number, added: readonly string[]): string {
  return count === 0 ? added.join("\n") : [before ?? "", ...added].join("\n");
}

/** The seal of a tile that grows. One that does not hold stays as it is: a new one would make good what was changed. */
function renewSeal(
  { key, keys }: TreeWriterOptions,
  seals: TileSeals,
  { index, before, requests }: { readonly index: number; readonly before: Tile; readonly requests: string },
): string | null {
  if (before.seal !== null && !seals.isOwn(index, before)) {
    const known = keys.get(keyIdOf(before.seal) ?? "");
    if (!known || !seals.holds(known, index, before)) return before.seal;
  }
  return key ? seals.make(key, index, requests) : null;
}

async function writeTile(tx: Tx, id: string, tile: Tile, isNew: boolean): Promise<void> {
  const outcome = isNew
    ? await tx.insert(TILE_TABLE.name, { id, ...tile })
    : await tx.update(TILE_TABLE.name, id, { ...tile });
  // A tile where none can be was put there by somebody else; what it says must not become part of the tree.
  if (outcome.kind === "conflict" || outcome.kind === "missing") throw auditError("AUDIT_HEAD_MISSING");
}

export interface TreeWriter {
  /** Appends leaves behind those of the head. Answers the place of the first. @throws AUDIT_HEAD_MISSING */
  append(tx: Tx, head: Head, leaves: readonly Leaf[]): Promise<void>;
}

export function createTreeWriter(options: TreeWriterOptions): TreeWriter {
  const { sha256 } = options;
  const seals = createTileSeals(sha256, options.logId);

  /** Adds the hashes to the tiles of a level, one row for each tile that they reach. */
  const grow = async (tx: Tx, level: number, growth: Growth, requests: readonly string[] | null): Promise<void> => {
    const readTile = tileReader(tx);
    for (let done = 0; done < growth.hashes.length;) {
      const [index, slot] = [Math.floor((growth.start + done) / TILE_WIDTH), (growth.start + done) % TILE_WIDTH];
      const end = Math.min(growth.hashes.length, done + TILE_WIDTH - slot);
      const before = slot === 0 ? EMPTY_TILE : ((await readTile(level, index)) ?? EMPTY_TILE);
      const lines = requests && joinLines(before.requests, slot, requests.slice(done, end));
      const hashes = joinHashes(before.hashes, growth.hashes.slice(done, end));
      const seal = lines === null ? null : renewSeal(options, seals, { index, before, requests: lines });
      await writeTile(tx, tileId(level, index), { hashes, requests: lines, seal }, slot === 0);
      done = end;
    }
  };

  return {
    async append(tx, head, leaves) {
      const above = new Map<number, Growth>();
      const noteNode = (level: number, hash: Uint8Array): void => {
        if (level % TILE_HEIGHT !== 0) return;
        const tileLevel = level / TILE_HEIGHT;
        const known = above.get(tileLevel);
        if (known) known.hashes.push(hash);
        else above.set(tileLevel, { start: Math.floor(head.size / 2 ** level), hashes: [hash] });
      };
      const range = createCompactRange(sha256, { size: head.size, hashes: head.frontier }, noteNode);
      for (const { hash } of leaves) range.append(hash);
      const hashes = leaves.map(({ hash }) => hash);
      await grow(
        tx,
        0,
        { start: head.size, hashes },
        leaves.map(({ requestId }) => requestId ?? ""),
      );
      for (const [level, growth] of above) await grow(tx, level, growth, null);
      const patch = { size: range.size, frontier: range.encode() };
      if ((await tx.update(HEAD_TABLE.name, HEAD_ID, patch)).kind !== "updated") throw auditError("AUDIT_HEAD_MISSING");
    },
  };
}
