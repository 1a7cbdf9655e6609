// Checkpoints as a verifier uses them: those that were kept outside, and those in the log's own table. Each says what the
// root was at its size; they are handed out in the order of their sizes while the tree is built again.

import { encodeBase64 } from "../../crypto/base64.ts";
import { type Checkpoint, parseCheckpoint, parseNote, type Verifier, verifyNote } from "../../crypto/signed-note.ts";
import { equalBytes } from "../../crypto/merkle-proof.ts";
import type { Findings } from "./audit-report.ts";
import type { AuditSource, StoredCheckpoint } from "./audit-source.ts";
import { checkpointId } from "./audit-tables.ts";

/** The notes of a text that holds one or many, one after the other. */
export function splitNotes(text: string): string[] {
  const notes: string[] = [];
  let lines: string[] = [];
  let isSigned = false;
  for (const line of text.split("\n")) {
    if (isSigned && !line.startsWith("\u2014 ")) {
      notes.push(`${lines.join("\n")}\n`);
      [lines, isSigned] = [[], false];
    }
    if (lines.length === 0 && line === "") continue;
    lines.push(line);
    isSigned ||= line.startsWith("\u2014 ");
  }
  if (lines.length > 0) notes.push(`${lines.join("\n")}\n`);
  return notes;
}

interface Judged {
  readonly checkpoint: Checkpoint | undefined;
  readonly isSigned: boolean;
  /** Whether one of its signatures is in the name of a known key. */
  readonly isOfKnownKey: boolean;
}

async function judge(text: string, verifiers: readonly Verifier[]): Promise<Judged> {
  const note = parseNote(text);
  const checkpoint = note && parseCheckpoint(note.text);
  const isOfKnownKey = verifiers.some((known) =>
    note?.signatures.some(({ name, keyId }) => known.name === name && equalBytes(known.keyId, keyId)),
  );
  return { checkpoint, isSigned: note !== undefined && (await verifyNote(note, verifiers)), isOfKnownKey };
}

export interface OutsideOptions {
  readonly notes: readonly string[];
  readonly verifiersOf: (origin: string) => readonly Verifier[];
  /** Undefined when there is no log that could have one. */
  readonly origin: string | undefined;
  /** Leaves of the log as it is. */
  readonly size: number;
  readonly findings: Findings;
}

/** The usable checkpoints from outside that the log is long enough for, by size. */
export async function readOutside(options: OutsideOptions): Promise<Checkpoint[]> {
  const { notes, verifiersOf, origin, size, findings } = options;
  const usable: Checkpoint[] = [];
  for (const text of notes) {
    // In the name that it has itself: the same key may have signed for another log.
    const verifiers = verifiersOf(parseCheckpoint(parseNote(text)?.text ?? "")?.origin ?? "");
    const { checkpoint, isSigned } = await judge(text, verifiers);
    if (!checkpoint) findings.add("EVIDENCE_BAD", null, { note: "it is no signed checkpoint" });
    else if (verifiers.length === 0)
      findings.add("UNKNOWN_KEY", checkpoint.size - 1, { note: "no log key to check a checkpoint with" });
    else if (!isSigned)
      findings.add("EVIDENCE_BAD", checkpoint.size - 1, { note: "its signature is not of this log's key" });
    else if (origin !== undefined && checkpoint.origin !== origin)
      findings.add("EVIDENCE_BAD", checkpoint.size - 1, {
        note: `it is of the log ${checkpoint.origin}, and this one is ${origin}: another database, or one that was put in its place`,
      });
    else if (checkpoint.size > size) findings.add("SIZE_REGRESSION", size, { count: checkpoint.size - size });
    else usable.push(checkpoint);
  }
  return usable.sort((a, b) => a.size - b.size);
}

export interface Anchors {
  /** Compares with what was signed for this size. Sizes may only grow. */
  compare(size: number, rootOf: () => Uint8Array): Promise<void>;
  /** Whether some checkpoint between the sizes has to be compared. */
  reaches(size: number): Promise<boolean>;
  /** Reports stored checkpoints that the log is too short for. */
  finish(): Promise<void>;
  /** How many fitted. */
  readonly matched: number;
}

export interface AnchorsOptions {
  readonly source: AuditSource;
  /** By size. */
  readonly outside: readonly Checkpoint[];
  readonly verifiers: readonly Verifier[];
  /** Stored checkpoints of smaller trees are not looked at. */
  readonly from: number;
  readonly size: number;
  readonly findings: Findings;
}

export function createAnchors(options: AnchorsOptions): Anchors {
  const { source, verifiers, size: logSize, findings } = options;
  const outside = [...options.outside];
  const stored = source.readCheckpoints(options.from)[Symbol.asyncIterator]();
  let nextStored: Checkpoint | null | undefined;
  let matched = 0;

  const judgeStored = async ({ id, note }: StoredCheckpoint): Promise<Checkpoint | undefined> => {
    const { checkpoint, isSigned, isOfKnownKey } = await judge(note, verifiers);
    if (!checkpoint || id !== checkpointId(checkpoint.size) || (isOfKnownKey && !isSigned)) {
      findings.add("CHECKPOINT_BAD", checkpoint ? checkpoint.size - 1 : null, { note: `stored as ${id.slice(0, 40)}` });
      return undefined;
    }
    if (verifiers.length > 0 && !isOfKnownKey)
      findings.add("UNKNOWN_KEY", checkpoint.size - 1, { note: "of a checkpoint" });
    return checkpoint;
  };
  const peekStored = async (): Promise<Checkpoint | null> => {
    while (nextStored === undefined) {
      const next = await stored.next();
      nextStored = next.done ? null : await judgeStored(next.value);
    }
    return nextStored;
  };
  const compareOne = (anchor: Checkpoint, root: Uint8Array): void => {
    if (equalBytes(anchor.root, root)) matched += 1;
    else findings.add("FORK", anchor.size - 1, { note: `signed for root ${encodeBase64(anchor.root)}` });
  };
  return {
    async reaches(size) {
      const [first] = outside;
      if (first && first.size <= size) return true;
      const next = await peekStored();
      return next !== null && next.size <= size;
    },
    async compare(size, rootOf) {
      for (let [first] = outside; first && first.size <= size; [first] = outside) {
        outside.shift();
        if (first.size === size) compareOne(first, rootOf());
      }
      for (let next = await peekStored(); next && next.size <= size; next = await peekStored()) {
        nextStored = undefined;
        if (next.size === size) compareOne(next, rootOf());
      }
    },
    async finish() {
      for (let next = await peekStored(); next; next = await peekStored()) {
        nextStored = undefined;
        // A log that grows while it is read may have signed for more by now.
        if (source.isSnapshot && next.size > logSize) {
          findings.add("SIZE_REGRESSION", logSize, { count: next.size - logSize });
        }
      }
    },
    get matched() {
      return matched;
    },
  };
}
