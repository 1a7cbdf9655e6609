// A measured figure and how it is shown: one row of a table for people, one line of JSON for machines.

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** Such as "ratio", "ms", "MiB", "1/s". */
  readonly unit: string;
  /** Such as ">= 0.22"; null when the figure only informs. */
  readonly target: string | null;
  /** Null without a target. */
  readonly met: boolean | null;
  /** What stands behind the figure, from the same run. */
  readonly detail: string;
}

type Comparison = ">=" | "<" | "<=";

const HOLDS: Readonly<Record<Comparison, (value: number, bound: number) => boolean>> = {
  ">=": (value, bound) => value >= bound,
  "<": (value, bound) => value < bound,
  "<=": (value, bound) => value <= bound,
};

/** A figure with a target. */
export function judged(
  figure: Pick<Figure, "name" | "value" | "unit" | "detail">,
  comparison: Comparison,
  bound: number,
): Figure {
  return { ...figure, target: `${comparison} ${bound}`, met: HOLDS[comparison](figure.value, bound) };
}

/** A figure that only informs. */
export function informative(figure: Pick<Figure, "name" | "value" | "unit" | "detail">): Figure {
  return { ...figure, target: null, met: null };
}

function shorten(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(value < 1 ? 3 : 2);
}

const MARKS = { true: "✓", false: "✗", null: " " } as const;

/** One row of the table. */
export function renderFigure(figure: Figure): string {
  const mark = MARKS[`${figure.met}`];
  const value = `${shorten(figure.value)} ${figure.unit}`.padStart(16);
  return `${mark} ${figure.name.padEnd(26)}${value}  ${(figure.target ?? "").padEnd(9)} ${figure.detail}`;
}

/** The value below which `share` of the sorted values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
