// The log of one database: entries are recorded in the transaction of what they are about, and each gets its place in the
// tree there or, where many write at the same time, from the sequencer. No place is given twice and none is left out.

import type { Clock } from "../../core/clock.ts";
import type { Env } from "../../core/env.ts";
import { randomHex, type UlidSource } from "../../core/ids.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import type { CommitStep, Store, Tx } from "../../store/store.ts";
import { type AuditConfig, readSecrets } from "./audit-config.ts";
import { type AuditEntry, createEntryHasher } from "./audit-entry.ts";
import { auditError } from "./audit-errors.ts";
import { type AuditKeys, createAuditKeys, defaultOrigin } from "./audit-keys.ts";
import { AUDIT_LOG, HEAD_ID, HEAD_TABLE, toEntry, toRow } from "./audit-tables.ts";
import { createTreeWriter, readHead, requireHead } from "./audit-tree.ts";
import { checkpointJob } from "./checkpoint-job.ts";
import { createEntryMaker, type EntryDraft } from "./entry-maker.ts";

const LOG_ID_BYTES = 16;
/** Entries that one transaction of the sequencer gives their place. */
const SEQUENCER_BATCH = 500;

/**
 * When an entry gets its place: `commit` in the transaction of its write, `later` from the sequencer, which takes what is
 * committed in the order of ids.
 */
export type Sequencing = "commit" | "later";

export interface AuditLogOptions {
  readonly store: Store;
  readonly config: AuditConfig;
  readonly env: Env;
  readonly sha256: Sha256;
  readonly clock: Clock;
  readonly ulid: UlidSource;
}

export interface AuditLog {
  readonly logId: string;
  /** In whose name checkpoints are. */
  readonly origin: string;
  readonly keys: AuditKeys;
  readonly sequencing: Sequencing;
  /** Records in the transaction `tx`: the entry commits with it, or neither does. */
  record(tx: Tx, draft: EntryDraft): void | Promise<void>;
  /** Gives committed entries without a place theirs; answers how many there were. */
  sequence(): Promise<number>;
}

/** Which log this database has; it gets one at its first start. */
async function openHead(store: Store): Promise<string> {
  const known = await readHead(store.reader);
  if (known) return known.logId;
  return store.write(async (tx) => {
    const other = await readHead(tx);
    if (other) return other.logId;
    const logId = randomHex(LOG_ID_BYTES);
    await tx.insert(HEAD_TABLE.name, { id: HEAD_ID, logId, size: 0, frontier: new Uint8Array(0) });
    return logId;
  });
}

export function sequencingOf(store: Store, config: AuditConfig): Sequencing {
  return store.writesConcurrently && !config.strict ? "later" : "commit";
}

/** Gives entries their places behind those that have one. */
type Placer = (
  tx: Tx,
  entries: readonly AuditEntry[],
  store: (tx: Tx, entry: AuditEntry) => Promise<void>,
) => Promise<void>;

async function insertEntry(tx: Tx, entry: AuditEntry): Promise<void> {
  const outcome = await tx.insert(AUDIT_LOG, toRow(entry));
  // An id is never made twice, so the conflict is over the place: somebody has put a row there.
  if (outcome.kind === "conflict") throw auditError("AUDIT_HEAD_MISSING");
}

async function updateSeq(tx: Tx, { id, seq }: AuditEntry): Promise<void> {
  const outcome = await tx.update(AUDIT_LOG, id, { seq });
  if (outcome.kind !== "updated") throw auditError("AUDIT_HEAD_MISSING");
}

function createPlacer(options: AuditLogOptions, logId: string, keys: AuditKeys): Placer {
  const { sha256, clock, config } = options;
  const hasher = createEntryHasher(sha256);
  const tree = createTreeWriter({ sha256, logId, key: keys.signing, keys: keys.entryKeys });
  const leafOf = (entry: AuditEntry): { hash: Uint8Array; requestId: string | null } => {
    hasher.signedBytes(entry);
    return { hash: hasher.leafHash(entry.signature), requestId: entry.requestId };
  };
  /** A reader of the head that did not hold it could give a place that somebody else gives as well. */
  const lockHead = async (tx: Tx): Promise<void> => {
    if (options.store.writesConcurrently) await tx.update(HEAD_TABLE.name, HEAD_ID, { logId });
  };
  return async (tx, entries, store) => {
    await lockHead(tx);
    const head = await requireHead(tx);
    if (head.logId !== logId) throw auditError("AUDIT_HEAD_MISSING");
    for (const [index, entry] of entries.entries()) await store(tx, { ...entry, seq: head.size + index });
    await tree.append(tx, head, entries.map(leafOf));
    if (keys.noteSigner) await tx.enqueueJob(checkpointJob(clock.now(), config.checkpoint_secs));
  };
}

/** @throws what reading the keys throws. Makes the log's head when there is none. */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { store, config, sha256, ulid } = options;
  const logId = await openHead(store);
  const origin = config.origin ?? defaultOrigin(logId);
  const keys = await createAuditKeys(sha256, readSecrets(config, options.env), origin);
  const makeEntry = createEntryMaker({ sha256, ulid, logId, key: keys.signing });
  const place = createPlacer(options, logId, keys);
  const atCommit: CommitStep<AuditEntry> = { run: (tx, entries) => place(tx, entries, insertEntry) };
  const sequencing = sequencingOf(store, config);
  return {
    logId,
    origin,
    keys,
    sequencing,
    record(tx, draft) {
      const entry = makeEntry(draft);
      return sequencing === "later" ? insertEntry(tx, entry) : tx.atCommit(atCommit, entry);
    },
    sequence: () =>
      store.write(async (tx) => {
        const rows = await tx.find(AUDIT_LOG, {
          where: [{ column: "seq", op: "eq", value: null }],
          limit: SEQUENCER_BATCH,
        });
        if (rows.length > 0) await place(tx, rows.map(toEntry), updateSeq);
        return rows.length;
      }),
  };
}
