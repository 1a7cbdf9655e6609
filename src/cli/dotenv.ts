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

function firstLine(text: string): string {
  const end = text.indexOf("\n");
  return end < 0 ? text : text.slice(0, end);
}

/** A value without quotes ends at the end of the line, or at a `#` behind a blank. */
function readPlain(text: string): Value {
  const line = firstLine(text);
  return { text: line.replace(/(?:^|[ \t]+)#.*$/, "").trim(), length: line.length };
}

/** A value in quotes may have several lines; only double quotes know escapes. */
function readQuoted(text: string): Value | string {
  const quoted = text.startsWith('"') ? /^"((?:[^"\\]|\\[^])*)"/.exec(text) : /^'([^']*)'/.exec(text);
  if (!quoted) return "The quote is never closed";
  const behind = firstLine(text.slice(quoted[0].length));
  if (!NOTHING.test(behind)) return "Expected the end of the line behind the closing quote";
  const inner = quoted[1] ?? "";
  const value = text.startsWith('"') ? inner.replace(/\\([^])/g, (_, char: string) => ESCAPES[char] ?? char) : inner;
  return { text: value, length: quoted[0].length + behind.length };
}

type Entry = { readonly length: number } & (
  | { readonly kind: "nothing" }
  | { readonly kind: "value"; readonly name: string; readonly text: string }
  | { readonly kind: "problem"; readonly message: string }
);

/** What begins at the start of `text`, up to and without the end of its last line. */
function readEntry(text: string): Entry {
  const line = firstLine(text);
  const assignment = ASSIGNMENT.exec(line);
  if (!assignment) {
    if (NOTHING.test(line)) return { kind: "nothing", length: line.length };
    return { kind: "problem", message: "Expected NAME=value", length: line.length };
  }
  const start = assignment[0].length;
  const behind = text.slice(start);
  const value = /^["']/.test(behind) ? readQuoted(behind) : readPlain(behind);
  if (typeof value === "string") return { kind: "problem", message: value, length: line.length };
  return { kind: "value", name: assignment[1] ?? "", text: value.text, length: start + value.length };
}

/** Never throws: a line that does not fit is listed and left out. */
export function parseDotenv(source: string): Dotenv {
  const values = new Map<string, string>();
  const problems: DotenvProblem[] = [];
  const text = source.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  let line = 1;
  for (let at = 0; at < text.length;) {
    const entry = readEntry(text.slice(at));
    if (entry.kind === "problem") problems.push({ line, message: entry.message });
    if (entry.kind === "value") values.set(entry.name, entry.text);
    const end = at + entry.length + 1;
    line += text.slice(at, end).split("\n").length - 1;
    at = end;
  }
  return { values, problems };
}
