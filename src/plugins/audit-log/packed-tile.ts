// The entries of a full tile as a database itself writes them out: the bytes that are hashed of them, in one piece. They cost a
// fraction of what entries cost. A packed tile is only ever accepted; one that is not is looked at entry by entry, and that is
// what explains findings.

import { HASH_BYTES, LEAF_PREFIX } from "../../crypto/merkle-tree.ts";
import { HMAC_ROOM_BYTES, type Sha256 } from "../../crypto/sha256.ts";
import { type Bytes, toBytes } from "../../crypto/utf8.ts";
import { ENTRY_FORMAT, type EntryKey, SIGNATURE_VERSION } from "./audit-entry.ts";
import { holdsAt, type Tile, TILE_WIDTH } from "./audit-tiles.ts";
import { CUT, REDACT } from "./log-entries.ts";

/** What is written before the first entry, and counted up from there: always two digits. */
export const FIRST_MARK = 10;

const MARK_BYTES = 2;
const HEX_HASH_BYTES = 2 * HASH_BYTES;
/** `v1:`, eight digits, a colon, and a code in base64url. */
const SIGNATURE_BYTES = 55;
const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const DIGIT_ZERO = 0x30;
const decoder = new TextDecoder();
/** Two digits each: of a byte in hex, of twelve bits in base64url. */
const HEX_PAIRS = pairsOf("0123456789abcdef");
const BASE64URL_PAIRS = pairsOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
/** How a payload begins that was not erased. */
const WITH_SALT = toBytes('["');
/** What the log records about itself is for more than hashing. */
const OWN_OPERATIONS = [REDACT, CUT].map((operation) => toBytes(`,${JSON.stringify(operation)}`));

/** What is there of a tile's places, in their order. */
export interface PackedTile {
  /**
   * Of each entry: its mark, the canonical `[salt, before, after]`, a line feed, the canonical array that is signed, a line
   * feed, its signature, a line feed. Canonical JSON has no line feed. Whoever checks it writes into it.
   */
  readonly bytes: Bytes;
  /** The JSON of the list of their request ids. */
  readonly requests: string;
}

function hasMark(bytes: Uint8Array, at: number, slot: number): boolean {
  const mark = FIRST_MARK + slot;
  return bytes[at] === DIGIT_ZERO + Math.floor(mark / 10) && bytes[at + 1] === DIGIT_ZERO + (mark % 10);
}

function hasAt(bytes: Uint8Array, at: number, part: Uint8Array): boolean {
  for (let index = 0; index < part.length; index++) if (bytes[at + index] !== part[index]) return false;
  return true;
}

/** Every pair of digits as one number, by the number that it spells. */
function pairsOf(digits: string): Uint16Array {
  const codes = toBytes(digits);
  const codeOf = (digit: number): number => codes[digit] as number;
  return Uint16Array.from({ length: codes.length ** 2 }, (_, value) => {
    const high = Math.floor(value / codes.length);
    return (codeOf(high) << 8) | codeOf(value % codes.length);
  });
}

function pairAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function spellsHex(bytes: Uint8Array, start: number, digest: Uint8Array): boolean {
  for (let index = 0; index < HASH_BYTES; index++) {
    if (pairAt(bytes, start + index * 2) !== HEX_PAIRS[digest[index] as number]) return false;
  }
  return true;
}

/** For 32 bytes: ten times three of them, and two. */
function spellsBase64Url(bytes: Uint8Array, start: number, code: Uint8Array): boolean {
  let at = start;
  for (let index = 0; index < HASH_BYTES - 2; index += 3, at += 4) {
    const bits = (pairAt(code, index) << 8) | (code[index + 2] as number);
    if (pairAt(bytes, at) !== BASE64URL_PAIRS[bits >> 12]) return false;
    if (pairAt(bytes, at + 2) !== BASE64URL_PAIRS[bits & 4_095]) return false;
  }
  const bits = pairAt(code, HASH_BYTES - 2) << 2;
  // The last digit alone, behind a zero's.
  const last = BASE64URL_PAIRS[bits & 63] as number;
  return pairAt(bytes, at) === BASE64URL_PAIRS[bits >> 6] && bytes[at + 2] === (last & 255);
}

/**
 * Whether the last field but one of the signed array that ends there, which is `payloadHash`, spells the digest. Inside of a
 * text a quote has a backslash before it; so these quotes are the field's own, and behind it there is one field more.
 */
function hasPayloadHash(bytes: Uint8Array, comma: number, digest: Uint8Array): boolean {
  const start = comma - 1 - HEX_HASH_BYTES;
  const isField = bytes[start - 2] === COMMA && bytes[start - 1] === QUOTE && bytes[comma - 1] === QUOTE;
  return isField && spellsHex(bytes, start, digest);
}

function isOwn(bytes: Uint8Array, comma: number): boolean {
  const operationEnd = comma - HEX_HASH_BYTES - 3;
  return OWN_OPERATIONS.some((operation) => hasAt(bytes, operationEnd - operation.length, operation));
}

export interface PackedCheckOptions {
  readonly sha256: Sha256;
  readonly logId: string;
  readonly keys: Iterable<EntryKey>;
}

export interface PackedCheck {
  /** Whether each entry is as its payload's hash, its signature by a known key, its leaf and its request id say. */
  accepts(packed: PackedTile, tile: Tile): boolean;
  /** When the entry there was written, of the tile that was accepted last. */
  createdAt(packed: PackedTile, slot: number): string;
}

export function createPackedCheck({ sha256, logId, keys }: PackedCheckOptions): PackedCheck {
  const signers = Array.from(keys, (key) => ({ key, prefix: toBytes(`${SIGNATURE_VERSION}:${key.id}:`) }));
  const logPrefix = toBytes(`${JSON.stringify([ENTRY_FORMAT, logId]).slice(0, -1)},`);
  const [digest, code, leaf] = [new Uint8Array(HASH_BYTES), new Uint8Array(HASH_BYTES), new Uint8Array(HASH_BYTES)];
  const signedStarts: number[] = [];

  const acceptsPayload = (bytes: Bytes, start: number, end: number, signedEnd: number): boolean => {
    const comma = bytes.lastIndexOf(COMMA, signedEnd);
    const payloadDigest = sha256(bytes.subarray(start, end), digest);
    return hasAt(bytes, start, WITH_SALT) && hasPayloadHash(bytes, comma, payloadDigest) && !isOwn(bytes, comma);
  };
  const acceptsSignature = (bytes: Bytes, start: number, end: number): boolean => {
    for (const { key, prefix } of signers) {
      if (!hasAt(bytes, end + 1, prefix)) continue;
      // What stands before it is done with, and only before the first there may be too little.
      const room = start - HMAC_ROOM_BYTES;
      const signed =
        room < 0 ? key.sign(bytes.subarray(start, end), code) : key.signBehindRoom(bytes.subarray(room, end), code);
      return spellsBase64Url(bytes, end + 1 + prefix.length, signed);
    }
    return false;
  };
  /** Where the entry ends; undefined when it is not accepted. */
  const acceptEntry = (bytes: Bytes, start: number, slot: number, tile: Tile): number | undefined => {
    const payloadEnd = bytes.indexOf(LINE_FEED, start);
    const signedStart = payloadEnd + 1;
    const signedEnd = bytes.indexOf(LINE_FEED, signedStart);
    const end = signedEnd + 1 + SIGNATURE_BYTES;
    if (payloadEnd < 0 || signedEnd < 0 || bytes[end] !== LINE_FEED) return undefined;
    if (!hasMark(bytes, start, slot) || !hasAt(bytes, signedStart, logPrefix)) return undefined;
    if (!acceptsPayload(bytes, start + MARK_BYTES, payloadEnd, signedEnd)) return undefined;
    if (!acceptsSignature(bytes, signedStart, signedEnd)) return undefined;
    signedStarts[slot] = signedStart;
    // In the place of the line feed before what is signed: with this prefix it is the leaf's own input.
    bytes[payloadEnd] = LEAF_PREFIX;
    return holdsAt(tile, slot, sha256(bytes.subarray(payloadEnd, end), leaf)) ? end + 1 : undefined;
  };
  return {
    accepts({ bytes, requests }, tile) {
      // As many entries as request ids. Each has three line feeds at least, so below each of them has no other.
      const lines = tile.requests?.split("\n");
      if (lines?.length !== TILE_WIDTH || requests !== JSON.stringify(lines)) return false;
      let at: number | undefined = 0;
      for (let slot = 0; slot < TILE_WIDTH && at !== undefined; slot++) at = acceptEntry(bytes, at, slot, tile);
      return at === bytes.length && tile.hashes.length === TILE_WIDTH * HASH_BYTES;
    },
    createdAt({ bytes }, slot) {
      const start = signedStarts[slot] ?? 0;
      const fields: unknown = JSON.parse(decoder.decode(bytes.subarray(start, bytes.indexOf(LINE_FEED, start))));
      return Array.isArray(fields) ? String(fields.at(-1)) : "";
    },
  };
}
