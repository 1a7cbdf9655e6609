// Checks one entry after the other: its payload, its signature, and the redactions that account for erased payloads.
// Everything is computed from what is stored, so a change anywhere shows.

import { encodeHex } from "../../crypto/hex.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { type AuditEntry, createEntryHasher, type EntryKey, isErased, keyIdOf } from "./audit-entry.ts";
import type { Findings } from "./audit-report.ts";
import { type Cut, CUT, cutOf, REDACT, redactionOf } from "./log-entries.ts";

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
  const erased = new Map<string, number | null>();
  const cuts: Cut[] = [];
  const counts = { checked: 0, signed: 0, redacted: 0 };
  const checkSignature = ({ signature, seq }: AuditEntry): void => {
    if (signature === null) {
      if (seq !== null && seq < coveredSize) return;
      findings.add(counts.signed > 0 && keys.size > 0 ? "UNSIGNED_IN_SIGNED" : "UNSIGNED", seq);
      return;
    }
    counts.signed += 1;
    const id = keyIdOf(signature);
    const key = keys.get(id ?? "");
    if (key ? signature !== hasher.sign(key) : id === undefined) {
      findings.add("MAC_BAD", seq);
    } else if (!key && (seq === null || seq >= coveredSize)) findings.add("UNKNOWN_KEY", seq);
  };

  /** The payload's hash as it follows from the payload; as stored when that was erased. */
  const payloadHashOf = (entry: AuditEntry): string => {
    if (isErased(entry)) {
      counts.redacted += 1;
      erased.set(entry.id, entry.seq);
      return entry.payloadHash;
    }
    const payloadHash = encodeHex(hasher.payloadDigest(entry));
    if (entry.payloadHash !== payloadHash) findings.add("PAYLOAD_MISMATCH", entry.seq);
    return payloadHash;
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
      hasher.begin(entry, payloadHashOf(entry));
      checkSignature(entry);
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
