// An entry of the audit log and the bytes that are signed and hashed of it (docs/plugins/audit-log.md). Whatever writes or
// checks an entry uses these, so that both sides mean the same bytes.

import { encodeBase64Url } from "../../crypto/base64.ts";
import { encodeHex } from "../../crypto/hex.ts";
import { LEAF_PREFIX } from "../../crypto/merkle-tree.ts";
import { createHmacSha256, HMAC_ROOM_BYTES, type HmacSha256, type Sha256 } from "../../crypto/sha256.ts";
import { type Bytes, toBytes } from "../../crypto/utf8.ts";
import { createJsonBytes, jsonOfList } from "./json-bytes.ts";

export const SIGNATURE_VERSION = "v1";
/** What the signed array begins with. */
export const ENTRY_FORMAT = "pylon-audit-v1";
const LINE_FEED = 0x0a;

/** As in the entity `AuditLog`; absent is null. */
export interface AuditEntry {
  readonly id: string;
  /** The entry's place in the tree; null until it has one. */
  readonly seq: number | null;
  readonly logId: string;
  readonly actorType: string;
  readonly actorId: string | null;
  readonly tenantId: string | null;
  readonly requestId: string | null;
  readonly entity: string;
  readonly rowId: string;
  readonly operation: string;
  /** JSON text of the row. */
  readonly before: string | null;
  readonly after: string | null;
  /** 16 random bytes, base64url; null once the payload is erased. */
  readonly salt: string | null;
  readonly payloadHash: string;
  readonly signature: string | null;
  readonly createdAt: string;
}

/** Whether the payload was erased and its commitment kept. */
export function isErased({ salt, before, after }: AuditEntry): boolean {
  return salt === null && before === null && after === null;
}

/** A key that signs entries. */
export interface EntryKey extends HmacSha256 {
  /** The first 8 hex digits of the key's SHA-256. */
  readonly id: string;
}

/** @throws RangeError when the secret is empty. */
export function createEntryKey(sha256: Sha256, secret: string): EntryKey {
  const bytes = toBytes(secret);
  return { id: encodeHex(sha256(bytes)).slice(0, 8), ...createHmacSha256(bytes, sha256) };
}

export function formatSignature(keyId: string, code: Uint8Array): string {
  return `${SIGNATURE_VERSION}:${keyId}:${encodeBase64Url(code)}`;
}

/** Undefined when the text is no signature of this version. */
export function keyIdOf(signature: string): string | undefined {
  const [version, keyId, code, ...rest] = signature.split(":");
  return version === SIGNATURE_VERSION && keyId && code && rest.length === 0 ? keyId : undefined;
}

/** Hashes and signs entries one after the other through one buffer, so that a million of them leave nothing behind. */
export interface EntryHasher {
  /** SHA-256 over the canonical `[salt, before, after]`. Valid until the next call. */
  payloadDigest(entry: Pick<AuditEntry, "salt" | "before" | "after">): Bytes;
  /** Takes up an entry, with this payload hash, for what is asked below. */
  begin(entry: Omit<AuditEntry, "seq" | "signature">, payloadHash?: string): void;
  /** The signature of the entry. */
  sign(key: EntryKey): string;
  /** The leaf over the entry and this signature of it. */
  leafHash(signature: string | null): Bytes;
}

export function createEntryHasher(sha256: Sha256): EntryHasher {
  // What is signed stands behind the room of the signer, and the leaf's input begins in its last byte.
  const json = createJsonBytes(HMAC_ROOM_BYTES);
  const leafStart = HMAC_ROOM_BYTES - 1;
  const [digest, code] = [new Uint8Array(32), new Uint8Array(32)];
  let signedEnd = HMAC_ROOM_BYTES;
  return {
    payloadDigest: ({ salt, before, after }) => sha256(jsonOfList([salt, before, after]), digest),
    begin(entry, payloadHash = entry.payloadHash) {
      const { logId, id, actorType, actorId, tenantId, entity, rowId, operation, createdAt } = entry;
      signedEnd = json.writeList([
        ENTRY_FORMAT,
        logId,
        id,
        actorType,
        actorId,
        tenantId,
        entity,
        rowId,
        operation,
        payloadHash,
        createdAt,
      ]);
    },
    sign: (key) => formatSignature(key.id, key.signBehindRoom(json.bytes.subarray(0, signedEnd), code)),
    leafHash(signature) {
      // First written, then asked for: the buffer may be another one by then.
      const end = json.writeText(signedEnd + 1, signature ?? "");
      json.bytes[leafStart] = LEAF_PREFIX;
      json.bytes[signedEnd] = LINE_FEED;
      return sha256(json.bytes.subarray(leafStart, end));
    },
  };
}
