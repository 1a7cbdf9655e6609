// Makes entries: gives them an id, a salt, a commitment to their payload, and a signature. Everything here answers at once,
// because it runs inside of the transaction that writes what the entry is about.

import type { UlidSource } from "../../core/ids.ts";
import type { Identity } from "../../core/identity.ts";
import { encodeBase64Url } from "../../crypto/base64.ts";
import { encodeHex } from "../../crypto/hex.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { type AuditEntry, createEntryHasher, type EntryKey } from "./audit-entry.ts";

const SALT_BYTES = 16;
const SALT_DIGITS = 22;
/** Random bytes are fetched and written as digits for this many entries at once. */
const SALTS_AT_ONCE = 256;
/** A salt and zeros, so that no digit stands for bits of two salts. */
const SLOT_BYTES = 18;
const SLOT_DIGITS = 24;
/** What no database keeps as it is: lone surrogates, and NUL on Postgres. */
const UNSTORABLE = /[\0\r\n]/;

/** What an entry says. */
export interface EntryDraft {
  readonly actor: Identity;
  readonly requestId: string | null;
  readonly entity: string;
  readonly rowId: string;
  readonly operation: string;
  readonly before: string | null;
  readonly after: string | null;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** An entry and its leaf. */
export interface MadeEntry {
  readonly entry: AuditEntry;
  readonly leafHash: Uint8Array;
}

/** `seq`: the entry's place in the tree; null while it has none. */
export type EntryMaker = (draft: EntryDraft, seq: number | null) => MadeEntry;

export interface EntryMakerOptions {
  readonly sha256: Sha256;
  readonly ulid: UlidSource;
  readonly logId: string;
  /** Null leaves entries unsigned. */
  readonly key: EntryKey | null;
}

function createSalts(): () => string {
  const pool = new Uint8Array(SLOT_BYTES * SALTS_AT_ONCE);
  let digits = "";
  let used = 0;
  return () => {
    if (used === digits.length) {
      crypto.getRandomValues(pool);
      for (let end = SALT_BYTES; end < pool.length; end += SLOT_BYTES) pool.fill(0, end, end + SLOT_BYTES - SALT_BYTES);
      [digits, used] = [encodeBase64Url(pool), 0];
    }
    const salt = digits.slice(used, used + SALT_DIGITS);
    used += SLOT_DIGITS;
    return salt;
  };
}

/** A text that comes back from every database as it went in: what is signed must be what is stored. */
function storable(text: string | null): string | null {
  if (text === null || text === "") return null;
  // Almost every text is fine, and looking is cheaper than replacing.
  if (text.isWellFormed() && !UNSTORABLE.test(text)) return text;
  return text.toWellFormed().split(UNSTORABLE).join("\ufffd");
}

export function createEntryMaker({ sha256, ulid, logId, key }: EntryMakerOptions): EntryMaker {
  const hasher = createEntryHasher(sha256);
  const nextSalt = createSalts();
  // Writes of one commit often share their millisecond.
  let [lastAt, lastTime] = [Number.NaN, ""];
  const timeOf = (at: number): string => {
    if (at !== lastAt) [lastAt, lastTime] = [at, new Date(at).toISOString()];
    return lastTime;
  };
  return ({ actor, requestId, entity, rowId, operation, before, after, at }, seq) => {
    const salt = nextSalt();
    const entry = {
      id: ulid(at),
      seq,
      logId,
      actorType: actor.kind,
      actorId: storable(actor.userId),
      tenantId: storable(actor.tenantId),
      requestId: storable(requestId),
      entity,
      rowId,
      operation,
      before,
      after,
      salt,
      payloadHash: encodeHex(hasher.payloadDigest({ salt, before, after })),
      signature: null as string | null,
      createdAt: timeOf(at),
    };
    hasher.begin(entry);
    if (key) entry.signature = hasher.sign(key);
    return { entry, leafHash: hasher.leafHash(entry.signature) };
  };
}
