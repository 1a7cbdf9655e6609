// Checks one entry after the other: its payload, its signature, and the redactions that account for erased payloads.
// Everything is computed from what is stored, so a change anywhere shows.

import { encodeHex } from "../../crypto/hex.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { type AuditEntry, createEntryHasher, type EntryKey, isErased, keyIdOf } from "./audit-entry.ts";
import type { Findings } from "./audit-report.ts";
import { type Cut, CUT, cutOf, REDACT, redactionOf } from "./log-entries.ts";

const BASE64URL = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
const HEX = new TextEncoder().encode("0123456789abcdef");

/** Whether `text` from `start` to its end spells the bytes in base64url: an entry costs no text of its own. */
function spellsBase64Url(text: string, start: number, bytes: Uint8Array): boolean {
  if (text.length - start !== Math.ceil((bytes.length * 4) / 3)) return false;
  let bits = 0;
  let held = 0;
  let at = start;
  for (let index = 0; index < bytes.length; index++) {
    held = ((held << 8) | (bytes[index] as number)) & 0xffff;
    for (bits += 8; bits >= 6;) {
      bits -= 6;
      if (text.charCodeAt(at++) !== BASE64URL[(held >> bits) & 63]) return false;
    }
  }
  return bits === 0 || text.charCodeAt(at) === BASE64URL[(held << (6 - bits)) & 63];
}

function spellsHex(text: string, bytes: Uint8Array): boolean {
  if (text.length !== bytes.length * 2) return false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] as number;
    if (text.charCodeAt(index * 2) !== HEX[byte >> 4] || text.charCodeAt(index * 2 + 1) !== HEX[byte & 15])
      return false;
  }
  return true;
}

export interface EntryCheckOptions {
  readonly sha256: Sha256;
  readonly logId: string;
  readonly keys: ReadonlyMap<string, EntryKey>;
  /** Entries below this place are committed to by a checkpoint from outside: they need no signature. */
  readonly coveredSize: number;
  readonly findings: Findings;
}

export interface EntryCheck {
  /** Checks an entry and answers its leaf. */
  check(entry: AuditEntry): Uint8Array;
  /** Counts signed entries that were found intact elsewhere. */
  countIntact(entries: number): void;
  /** Reports erased payloads that no redaction accounts for. */
  finish(): void;
  readonly checked: number;
  readonly signed: number;
  readonly redacted: number;
  /** Cuts that the entries record. */
  readonly cuts: readonly Cut[];
}

/** Cuts are few: one for each stretch that retention removes. */
const MAX_CUTS = 10_000;

export function createEntryCheck(options: EntryCheckOptions): EntryCheck {
  const { sha256, logId, keys, coveredSize, findings } = options;
  const hasher = createEntryHasher(sha256);
  const code = new Uint8Array(32);
  const erased = new Map<string, number | null>();
  const cuts: Cut[] = [];
  const counts = { checked: 0, signed: 0, redacted: 0 };
  // Almost every entry has the same key, so the last one is looked at first.
  let last: { readonly prefix: string; readonly key: EntryKey } | undefined;

  const keyOf = (signature: string): EntryKey | "unknown" | "none" => {
    if (last && signature.startsWith(last.prefix)) return last.key;
    const id = keyIdOf(signature);
    if (id === undefined) return "none";
    const key = keys.get(id);
    if (!key) return "unknown";
    last = { prefix: `v1:${id}:`, key };
    return key;
  };

  const checkSignature = ({ signature, seq }: AuditEntry, bytes: Uint8Array): void => {
    if (signature === null) {
      if (seq !== null && seq < coveredSize) return;
      findings.add(counts.signed > 0 && keys.size > 0 ? "UNSIGNED_IN_SIGNED" : "UNSIGNED", seq);
      return;
    }
    counts.signed += 1;
    const key = keyOf(signature);
    if (key === "none") findings.add("MAC_BAD", seq);
    else if (key !== "unknown") {
      if (!spellsBase64Url(signature, signature.lastIndexOf(":") + 1, key.sign(bytes, code)))
        findings.add("MAC_BAD", seq);
    } else if (seq === null || seq >= coveredSize) findings.add("UNKNOWN_KEY", seq);
  };

  /** The payload's hash as it follows from the payload; as stored when that was erased. */
  const payloadHashOf = (entry: AuditEntry): string => {
    if (isErased(entry)) {
      counts.redacted += 1;
      erased.set(entry.id, entry.seq);
      return entry.payloadHash;
    }
    const digest = hasher.payloadDigest(entry);
    if (spellsHex(entry.payloadHash ?? "", digest)) return entry.payloadHash;
    findings.add("PAYLOAD_MISMATCH", entry.seq);
    return encodeHex(digest);
  };

  const note = (entry: AuditEntry): void => {
    for (const id of redactionOf(entry)?.entries ?? []) erased.delete(id);
    const cut = cutOf(entry);
    if (cut && cuts.length < MAX_CUTS) cuts.push(cut);
  };

  return {
    check(entry) {
      counts.checked += 1;
      if (entry.logId !== logId) findings.add("LOG_MISMATCH", entry.seq);
      const bytes = hasher.signedBytes(entry, payloadHashOf(entry));
      checkSignature(entry, bytes);
      if (entry.operation === REDACT || entry.operation === CUT) note(entry);
      return hasher.leafHash(entry.signature);
    },
    countIntact(entries) {
      counts.checked += entries;
      counts.signed += entries;
    },
    finish() {
      for (const seq of erased.values()) findings.add("PAYLOAD_MISSING", seq);
      erased.clear();
    },
    get checked() {
      return counts.checked;
    },
    get signed() {
      return counts.signed;
    },
    get redacted() {
      return counts.redacted;
    },
    cuts,
  };
}
