// The entries of a full tile as a database itself writes them out: the bytes that are hashed of them, in one piece. They cost a
// fraction of what entries cost. A packed tile is only ever accepted; one that is not is looked at entry by entry, and that is
// what explains findings.

import { HASH_BYTES, LEAF_PREFIX } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { type Bytes, toBytes } from "../../crypto/utf8.ts";
import { type EntryKey, SIGNATURE_VERSION } from "./audit-entry.ts";
import { holdsAt, type Tile, TILE_WIDTH } from "./audit-tiles.ts";

/** What is written before the first entry, and counted up from there: always two digits. */
export const FIRST_MARK = 10;
export const PAYLOAD_HASH_BYTES = 2 * HASH_BYTES;
/** `v1:`, eight digits, a colon, and a code in base64url. */
export const SIGNATURE_BYTES = 55;

const MARK_BYTES = 2;
const LINE_FEED = 0x0a;
const DIGIT_ZERO = 0x30;
const HEX = toBytes("0123456789abcdef");
const BASE64URL = toBytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

export interface PackedTile {
  /**
   * Of each entry in the order of their places: its mark, `payloadHash`, the canonical `[salt, before, after]`, a line feed,
   * the canonical array that is signed, a line feed, `signature`, a line feed. Canonical JSON has no line feed, and the rest
   * has one length, so there is one way to read it. Nobody else's: whoever checks it writes into it.
   */
  readonly bytes: Bytes;
  /** The entries' request ids, a line each. */
  readonly requests: string;
}

function isMarked(bytes: Uint8Array, at: number, slot: number): boolean {
  const mark = FIRST_MARK + slot;
  return bytes[at] === DIGIT_ZERO + Math.floor(mark / 10) && bytes[at + 1] === DIGIT_ZERO + (mark % 10);
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) if (bytes[at + index] !== prefix[index]) return false;
  return true;
}

function spellsHex(bytes: Uint8Array, at: number, digest: Uint8Array): boolean {
  for (let index = 0; index < HASH_BYTES; index++) {
    const byte = digest[index] as number;
    if (bytes[at + index * 2] !== HEX[byte >> 4] || bytes[at + index * 2 + 1] !== HEX[byte & 15]) return false;
  }
  return true;
}

function spellsBase64Url(bytes: Uint8Array, start: number, code: Uint8Array): boolean {
  let [at, held, bits] = [start, 0, 0];
  for (let index = 0; index < HASH_BYTES; index++) {
    held = ((held << 8) | (code[index] as number)) & 0xffff;
    for (bits += 8; bits >= 6;) {
      bits -= 6;
      if (bytes[at++] !== BASE64URL[(held >> bits) & 63]) return false;
    }
  }
  return bytes[at] === BASE64URL[(held << (6 - bits)) & 63];
}

export interface PackedCheck {
  /** Whether each entry is as its payload's hash, its signature by a known key, its leaf and its request id say. */
  accepts(packed: PackedTile, tile: Tile): boolean;
  /** When the entry there of the tile that was accepted last was written. */
  createdAt(slot: number): string;
}

export function createPackedCheck(sha256: Sha256, keys: Iterable<EntryKey>): PackedCheck {
  const signers = Array.from(keys, ({ id, sign }) => ({ prefix: toBytes(`${SIGNATURE_VERSION}:${id}:`), sign }));
  const [digest, code, leaf] = [new Uint8Array(HASH_BYTES), new Uint8Array(HASH_BYTES), new Uint8Array(HASH_BYTES)];
  const signed: Uint8Array[] = [];

  /** Where the entry ends; undefined when it is not accepted. */
  const acceptEntry = (bytes: Bytes, start: number, slot: number, tile: Tile): number | undefined => {
    const payloadStart = start + MARK_BYTES + PAYLOAD_HASH_BYTES;
    const payloadEnd = bytes.indexOf(LINE_FEED, payloadStart);
    const signedEnd = bytes.indexOf(LINE_FEED, payloadEnd + 1);
    const signature = signedEnd + 1;
    const end = signature + SIGNATURE_BYTES;
    if (payloadEnd < 0 || signedEnd < 0 || !isMarked(bytes, start, slot) || bytes[end] !== LINE_FEED) return undefined;
    const payloadDigest = sha256(bytes.subarray(payloadStart, payloadEnd), digest);
    if (!spellsHex(bytes, start + MARK_BYTES, payloadDigest)) return undefined;
    const signer = signers.find(({ prefix }) => startsWith(bytes, signature, prefix));
    if (!signer) return undefined;
    const message = (signed[slot] = bytes.subarray(payloadEnd + 1, signedEnd));
    if (!spellsBase64Url(bytes, signature + signer.prefix.length, signer.sign(message, code))) return undefined;
    // In the place of the line feed before what is signed: with this prefix it is the leaf's own input.
    bytes[payloadEnd] = LEAF_PREFIX;
    return holdsAt(tile, slot, sha256(bytes.subarray(payloadEnd, end), leaf)) ? end + 1 : undefined;
  };
  return {
    accepts({ bytes, requests }, tile) {
      if (requests !== tile.requests || requests.split("\n").length !== TILE_WIDTH) return false;
      let at: number | undefined = 0;
      for (let slot = 0; slot < TILE_WIDTH && at !== undefined; slot++) at = acceptEntry(bytes, at, slot, tile);
      return at === bytes.length && tile.hashes.length === TILE_WIDTH * HASH_BYTES;
    },
    createdAt(slot) {
      const fields: unknown = JSON.parse(new TextDecoder().decode(signed[slot]));
      return Array.isArray(fields) ? String(fields.at(-1)) : "";
    },
  };
}
