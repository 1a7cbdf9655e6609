// Signed checkpoints of the log: each commits to everything up to its size. Only what is durable is signed, and two
// checkpoints of one size are one.

import { createCompactRange } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { formatCheckpoint, parseCheckpoint, parseNote, signNote } from "../../crypto/signed-note.ts";
import type { JobHandler } from "../../jobs/job-handler.ts";
import type { Store } from "../../store/store.ts";
import { auditError } from "./audit-errors.ts";
import type { AuditLog } from "./audit-log.ts";
import { CHECKPOINT_TABLE, checkpointId, noteOf } from "./audit-tables.ts";
import { requireHead } from "./audit-tree.ts";
import { CHECKPOINT_KIND } from "./checkpoint-job.ts";

export interface SignedCheckpoint {
  readonly size: number;
  /** The signed note. */
  readonly note: string;
}

export interface Checkpoints {
  /** The newest that was signed. */
  latest(): Promise<SignedCheckpoint | undefined>;
  /** One of the log as it is: signs when there is something new, and publishes it. @throws AUDIT_NO_KEY */
  current(): Promise<SignedCheckpoint>;
}

export interface CheckpointsOptions {
  readonly store: Store;
  readonly log: AuditLog;
  readonly sha256: Sha256;
  /** Puts a note where the database's administrator does not rule. May get the same one twice. */
  readonly publish: (note: string) => Promise<void>;
}

/** The size that a stored note is about. */
function sizeOf(note: string): number {
  const parsed = parseNote(note);
  return (parsed && parseCheckpoint(parsed.text)?.size) ?? -1;
}

export function createCheckpoints({ store, log, sha256, publish }: CheckpointsOptions): Checkpoints {
  const { name: table } = CHECKPOINT_TABLE;
  const latest = async (): Promise<SignedCheckpoint | undefined> => {
    const [row] = await store.reader.find(table, { order: { column: "id", descending: true }, limit: 1 });
    const note = row && noteOf(row);
    return note === undefined ? undefined : { size: sizeOf(note), note };
  };
  const sign = async (): Promise<SignedCheckpoint> => {
    const signer = log.keys.noteSigner;
    if (!signer) throw auditError("AUDIT_NO_KEY");
    const { size, frontier } = await requireHead(store.reader);
    const root = createCompactRange(sha256, { size, hashes: frontier }).root();
    const note = await signNote(formatCheckpoint({ origin: log.origin, size, root }), signer);
    return store.write(async (tx) => {
      const known = await tx.get(table, checkpointId(size));
      if (known) return { size, note: noteOf(known) };
      await tx.insert(table, { id: checkpointId(size), note });
      return { size, note };
    });
  };
  return {
    latest,
    async current() {
      await log.catchUp();
      const { size } = await requireHead(store.reader);
      const known = await latest();
      const checkpoint = known?.size === size ? known : await sign();
      await publish(checkpoint.note);
      return checkpoint;
    },
  };
}

/** Makes the checkpoint of a stretch of time; a publication that fails is tried again. */
export function createCheckpointJob(checkpoints: Checkpoints): JobHandler {
  return {
    kind: CHECKPOINT_KIND,
    laneConcurrency: 1,
    async run() {
      await checkpoints.current();
      return { kind: "done" };
    },
  };
}
