// The operators of targeting rules as a table: what each compares with, and how. An operator sees one attribute at a time;
// an attribute that is missing or of another type does not match, and nothing here throws at evaluation.

import { parseMoment } from "./schedule.ts";
import { compareVersions, parseVersion } from "./semantic-version.ts";

export type Scalar = string | number | boolean | null;

/** What a condition compares with, as configured. */
export interface Operand {
  readonly value?: Scalar | undefined;
  readonly values?: readonly Scalar[] | undefined;
  readonly ignoreCase: boolean;
}

export type Test = (attribute: unknown) => boolean;
/** Makes a test in time linear to the text out of a pattern. @throws when the pattern does not fit the engine */
export type PatternEngine = (pattern: string, ignoreCase: boolean) => Test;

export interface Operator {
  /** Which key holds what it compares with. */
  readonly takes: "value" | "values" | "nothing";
  /** What is wrong with the operand; null when it fits. */
  readonly problem: (operand: Operand) => string | null;
  readonly compile: (operand: Operand, engine: PatternEngine) => Test;
}

const foldCase = (value: unknown, fold: boolean): unknown =>
  fold && typeof value === "string" ? value.toLowerCase() : value;

/** A list matches when one of its items does. */
const someOf = (attribute: unknown, test: Test): boolean =>
  Array.isArray(attribute) ? attribute.some((item) => test(item)) : test(attribute);

const fits = (holds: boolean, message: string): string | null => (holds ? null : message);

function toNumber(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" && value.length <= 40 ? Number(value) : Number.NaN;
}

/** Epoch milliseconds of a moment as ISO 8601 text or as a number. */
function toMoment(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "string" ? (parseMoment(value) ?? Number.NaN) : Number.NaN;
}

const equals: Operator = {
  takes: "value",
  problem: ({ value }) => fits(value !== undefined, "Expected a value"),
  compile({ value, ignoreCase }) {
    const wanted = foldCase(value, ignoreCase);
    return (attribute) => foldCase(attribute, ignoreCase) === wanted;
  },
};

const oneOf: Operator = {
  takes: "values",
  problem: ({ values = [] }) => fits(values.length > 0, "Expected at least one value"),
  compile({ values = [], ignoreCase }) {
    const wanted = new Set<unknown>(values.map((value) => foldCase(value, ignoreCase)));
    return (attribute) => someOf(attribute, (item) => wanted.has(foldCase(item, ignoreCase)));
  },
};

/** A missing attribute is unlike every value. */
function negated(operator: Operator): Operator {
  return {
    ...operator,
    compile(operand, engine) {
      const test = operator.compile(operand, engine);
      return (attribute) => !test(attribute);
    },
  };
}

function numeric(holds: (attribute: number, value: number) => boolean): Operator {
  return {
    takes: "value",
    problem: ({ value }) => fits(typeof value === "number", "Expected a number"),
    compile({ value }) {
      const bound = Number(value);
      return (attribute) => holds(toNumber(attribute), bound);
    },
  };
}

function temporal(holds: (attribute: number, value: number) => boolean): Operator {
  return {
    takes: "value",
    problem: ({ value }) => fits(!Number.isNaN(toMoment(value)), "Expected an ISO 8601 moment or epoch milliseconds"),
    compile({ value }) {
      const bound = toMoment(value);
      return (attribute) => holds(toMoment(attribute), bound);
    },
  };
}

function semantic(holds: (order: number) => boolean): Operator {
  return {
    takes: "value",
    problem: ({ value }) =>
      fits(typeof value === "string" && parseVersion(value) !== undefined, "Expected a version such as 2.1.0"),
    compile({ value }) {
      const bound = parseVersion(String(value));
      return (attribute) => {
        const version = typeof attribute === "string" ? parseVersion(attribute) : undefined;
        return version !== undefined && bound !== undefined && holds(compareVersions(version, bound));
      };
    },
  };
}

function textual(holds: (attribute: string, value: string) => boolean): Operator {
  return {
    takes: "value",
    problem: ({ value }) => fits(typeof value === "string" && value !== "", "Expected a text that is not empty"),
    compile({ value, ignoreCase }) {
      const wanted = String(foldCase(value, ignoreCase));
      return (attribute) =>
        typeof attribute === "string" && holds(ignoreCase ? attribute.toLowerCase() : attribute, wanted);
    },
  };
}

/** A part of a text, or an item of a list. */
const contains: Operator = {
  takes: "value",
  problem: equals.problem,
  compile(operand, engine) {
    const isItem = equals.compile(operand, engine);
    const isPart = textual((attribute, value) => attribute.includes(value)).compile(operand, engine);
    const seeksText = typeof operand.value === "string" && operand.value !== "";
    return (attribute) => (Array.isArray(attribute) ? attribute.some(isItem) : seeksText && isPart(attribute));
  },
};

/** Longer texts are not searched: a rule that needs more looks at the wrong thing. */
const MAX_SEARCHED_CHARS = 4_096;
const MAX_PATTERN_CHARS = 500;
/** Backreferences and lookaround: what cannot be matched in linear time. */
const UNSAFE = /\(\?<?[=!]|\\[1-9]|\\k</;

function patternProblem(pattern: unknown): string | null {
  if (typeof pattern !== "string" || pattern === "" || pattern.length > MAX_PATTERN_CHARS) {
    return `Expected a pattern of 1 to ${MAX_PATTERN_CHARS} characters`;
  }
  if (UNSAFE.test(pattern)) return "Expected a pattern without lookaround and backreferences (RE2 syntax)";
  try {
    // Only parsed by this engine, never run: a parsed pattern costs nothing.
    return new RegExp(pattern, "u") instanceof RegExp ? null : "Not a pattern";
  } catch {
    return "Not a regular expression (RE2 syntax)";
  }
}

const matches: Operator = {
  takes: "value",
  problem: ({ value }) => patternProblem(value),
  compile({ value, ignoreCase }, engine) {
    const test = engine(String(value), ignoreCase);
    return (attribute) => typeof attribute === "string" && attribute.length <= MAX_SEARCHED_CHARS && test(attribute);
  },
};

const exists: Operator = {
  takes: "nothing",
  problem: () => null,
  compile: () => (attribute) => attribute !== undefined && attribute !== null,
};

export const OPERATORS = {
  eq: equals,
  ne: negated(equals),
  in: oneOf,
  not_in: negated(oneOf),
  gt: numeric((attribute, value) => attribute > value),
  gte: numeric((attribute, value) => attribute >= value),
  lt: numeric((attribute, value) => attribute < value),
  lte: numeric((attribute, value) => attribute <= value),
  before: temporal((attribute, value) => attribute < value),
  after: temporal((attribute, value) => attribute > value),
  semver_eq: semantic((order) => order === 0),
  semver_gt: semantic((order) => order > 0),
  semver_gte: semantic((order) => order >= 0),
  semver_lt: semantic((order) => order < 0),
  semver_lte: semantic((order) => order <= 0),
  starts_with: textual((attribute, value) => attribute.startsWith(value)),
  ends_with: textual((attribute, value) => attribute.endsWith(value)),
  contains,
  matches,
  exists,
} as const satisfies Readonly<Record<string, Operator>>;

export type OperatorName = keyof typeof OPERATORS;
