// Versions and their order (Semantic Versioning 2.0.0, section 11). A leading `v` and missing minor or patch numbers are
// let pass, because versions of applications are often written so; build metadata does not count.

const PATTERN =
  /^v?(\d{1,15})(?:\.(\d{1,15}))?(?:\.(\d{1,15}))?(?:-([0-9A-Za-z.-]{1,100}))?(?:\+[0-9A-Za-z.-]{1,100})?$/;
const NUMERIC = /^\d+$/;
const MAX_CHARS = 256;

export interface SemanticVersion {
  readonly core: readonly [number, number, number];
  /** Identifiers of the pre-release; empty for a release. */
  readonly pre: readonly string[];
}

/** Undefined when `text` is no version. */
export function parseVersion(text: string): SemanticVersion | undefined {
  const match = text.length <= MAX_CHARS ? PATTERN.exec(text) : null;
  if (!match) return undefined;
  const pre = match[4] === undefined ? [] : match[4].split(".");
  if (pre.includes("")) return undefined;
  return { core: [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)], pre };
}

function compareIdentifiers(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [NUMERIC.test(a), NUMERIC.test(b)];
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  // Longer numbers are larger, so that no digit is lost to floating point.
  if (aIsNumber && a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function comparePre(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compareIdentifiers(a[index] as string, b[index] as string);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Negative when `a` comes before `b`, 0 when neither does. */
export function compareVersions(a: SemanticVersion, b: SemanticVersion): number {
  for (const index of [0, 1, 2] as const) {
    const difference = a.core[index] - b.core[index];
    if (difference !== 0) return difference;
  }
  return comparePre(a.pre, b.pre);
}
