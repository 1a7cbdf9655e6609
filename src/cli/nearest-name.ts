// The name that somebody probably meant.

/** Edits that a typing mistake amounts to; more, and it is another word. */
const MAX_EDITS = 2;

/** Edits that turn `a` into `b`: a letter more, less, changed, or two neighbours swapped (optimal string alignment). */
export function countEdits(a: string, b: string): number {
  let twoBack: number[] = [];
  let before = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swapped = isSwap && row > 1 && column > 1 ? (twoBack[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      const changed = (before[column - 1] ?? 0) + (isSame ? 0 : 1);
      const added = (current[column - 1] ?? 0) + 1;
      const removed = (before[column] ?? 0) + 1;
      current.push(Math.min(changed, added, removed, swapped));
    }
    twoBack = before;
    before = current;
  }
  return before[b.length] ?? 0;
}

/** The one of `known` that `name` is nearest to, by few edits or as its beginning; undefined when none is near. */
export function findNearest(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, edits: countEdits(name.toLowerCase(), candidate) }))
    .toSorted((a, b) => a.edits - b.edits);
  const [best] = ranked;
  const limit = Math.min(MAX_EDITS, Math.ceil(name.length / 2) - 1);
  if (best && best.edits <= limit) return best.candidate;
  return name.length > 1 ? known.find((candidate) => candidate.startsWith(name.toLowerCase())) : undefined;
}
