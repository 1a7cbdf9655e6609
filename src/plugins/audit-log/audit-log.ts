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
import { createTreeWriter, type Head, readHead, requireHead } from "./audit-tree.ts";
import { checkpointJob } from "./checkpoint-job.ts";
import { createEntryMaker, type EntryDraft, type MadeEntry } from "./entry-maker.ts";

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
  /** Gives committed entries without a place theirs, up to {@link SEQUENCER_BATCH}; answers how many. */
  sequence(): Promise<number>;
  /** Every entry that was committed before the call has its place when it resolves, however many more are being written. */
  catchUp(): Promise<void>;
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

/** Gives entries their places in the tree. */
interface Placer {
  /** The head, which stays as it is until this transaction has ended: nobody else gives places until then. */
  lockHead(tx: Tx): Promise<Head>;
  /** Appends the leaves of entries that got the places behind the head. */
  append(tx: Tx, head: Head, made: readonly MadeEntry[]): Promise<void>;
}

async function insertEntries(tx: Tx, made: readonly MadeEntry[]): Promise<void> {
  const rows = made.map(({ entry }) => toRow(entry));
  // An id is never made twice, so a conflict is over the place.
  if ((await tx.insertMany(AUDIT_LOG, rows)).kind === "conflict") throw auditError("AUDIT_PLACE_TAKEN");
}

async function updateSeq(tx: Tx, id: string, seq: number): Promise<void> {
  const outcome = await tx.update(AUDIT_LOG, id, { seq });
  if (outcome.kind !== "updated") throw auditError("AUDIT_PLACE_TAKEN");
}

function createPlacer({ store, sha256, clock, config }: AuditLogOptions, logId: string, keys: AuditKeys): Placer {
  const tree = createTreeWriter({ sha256, logId, key: keys.signing, keys: keys.entryKeys });
  let committedJob = "";
  const askForCheckpoint = async (tx: Tx): Promise<void> => {
    const job = checkpointJob(clock.now(), config.checkpoint_secs);
    // One that an earlier commit has asked for is there.
    if (job.id !== committedJob && !(await tx.enqueueJob(job))) committedJob = job.id;
  };
  return {
    async lockHead(tx) {
      if (store.writesConcurrently) await tx.update(HEAD_TABLE.name, HEAD_ID, { logId });
      const head = await requireHead(tx);
      if (head.logId !== logId) throw auditError("AUDIT_HEAD_MISSING");
      return head;
    },
    async append(tx, head, made) {
      const leaves = made.map(({ entry, leafHash }) => ({ hash: leafHash, requestId: entry.requestId }));
      await tree.append(tx, head, leaves);
      if (keys.noteSigner) await askForCheckpoint(tx);
    },
  };
}

const UNPLACED = [{ column: "seq", op: "eq", value: null }] as const;

/** @throws what reading the keys throws. Makes the log's head when there is none. */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { store, config, sha256, ulid } = options;
  const logId = await openHead(store);
  const origin = config.origin ?? defaultOrigin(logId);
  const keys = await createAuditKeys(sha256, readSecrets(config, options.env), origin);
  const makeEntry = createEntryMaker({ sha256, ulid, logId, key: keys.signing });
  const placer = createPlacer(options, logId, keys);
  const hasher = createEntryHasher(sha256);
  const toMade = (entry: AuditEntry): MadeEntry => {
    hasher.begin(entry);
    return { entry, leafHash: hasher.leafHash(entry.signature) };
  };
  const atCommit: CommitStep<EntryDraft> = {
    async run(tx, drafts) {
      const head = await placer.lockHead(tx);
      const made = drafts.map((draft, index) => makeEntry(draft, head.size + index));
      await insertEntries(tx, made);
      await placer.append(tx, head, made);
    },
  };
  const placeBatch = async (tx: Tx): Promise<number> => {
    const head = await placer.lockHead(tx);
    const rows = await tx.find(AUDIT_LOG, { where: UNPLACED, limit: SEQUENCER_BATCH });
    if (rows.length === 0) return 0;
    await Promise.all(rows.map(({ id }, index) => updateSeq(tx, id, head.size + index)));
    await placer.append(tx, head, rows.map(toEntry).map(toMade));
    return rows.length;
  };
  // Whoever holds the head sees every entry that has committed by then, and nobody else gives places: that is all it takes.
  // As a serializable transaction it would be in the way of every writer, and they in its.
  const sequence = async (): Promise<number> => {
    const [some] = await store.reader.find(AUDIT_LOG, { where: UNPLACED, limit: 1 });
    return some ? store.write(placeBatch, { isolation: "read-committed" }) : 0;
  };
  const sequencing = sequencingOf(store, config);
  return {
    logId,
    origin,
    keys,
    sequencing,
    record(tx, draft) {
      return sequencing === "later" ? insertEntries(tx, [makeEntry(draft, null)]) : tx.atCommit(atCommit, draft);
    },
    sequence,
    async catchUp() {
      if (sequencing === "commit") return;
      const order = { column: "id", descending: true };
      const [newest] = await store.reader.find(AUDIT_LOG, { where: UNPLACED, order, limit: 1 });
      if (!newest) return;
      // Places are given in the order of ids, so what is written meanwhile comes behind.
      const where = [...UNPLACED, { column: "id", op: "lte", value: newest.id } as const];
      while ((await store.reader.find(AUDIT_LOG, { where, limit: 1 })).length > 0) await sequence();
    },
  };
}
