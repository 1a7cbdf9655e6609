// The ledger of invalidations on one shared server: which lengths of prefixes are in use, and when its count began. Text that
// only grows, `<epoch>;<length>,<length>,…`, so that any number of processes can add to it at once.

export interface Ledger {
  readonly text: string;
  /** Values with an older stamp are void: the ledger that knew of their invalidations is gone. */
  readonly epoch: number;
  /** Ascending. 0 is always among them. */
  readonly lengths: readonly number[];
}

/** A reader asks for one record per length: more than these are not put into use. */
const MAX_LENGTHS = 32;
const FORM = /^\d{1,16};(?:\d{1,6},)*$/;

export function newLedgerText(epoch: number): string {
  return `${epoch};0,`;
}

/** Undefined for what is no ledger. */
export function parseLedger(text: string | null | undefined): Ledger | undefined {
  if (text === null || text === undefined || !FORM.test(text)) return undefined;
  const [epoch = "", list = ""] = text.split(";");
  const lengths = new Set([0, ...list.split(",").filter(Boolean).map(Number)]);
  return { text, epoch: Number(epoch), lengths: [...lengths].toSorted((a, b) => a - b) };
}

/** The prefixes of `key` that may have a record. */
export function recordedPrefixes({ lengths }: Ledger, key: string): string[] {
  return lengths.filter((length) => length <= key.length).map((length) => key.slice(0, length));
}

export interface Entry {
  /** The prefix itself, or a shorter one when no more lengths can be put into use: that voids more than was asked for. */
  readonly prefix: string;
  /** What to add to the ledger. */
  readonly addition: string;
}

export function planEntry({ lengths }: Ledger, prefix: string): Entry {
  if (lengths.includes(prefix.length)) return { prefix, addition: "" };
  if (lengths.length < MAX_LENGTHS) return { prefix, addition: `${prefix.length},` };
  const length = lengths.findLast((known) => known <= prefix.length) ?? 0;
  return { prefix: prefix.slice(0, length), addition: "" };
}
