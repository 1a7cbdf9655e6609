// Says where an application fails to load: turns what Bun throws while it imports a file into problems with a file, a line
// and a column, and finds the other missing imports of a file whose first one Bun reported.

import { readFileSync } from "node:fs";
import { dirname, extname, isAbsolute, relative, sep } from "node:path";

/** One reason why an application does not load. `file` is relative to it; line and column count from 1. */
export interface LoadProblem {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly message: string;
}

export interface ProblemSource {
  /** The application's folder, without symbolic links. */
  readonly dir: string;
  /** The file that was being imported. */
  readonly entry: string;
  /** Modules that exist without a file. */
  readonly virtual: ReadonlySet<string>;
}

interface Position {
  readonly line: number;
  readonly column: number;
}

const MAX_CAUSES = 50;
/** `at name (/file:line:column)`, `at /file:line:column` */
const STACK_FRAME = /(?:\(|at )((?:\/|[A-Za-z]:\\)[^()]*):(\d+):(\d+)\)?$/;
const SCRIPT_LOADERS: Readonly<Record<string, Bun.JavaScriptLoader>> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".jsx": "jsx",
};

/** A path as a reader of the problem knows it: inside the application relative, elsewhere in full. */
export function toDisplayPath(dir: string, file: string): string {
  const inside = relative(dir, file);
  return inside === "" || inside.startsWith("..") || isAbsolute(inside) ? file : inside.split(sep).join("/");
}

function isOwn(dir: string, file: string): boolean {
  return file.startsWith(dir + sep) && !file.includes(`${sep}node_modules${sep}`);
}

function positionAt(text: string, index: number): Position {
  const before = text.slice(0, index);
  return { line: before.split("\n").length, column: index - before.lastIndexOf("\n") };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function problemAt(source: ProblemSource, file: string, position: Position | undefined, message: string): LoadProblem {
  return {
    file: toDisplayPath(source.dir, file),
    line: position?.line ?? null,
    column: position?.column ?? null,
    message,
  };
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && key in value
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

function textOf(error: unknown): string {
  const message = fieldOf(error, "message");
  return typeof message === "string" ? message : String(error);
}

/** Syntax errors: Bun says where. */
function fromBuildMessage(error: BuildMessage, source: ProblemSource): LoadProblem[] {
  const { position, message } = error;
  return [problemAt(source, position?.file ?? source.entry, position ?? undefined, message)];
}

function missingMessage(specifier: string): string {
  if (specifier.startsWith(".") || isAbsolute(specifier)) return `Cannot find "${specifier}"`;
  // Bun remembers in a process that a package was not there.
  return `Cannot find package "${specifier}": install it, then start Pylon again`;
}

function positionOfImport(text: string, specifier: string): Position | undefined {
  const places = [`"${specifier}"`, `'${specifier}'`]
    .map((quoted) => text.indexOf(quoted))
    .filter((index) => index >= 0);
  return places.length === 0 ? undefined : positionAt(text, Math.min(...places));
}

function canResolve(specifier: string, file: string): boolean {
  try {
    Bun.resolveSync(specifier, dirname(file));
    return true;
  } catch {
    return false;
  }
}

function findMissingImports(file: string, text: string, virtual: ReadonlySet<string>): string[] {
  const loader = SCRIPT_LOADERS[extname(file)];
  if (!loader) return [];
  const imports = new Bun.Transpiler({ loader }).scanImports(text);
  const missing = imports.map(({ path }) => path).filter((path) => !virtual.has(path) && !canResolve(path, file));
  return [...new Set(missing)];
}

/** Bun reports the first import that is missing, without its place. */
function fromResolveMessage(error: ResolveMessage, source: ProblemSource): LoadProblem[] {
  const file = isAbsolute(error.referrer) ? error.referrer : source.entry;
  const text = readText(file);
  if (text === undefined || !isOwn(source.dir, file))
    return [problemAt(source, file, undefined, missingMessage(error.specifier))];
  const missing = new Set([error.specifier, ...findMissingImports(file, text, source.virtual)]);
  return [...missing].map((specifier) =>
    problemAt(source, file, positionOfImport(text, specifier), missingMessage(specifier)),
  );
}

/** `import { name }` of something that does not export it: Bun names neither the importer nor the place. */
function fromMissingExport(error: SyntaxError, source: ProblemSource): LoadProblem[] {
  const name = /Export named '([^']+)' not found/.exec(error.message)?.[1];
  const text = name === undefined ? undefined : readText(source.entry);
  const found =
    name === undefined ? undefined : new RegExp(`import[^;]*?\\b${RegExp.escape(name)}\\b`).exec(text ?? "");
  const position =
    found && text !== undefined ? positionAt(text, found.index + found[0].length - (name ?? "").length) : undefined;
  return [problemAt(source, source.entry, position, error.message)];
}

/** What a module threw while it ran: the first frame that is the application's own. */
function fromThrown(error: unknown, source: ProblemSource): LoadProblem[] {
  const name = fieldOf(error, "name");
  const message = typeof name === "string" ? `${name}: ${textOf(error)}` : `Thrown while loading: ${textOf(error)}`;
  const stack = fieldOf(error, "stack");
  for (const line of typeof stack === "string" ? stack.split("\n") : []) {
    const [, file, at, column] = STACK_FRAME.exec(line) ?? [];
    if (file === undefined || !isOwn(source.dir, file)) continue;
    return [problemAt(source, file, { line: Number(at), column: Number(column) }, message)];
  }
  return [problemAt(source, source.entry, undefined, message)];
}

/** Lists what is behind a failed import. */
export function toLoadProblems(error: unknown, source: ProblemSource): LoadProblem[] {
  if (error instanceof AggregateError) {
    return (error.errors as unknown[]).slice(0, MAX_CAUSES).flatMap((cause) => toLoadProblems(cause, source));
  }
  if (error instanceof ResolveMessage) return fromResolveMessage(error, source);
  if (error instanceof BuildMessage) return fromBuildMessage(error, source);
  if (error instanceof SyntaxError) return fromMissingExport(error, source);
  return fromThrown(error, source);
}

/** The same problem is found by every file that imports the one that has it. */
export function dedupeProblems(problems: readonly LoadProblem[]): LoadProblem[] {
  const seen = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...seen.values()];
}
