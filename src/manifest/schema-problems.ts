// What a schema refused, said to whoever wrote the value: one problem for each place, in words that name no library.

import type { z } from "zod";
import type { Problem } from "../core/errors.ts";

/** zod's word for a type, with its article. */
const ARTICLED: Readonly<Record<string, string>> = {
  string: "a string",
  boolean: "true or false",
  number: "a number",
  int: "a whole number",
  array: "a list",
  object: "an object",
  record: "an object",
  nonoptional: "a value",
};

/** What a bound counts, for anything but numbers. */
const UNITS: Readonly<Record<string, string>> = { array: " items", set: " items", string: " characters" };

function describeBound(
  { origin, inclusive = true }: { readonly origin: string; readonly inclusive?: boolean | undefined },
  bound: number | bigint,
  [within, beyond]: readonly [string, string],
): string {
  return `Expected ${inclusive ? within : beyond} ${bound}${UNITS[origin] ?? ""}`;
}

function messageFor(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_value")
    return `Expected ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
  if (issue.code === "invalid_type") {
    const expected = ARTICLED[issue.expected] ?? issue.expected;
    return issue.input === undefined ? `Missing: expected ${expected}` : `Expected ${expected}`;
  }
  if (issue.code === "too_big") return describeBound(issue, issue.maximum, ["at most", "less than"]);
  if (issue.code !== "too_small") return undefined;
  if (issue.minimum === 1 && issue.origin in UNITS) return "Expected something that is not empty";
  return describeBound(issue, issue.minimum, ["at least", "more than"]);
}

const MAX_KEY_CHARS = 100;

function shorten(key: string): string {
  return key.length > MAX_KEY_CHARS ? `${key.slice(0, MAX_KEY_CHARS)}…` : key;
}

export interface ReadOptions {
  /** Ahead of every path. */
  readonly at?: readonly PropertyKey[];
  /** What to say of a key that the schema does not have. @default "Unknown key" */
  readonly unknownKey?: string;
  /** More problems than this are not listed. @default 100, so that an answer stays smaller than what it answers */
  readonly maxProblems?: number;
}

export type SchemaReading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a value with a schema. */
export function readWithSchema<T>(schema: z.ZodType<T>, input: unknown, options: ReadOptions = {}): SchemaReading<T> {
  const { at = [], unknownKey = "Unknown key", maxProblems = 100 } = options;
  const result = schema.safeParse(input, { error: messageFor });
  if (result.success) return { ok: true, value: result.data };
  const problems = result.error.issues.slice(0, maxProblems).flatMap((issue): Problem[] => {
    const path = [...at, ...issue.path].map(String);
    if (issue.code !== "unrecognized_keys") return [{ path: path.join("."), message: issue.message }];
    return issue.keys.map((key) => ({ path: [...path, shorten(key)].join("."), message: unknownKey }));
  });
  return { ok: false, problems: problems.slice(0, maxProblems) };
}
