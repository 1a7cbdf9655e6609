// The keys of a log: those that sign entries, and the Ed25519 key that signs its checkpoints.

import { createEd25519Signer, deriveSeed } from "../../crypto/ed25519.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { createNoteSigner, type NoteSigner } from "../../crypto/signed-note.ts";
import type { AuditSecrets } from "./audit-config.ts";
import { createEntryKey, type EntryKey } from "./audit-entry.ts";

export const LOG_KEY_INFO = "pylon-audit-log-key";

export function defaultOrigin(logId: string): string {
  return `pylon.audit/${logId}`;
}

export interface AuditKeys {
  /** Signs new entries; null: they are not signed. */
  readonly signing: EntryKey | null;
  /** Every key that entries may have been signed with, by its id. */
  readonly entryKeys: ReadonlyMap<string, EntryKey>;
  /** Signs checkpoints; null when there is no key for it. */
  readonly noteSigner: NoteSigner | null;
  /** Every key that checkpoints may have been signed with. */
  readonly noteSigners: readonly NoteSigner[];
}

async function noteSignersOf(sha256: Sha256, secrets: AuditSecrets, origin: string): Promise<NoteSigner[]> {
  const derived = [...(secrets.current === null ? [] : [secrets.current]), ...secrets.previous];
  const seeds = await Promise.all(derived.map((secret) => deriveSeed(secret, LOG_KEY_INFO)));
  const all = secrets.logKey === null ? seeds : [secrets.logKey, ...seeds];
  return Promise.all(all.map(async (seed) => createNoteSigner(sha256, origin, await createEd25519Signer(seed))));
}

export async function createAuditKeys(sha256: Sha256, secrets: AuditSecrets, origin: string): Promise<AuditKeys> {
  const secretsOfEntries = [...(secrets.current === null ? [] : [secrets.current]), ...secrets.previous];
  const entryKeys = secretsOfEntries.map((secret) => createEntryKey(sha256, secret));
  const noteSigners = await noteSignersOf(sha256, secrets, origin);
  return {
    signing: secrets.signing === null ? null : createEntryKey(sha256, secrets.signing),
    entryKeys: new Map(entryKeys.map((key) => [key.id, key])),
    noteSigner: secrets.logKey === null && secrets.current === null ? null : (noteSigners[0] ?? null),
    noteSigners,
  };
}
