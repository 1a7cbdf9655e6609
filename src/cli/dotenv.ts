// Reads files of environment variables: `NAME=value` lines, comments, quotes. Nothing in a value is expanded or run.

export interface DotenvProblem {
  /** Counts from 1. */
  readonly line: number;
  readonly message: string;
}

export interface Dotenv {
  /** The last of a name wins. */
  readonly values: ReadonlyMap<string, string>;
  /** Without the text of the lines, which may hold secrets. */
  readonly problems: readonly DotenvProblem[];
}

const ASSIGNMENT = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*/;
const NOTHING = /^[ \t]*(?:#.*)?$/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

interface Value {
  readonly text: string;
  /** Characters read, without the end of the line. */
  readonly length: number;
}

/** A value without quotes ends at the end of the line, or at a `#` behind a blank. */
function readPlain(text: string): Value {
  const line = /^[^\n]*/.exec(text)?.[0] ?? "";
  return { text: line.replace(/(?:^|[ \t]+)#.*$/, "").trim(), length: line.length };
}

/** A value in quotes may have several lines; only double quotes know escapes. */
function readQuoted(text: string): Value | string {
  const quoted = text.startsWith('"') ? /^"((?:[^"\\]|\\[^])*)"/.exec(text) : /^'([^']*)'/.exec(text);
  if (!quoted) return "The quote is never closed";
  const behind = /^[^\n]*/.exec(text.slice(quoted[0].length))?.[0] ?? "";
  if (!NOTHING.test(behind)) return "Expected the end of the line behind the closing quote";
  const inner = quoted[1] ?? "";
  const value = text.startsWith('"')
    ? inner.replace(/\\([^])/g, (_, char: string) => ESCAPES[char] ?? char)
    : inner;
  return { text: value, length: quoted[0].length + behind.length };
}

/** Never throws: a line that does not fit is listed and left out. */
export function parseDotenv(source: string): Dotenv {
  const values = new Map<string, string>();
  const problems: DotenvProblem[] = [];
  let rest = source.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  let line = 1;
  const advance = (length: number): void => {
    const eaten = rest.slice(0, length + 1);
    line += eaten.split("\n").length - 1;
    rest = rest.slice(length + 1);
  };
  while (rest !== "") {
    const current = /^[^\n]*/.exec(rest)?.[0] ?? "";
    const assignment = ASSIGNMENT.exec(current);
    if (!assignment) {
      if (!NOTHING.test(current)) problems.push({ line, message: "Expected NAME=value" });
      advance(current.length);
      continue;
    }
    const start = assignment[0].length;
    const behind = rest.slice(start);
    const value = /^["']/.test(behind) ? readQuoted(behind) : readPlain(behind);
    if (typeof value === "string") {
      problems.push({ line, message: value });
      advance(current.length);
      continue;
    }
    values.set(assignment[1] ?? "", value.text);
    advance(start + value.length);
  }
  return { values, problems };
}
