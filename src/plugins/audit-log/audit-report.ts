// What a verification found: findings with a code and a place, a verdict, and one sentence about what is proven. A verdict
// is never better than its evidence: where that is missing, it says so.

/** The code, whether it shows tampering or only missing evidence, and what it means. */
export const FINDINGS = {
  MAC_BAD: { severity: "tampered", message: "The signature does not fit the entry" },
  PAYLOAD_MISMATCH: { severity: "tampered", message: "before, after or salt do not fit payloadHash" },
  PAYLOAD_MISSING: { severity: "tampered", message: "The payload is gone and no redaction accounts for it" },
  LEAF_MISMATCH: { severity: "tampered", message: "The entry is not the one that the tree commits to" },
  REQUEST_MISMATCH: { severity: "tampered", message: "The request id is not the one that was recorded" },
  SEAL_BAD: { severity: "tampered", message: "The seal over the request ids does not fit" },
  LOG_MISMATCH: { severity: "tampered", message: "The entry belongs to another log" },
  ROW_MISSING: { severity: "tampered", message: "The entry is not there" },
  ROW_UNEXPECTED: { severity: "tampered", message: "There is an entry where the log has none" },
  ROW_DUPLICATE: { severity: "tampered", message: "Two entries have this place" },
  TILE_MISSING: { severity: "tampered", message: "A part of the tree is not there" },
  TILE_MISMATCH: { severity: "tampered", message: "A part of the tree does not fit the entries" },
  ROOT_MISMATCH: { severity: "tampered", message: "The entries do not lead to the head of the log" },
  CUT_MISMATCH: { severity: "tampered", message: "What retention recorded does not fit the tree" },
  CHECKPOINT_BAD: { severity: "tampered", message: "A stored checkpoint is not what the log has signed" },
  FORK: { severity: "tampered", message: "The log is not the one that this checkpoint was signed for" },
  SIZE_REGRESSION: { severity: "tampered", message: "The log is shorter than a checkpoint of it" },
  HEAD_MISSING: { severity: "tampered", message: "The head of the log is not there, and entries are" },
  FILE_MISMATCH: { severity: "tampered", message: "A file of the export is not the one that its manifest names" },
  UNSIGNED_IN_SIGNED: { severity: "tampered", message: "The entry is not signed, and earlier ones are" },
  UNSIGNED: { severity: "unproven", message: "The entry is not signed" },
  UNKNOWN_KEY: { severity: "unproven", message: "The key is not known here" },
  EVIDENCE_BAD: { severity: "unproven", message: "A given checkpoint cannot be used" },
  FRESHNESS_UNPROVEN: {
    severity: "unproven",
    message: "No checkpoint from outside of the database shows that this is the newest state",
  },
  NO_LOG: { severity: "unproven", message: "There is no audit log here" },
} as const satisfies Readonly<Record<string, { severity: "tampered" | "unproven"; message: string }>>;

export type FindingKey = keyof typeof FINDINGS;

export interface Finding {
  readonly code: string;
  readonly severity: "tampered" | "unproven";
  /** The place of the entry; null when it has none. */
  readonly seq: number | null;
  /** How many entries from `seq` on. */
  readonly count: number;
  readonly message: string;
}

export type Verdict = "intact" | "tampered" | "unproven";

export interface AuditReport {
  readonly verdict: Verdict;
  readonly logId: string | null;
  /** Leaves of the tree. */
  readonly size: number;
  /** Of the tree, base64. */
  readonly root: string | null;
  /** Entries that were read and checked. */
  readonly checked: number;
  /** Entries without a place yet. */
  readonly pending: number;
  readonly signed: number;
  readonly redacted: number;
  /** The first entry that retention has left. */
  readonly retainedFrom: number;
  /** Checkpoints that fit. */
  readonly checkpoints: number;
  /** Up to here, exclusive, a checkpoint from outside commits to the entries. */
  readonly provenSize: number;
  /** When the last entry below `provenSize` was written. */
  readonly provenAt: string | null;
  readonly newestAt: string | null;
  readonly findings: readonly Finding[];
  /** Beyond those that are listed. */
  readonly furtherFindings: number;
  /** What is proven, up to which entry, and how fresh the evidence is. */
  readonly sentence: string;
}

export interface Findings {
  add(key: FindingKey, seq: number | null, detail?: { readonly count?: number; readonly note?: string }): void;
  readonly list: readonly Finding[];
  readonly further: number;
  readonly verdict: Verdict;
}

export function createFindings(max: number): Findings {
  const list: Finding[] = [];
  let further = 0;
  let verdict: Verdict = "intact";
  return {
    list,
    get further() {
      return further;
    },
    get verdict() {
      return verdict;
    },
    add(key, seq, { count = 1, note } = {}) {
      const { severity, message } = FINDINGS[key];
      if (severity === "tampered" || verdict === "intact") verdict = severity;
      if (list.length >= max) {
        further += 1;
        return;
      }
      const code = key === "UNSIGNED_IN_SIGNED" ? "UNSIGNED" : key;
      list.push({ code, severity, seq, count, message: note === undefined ? message : `${message}: ${note}` });
    },
  };
}

export type Outcome = Omit<AuditReport, "verdict" | "findings" | "furtherFindings" | "sentence">;

function proven({ provenSize, provenAt, retainedFrom }: Outcome): string {
  const since = provenAt === null ? "" : `, the last of them written at ${provenAt}`;
  return `entries ${retainedFrom} to ${provenSize - 1} are exactly those that a checkpoint from outside commits to${since}`;
}

function rest({ size, provenSize, pending, signed }: Outcome): string {
  const later = size - provenSize;
  const protection =
    signed > 0 ? "only their own signatures and the database's own tree protect" : "nothing outside protects";
  const parts = later > 0 ? [`${protection} the ${later} after them`] : [];
  if (pending > 0) parts.push(`${pending} committed entries wait for their place in the tree`);
  return parts.length === 0 ? "" : `; ${parts.join("; ")}`;
}

function describeTampering(findings: Findings): string {
  const bad = findings.list.filter(({ severity }) => severity === "tampered");
  const [first] = bad;
  const more = bad.length - 1 + findings.further;
  const where = first?.seq === null || first === undefined ? "" : ` at entry ${first.seq}`;
  return `The log was tampered with: ${first?.code ?? "?"}${where}${more > 0 ? ` and ${more} more` : ""}`;
}

/** One sentence, without a line break. */
export function describeOutcome(outcome: Outcome, findings: Findings): string {
  if (findings.verdict === "tampered") return `${describeTampering(findings)}.`;
  const { size, provenSize, newestAt, redacted } = outcome;
  const erased = redacted > 0 ? `; ${redacted} of them were redacted and their commitments hold` : "";
  if (outcome.logId === null) return "There is no audit log here, so nothing is proven.";
  if (findings.verdict === "intact") return `Proven: ${proven(outcome)}${rest(outcome)}${erased}.`;
  const until = newestAt === null ? "" : ` (the newest was written at ${newestAt})`;
  if (provenSize > 0) return `Not all is proven: ${proven(outcome)}${rest(outcome)}${erased}.`;
  const consistent = `The ${size} entries${until} fit each other${erased}`;
  return `${consistent}; freshness unproven: without a checkpoint from outside of the database nothing shows that this is the newest state.`;
}
