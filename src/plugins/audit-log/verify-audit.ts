// Verifies a log: builds its tree again from its entries, tile by tile, and compares everything with everything. Memory does
// not grow with the log.

import { encodeBase64 } from "../../crypto/base64.ts";
import { createEd25519Signer, deriveSeed } from "../../crypto/ed25519.ts";
import { equalBytes } from "../../crypto/merkle-proof.ts";
import {
  type CompactRange,
  createCompactRange,
  createSubtreeHasher,
  createTreeProofs,
} from "../../crypto/merkle-tree.ts";
import { portableSha256, type Sha256 } from "../../crypto/sha256.ts";
import { type Checkpoint, createVerifier, parseVerifierKey, type Verifier } from "../../crypto/signed-note.ts";
import { isPylonError } from "../../core/errors.ts";
import { createEntryKey } from "./audit-entry.ts";
import { defaultOrigin, LOG_KEY_INFO } from "./audit-keys.ts";
import { type AuditReport, createFindings, describeOutcome, type Findings, type Outcome } from "./audit-report.ts";
import type { AuditSource } from "./audit-source.ts";
import { createTileSeals, nodesOf, TILE_HEIGHT, TILE_WIDTH } from "./audit-tiles.ts";
import type { Head } from "./audit-tree.ts";
import { createAnchors, readOutside } from "./anchors.ts";
import { checkTiles, type Verification } from "./check-tiles.ts";
import { createEntryCheck } from "./entry-check.ts";
import { createPackedCheck } from "./packed-tile.ts";
import { createUpperTiles } from "./upper-tiles.ts";

export type { AuditEntry } from "./audit-entry.ts";
export type { AuditReport, Finding, Verdict } from "./audit-report.ts";
export type { AuditSource, StoredCheckpoint } from "./audit-source.ts";

/** What the log is held against. */
export interface AuditEvidence {
  /** Secrets that entries were signed with, earlier ones included. */
  readonly signingKeys?: readonly string[];
  /** Verifier keys of checkpoints; those that follow from `signingKeys` are added. */
  readonly verifierKeys?: readonly string[];
  /** Signed notes that were kept outside of the database. */
  readonly checkpoints?: readonly string[];
  /** In whose name checkpoints are. @default `pylon.audit/<logId>` */
  readonly origin?: string;
  /** Reads entries from the newest of `checkpoints` on: those before it were verified when it was kept. */
  readonly incremental?: boolean;
}

export interface VerifyOptions {
  /** @default one in the language itself; a platform's is ten times as fast */
  readonly sha256?: Sha256;
  /** Findings that are listed; the others are counted. @default 1000 */
  readonly maxFindings?: number;
}

const MAX_FINDINGS = 1_000;

/** The keys that may have signed checkpoints in the name of `origin`. */
async function openVerifiers(evidence: AuditEvidence, sha256: Sha256): Promise<(origin: string) => Verifier[]> {
  const given = (evidence.verifierKeys ?? []).flatMap((text) => parseVerifierKey(sha256, text.trim()) ?? []);
  const derived = (evidence.signingKeys ?? []).map(async (secret) =>
    createEd25519Signer(await deriveSeed(secret, LOG_KEY_INFO)),
  );
  const signers = await Promise.all(derived);
  return (origin) => [...given, ...signers.map(({ publicKey }) => createVerifier(sha256, origin, publicKey))];
}

/** Rows behind the end of a log that may have grown: read first, so that the head is at least as new as they are. */
async function checkBehindEnd({ source, head, findings }: Verification): Promise<void> {
  if (source.isSnapshot) return;
  for await (const batch of source.readEntries(head.size)) {
    const now = await source.readHead();
    for (const { seq } of batch) if (seq !== null && seq >= (now?.size ?? 0)) findings.add("ROW_UNEXPECTED", seq);
    return;
  }
}

async function checkMisplaced({ source, findings }: Pick<Verification, "source" | "findings">): Promise<void> {
  for (const seq of await source.readMisplaced()) findings.add("ROW_UNEXPECTED", seq, { note: "this is no place" });
}

async function checkPending({ source, entries }: Verification): Promise<number> {
  let pending = 0;
  for await (const batch of source.readPending()) {
    for (const entry of batch) entries.check(entry);
    pending += batch.length;
  }
  return pending;
}

/** Everything below the first entry has to be accounted for by a cut, whose root the tree still has. */
async function checkCut({ source, sha256, entries, findings }: Verification, first: number): Promise<void> {
  const covering = entries.cuts.filter(({ before }) => before >= first);
  if (covering.length === 0) return findings.add("ROW_MISSING", 0, { count: first });
  for (const { before, root } of covering) {
    const proofs = createTreeProofs(sha256, nodesOf(sha256, source.readTile));
    const hash = await proofs.rangeHash(0, before).catch(() => undefined);
    if (!hash || encodeBase64(hash) !== root) findings.add("CUT_MISMATCH", before - 1);
  }
}

/** The tree as it was at `from`, from what is stored above the leaves. */
async function rangeAt(
  { source, sha256, head, findings, upper }: Pick<Verification, "source" | "sha256" | "head" | "findings" | "upper">,
  from: number,
): Promise<CompactRange> {
  const noteNode = (level: number, hash: Uint8Array): void => upper.note(level, hash);
  try {
    const stored = await createTreeProofs(sha256, nodesOf(sha256, source.readTile)).rangeAt(from);
    return createCompactRange(sha256, { size: from, hashes: stored.encode() }, noteNode);
  } catch (error) {
    if (!isPylonError(error, "AUDIT_PROOF_GONE")) throw error;
    findings.add("TILE_MISSING", Math.min(from, head.size - 1), { note: "the tree below it cannot be read" });
    const zeros = await createTreeProofs(sha256, async () => new Uint8Array(32)).rangeAt(from);
    return createCompactRange(sha256, { size: from, hashes: zeros.encode() }, noteNode);
  }
}

async function open(
  source: AuditSource,
  head: Head,
  evidence: AuditEvidence,
  options: VerifyOptions,
): Promise<{
  readonly run: Verification;
  readonly first: number;
}> {
  const { sha256 = portableSha256, maxFindings = MAX_FINDINGS } = options;
  const findings = createFindings(maxFindings);
  const origin = evidence.origin ?? defaultOrigin(head.logId);
  const verifiersOf = await openVerifiers(evidence, sha256);
  const verifiers = verifiersOf(origin);
  const notes = evidence.checkpoints ?? [];
  const outside = await readOutside({ notes, verifiersOf, origin, size: head.size, findings });
  const first = Math.min((await source.firstSeq()) ?? source.startsAt, head.size);
  // What retention leaves begins with a tile, so anything that is missing in the first one is missing.
  const retained = source.startsAt > 0 ? source.startsAt : Math.floor(first / TILE_WIDTH) * TILE_WIDTH;
  // What retention has removed cannot be compared with a checkpoint any more.
  const newest: Checkpoint | undefined = outside.at(-1);
  const coveredSize = newest && newest.size >= retained ? newest.size : 0;
  const from = evidence.incremental ? Math.max(retained, coveredSize) : retained;
  const upper = createUpperTiles({ source, from, findings });
  const range = await rangeAt({ source, sha256, head, findings, upper }, from);
  const keys = (evidence.signingKeys ?? []).map((secret) => createEntryKey(sha256, secret));
  const entryKeys = new Map(keys.map((key) => [key.id, key]));
  const { logId } = head;
  const run: Verification = {
    source,
    head,
    sha256,
    findings,
    entryKeys,
    packed: createPackedCheck({ sha256, logId, keys }),
    rootOfTile: createSubtreeHasher(sha256, TILE_HEIGHT),
    entries: createEntryCheck({ sha256, logId, keys: entryKeys, coveredSize, findings }),
    anchors: createAnchors({
      source,
      outside: outside.filter(({ size }) => size >= from),
      verifiers,
      from: evidence.incremental ? from : 0,
      size: head.size,
      findings,
    }),
    seals: createTileSeals(sha256, logId),
    upper,
    range,
    from,
    coveredSize,
    times: { proven: null, newest: null },
  };
  await run.anchors.compare(from, () => range.root());
  return { run, first: retained };
}

const NOTHING: Outcome = {
  logId: null,
  size: 0,
  root: null,
  checked: 0,
  pending: 0,
  signed: 0,
  redacted: 0,
  retainedFrom: 0,
  checkpoints: 0,
  provenSize: 0,
  provenAt: null,
  newestAt: null,
};

function report(outcome: Outcome, findings: Findings): AuditReport {
  return {
    verdict: findings.verdict,
    ...outcome,
    findings: findings.list,
    furtherFindings: findings.further,
    sentence: describeOutcome(outcome, findings),
  };
}

/** Nothing but a checkpoint can tell that there was a log. */
async function reportNoLog(
  source: AuditSource,
  evidence: AuditEvidence,
  { sha256 = portableSha256 }: VerifyOptions,
): Promise<AuditReport> {
  const findings = createFindings(MAX_FINDINGS);
  const first = await source.firstSeq();
  findings.add(first === undefined ? "NO_LOG" : "HEAD_MISSING", first ?? null);
  await checkMisplaced({ source, findings });
  const [verifiersOf, notes] = [await openVerifiers(evidence, sha256), evidence.checkpoints ?? []];
  await readOutside({ notes, verifiersOf, origin: evidence.origin, size: 0, findings });
  return report(NOTHING, findings);
}

/** Verifies a log and says what is proven. Rejects only when the source cannot be read. */
export async function verifyAudit(
  source: AuditSource,
  evidence: AuditEvidence = {},
  options: VerifyOptions = {},
): Promise<AuditReport> {
  const head = await source.readHead();
  if (!head) return reportNoLog(source, evidence, options);
  const { run, first } = await open(source, head, evidence, options);
  const { findings, range, entries, anchors } = run;
  await checkTiles(run);
  await run.upper.finish();
  await anchors.finish();
  await checkBehindEnd(run);
  await checkMisplaced(run);
  const pending = await checkPending(run);
  entries.finish();
  if (first > source.startsAt && !evidence.incremental) await checkCut(run, first);
  if (!equalBytes(range.encode(), head.frontier)) findings.add("ROOT_MISMATCH", Math.max(0, head.size - 1));
  if (run.coveredSize === 0) findings.add("FRESHNESS_UNPROVEN", null);
  const outcome: Outcome = {
    logId: head.logId,
    size: head.size,
    root: encodeBase64(range.root()),
    checked: entries.checked,
    pending,
    signed: entries.signed,
    redacted: entries.redacted,
    retainedFrom: first,
    checkpoints: anchors.matched,
    provenSize: findings.verdict === "tampered" ? 0 : run.coveredSize,
    provenAt: run.times.proven,
    newestAt: run.times.newest,
  };
  return report(outcome, findings);
}
