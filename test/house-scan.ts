// Reads a TypeScript source with TypeScript's own scanner: what it imports (types included), which platform names it
// mentions, which error codes it declares, how long it is. Strings, comments, templates and regular expressions never
// count as code. The scanner's module is called unstable: it may move with a new version of TypeScript, which is pinned.

import { SyntaxKind } from "typescript/unstable/ast";
import { createScanner } from "typescript/unstable/ast/scanner";

export interface Source {
  /** Specifiers of imports, re-exports, `import()`, and `new URL("./x.ts", import.meta.url)`; in order, each once. */
  readonly imports: readonly string[];
  /** Identifiers that are neither a member's name nor a key. */
  readonly names: ReadonlySet<string>;
  /** Keys of the object literals that are given to `defineErrors`. */
  readonly errorCodes: readonly string[];
  /** Lines on which code stands. */
  readonly codeLines: number;
  readonly opensWithComment: boolean;
}

interface Token {
  readonly kind: SyntaxKind;
  /** A string's value, otherwise the token as written. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Kinds after which a slash divides; after anything else it opens a regular expression. */
const ENDS_OPERAND: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.Identifier,
  SyntaxKind.PrivateIdentifier,
  SyntaxKind.NumericLiteral,
  SyntaxKind.BigIntLiteral,
  SyntaxKind.StringLiteral,
  SyntaxKind.RegularExpressionLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateTail,
  SyntaxKind.CloseParenToken,
  SyntaxKind.CloseBracketToken,
  SyntaxKind.CloseBraceToken,
  SyntaxKind.PlusPlusToken,
  SyntaxKind.MinusMinusToken,
  SyntaxKind.ThisKeyword,
  SyntaxKind.SuperKeyword,
  SyntaxKind.TrueKeyword,
  SyntaxKind.FalseKeyword,
  SyntaxKind.NullKeyword,
]);

const isString = (token: Token | undefined): boolean =>
  token?.kind === SyntaxKind.StringLiteral || token?.kind === SyntaxKind.NoSubstitutionTemplateLiteral;

function tokenize(text: string): readonly Token[] {
  const scanner = createScanner(true, undefined, text);
  const tokens: Token[] = [];
  // For each `{` that is open: whether it is the `${` of a template, whose `}` goes on with the template.
  const braces: boolean[] = [];
  for (let kind = scanner.scan(); kind !== SyntaxKind.EndOfFile; kind = scanner.scan()) {
    const before = tokens.at(-1);
    if (kind === SyntaxKind.SlashToken || kind === SyntaxKind.SlashEqualsToken) {
      if (!before || !ENDS_OPERAND.has(before.kind)) kind = scanner.reScanSlashToken();
    } else if (kind === SyntaxKind.CloseBraceToken && braces.pop()) {
      kind = scanner.reScanTemplateToken(false);
      if (kind === SyntaxKind.TemplateMiddle) braces.push(true);
    } else if (kind === SyntaxKind.OpenBraceToken || kind === SyntaxKind.TemplateHead) {
      braces.push(kind === SyntaxKind.TemplateHead);
    }
    const token = { kind, text: scanner.getTokenText(), start: scanner.getTokenStart(), end: scanner.getTokenEnd() };
    tokens.push(isString(token) ? { ...token, text: scanner.getTokenValue() } : token);
  }
  return tokens;
}

/** The specifier of the declaration that starts with `import` or `export` at `at`, if it has one. */
function readSpecifier(tokens: readonly Token[], at: number): string | undefined {
  const second = tokens[at + 1];
  // import "./x.ts" · import("./x.ts") · typeof import("./x.ts")
  if (tokens[at]?.kind === SyntaxKind.ImportKeyword) {
    if (isString(second)) return second?.text;
    if (second?.kind === SyntaxKind.OpenParenToken) return isString(tokens[at + 2]) ? tokens[at + 2]?.text : undefined;
    if (second?.kind === SyntaxKind.DotToken) return undefined;
  }
  // Names in braces, `*`, `type` and commas may stand between the keyword and `from`; anything else is a declaration.
  for (let i = at + 1; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    if (token.kind === SyntaxKind.FromKeyword && isString(tokens[i + 1])) return tokens[i + 1]?.text;
    if (token.kind === SyntaxKind.SemicolonToken || token.kind === SyntaxKind.EqualsToken) return undefined;
    if (token.kind === SyntaxKind.OpenParenToken || token.kind === SyntaxKind.ColonToken) return undefined;
  }
  return undefined;
}

/** The first argument of `URL("./x.ts", import.meta.url)` at `at`, which is how a Worker's module is named. */
function readModuleUrl(tokens: readonly Token[], at: number): string | undefined {
  const shape = tokens.slice(at, at + 9).map((token, i) => (i === 2 ? "" : token.text));
  const [name, specifier] = [shape.join(""), tokens[at + 2]];
  return name === "URL(,import.meta.url" && isString(specifier) ? specifier?.text : undefined;
}

/** Whether the identifier at `at` is a member's name (`x.process`) or a key (`process:`, `process()`) and not a mention. */
function isMemberOrKey(tokens: readonly Token[], at: number): boolean {
  const [before, after] = [tokens[at - 1], tokens[at + 1]];
  if (before?.kind === SyntaxKind.DotToken || before?.kind === SyntaxKind.QuestionDotToken) {
    return tokens[at - 2]?.text !== "globalThis";
  }
  const startsMember =
    before?.kind === SyntaxKind.OpenBraceToken ||
    before?.kind === SyntaxKind.CommaToken ||
    before?.kind === SyntaxKind.SemicolonToken ||
    before?.kind === SyntaxKind.ReadonlyKeyword ||
    before?.kind === SyntaxKind.AsyncKeyword;
  if (!startsMember) return false;
  return after?.text === ":" || after?.text === "?" || after?.text === "(";
}

/** The keys of the object literal in the `defineErrors(…)` whose name is at `at`; none when it is only mentioned. */
function readErrorCodes(tokens: readonly Token[], at: number): readonly string[] {
  if (tokens[at + 1]?.kind !== SyntaxKind.OpenParenToken || tokens[at + 2]?.kind !== SyntaxKind.OpenBraceToken)
    return [];
  const codes: string[] = [];
  let depth = 1;
  for (let i = at + 3; i < tokens.length && depth > 0; i++) {
    const token = tokens[i] as Token;
    if ("{([".includes(token.text)) depth++;
    else if ("})]".includes(token.text)) depth--;
    else if (depth === 1 && tokens[i + 1]?.kind === SyntaxKind.ColonToken) codes.push(token.text);
  }
  return codes;
}

function countCodeLines(text: string, tokens: readonly Token[]): number {
  let [line, position, counted, count] = [0, 0, -1, 0];
  const advanceTo = (end: number): void => {
    for (; position < end; position++) if (text.charCodeAt(position) === 10) line++;
  };
  for (const token of tokens) {
    advanceTo(token.start);
    const first = Math.max(line, counted + 1);
    advanceTo(token.end);
    count += Math.max(0, line - first + 1);
    counted = Math.max(counted, line);
  }
  return count;
}

/** @param text a module in TypeScript without JSX */
export function scanSource(text: string): Source {
  const tokens = tokenize(text);
  const imports = new Set<string>();
  const names = new Set<string>();
  const errorCodes: string[] = [];
  for (const [i, token] of tokens.entries()) {
    if (token.kind === SyntaxKind.ImportKeyword || token.kind === SyntaxKind.ExportKeyword) {
      const specifier = readSpecifier(tokens, i);
      if (specifier !== undefined) imports.add(specifier);
    } else if (token.text === "URL") {
      const specifier = readModuleUrl(tokens, i);
      if (specifier !== undefined) imports.add(specifier);
    } else if (token.text === "defineErrors") {
      errorCodes.push(...readErrorCodes(tokens, i));
    }
    if (isName(token) && !isMemberOrKey(tokens, i)) names.add(token.text);
  }
  return {
    imports: [...imports],
    names,
    errorCodes,
    codeLines: countCodeLines(text, tokens),
    opensWithComment: /^(?:#![^\n]*\n)?\s*\/[/*]/.test(text),
  };
}

/** Identifiers, and the keywords (`require`, `global`) that may be used as one. */
function isName(token: Token): boolean {
  return (
    token.kind === SyntaxKind.Identifier ||
    token.kind === SyntaxKind.RequireKeyword ||
    token.kind === SyntaxKind.GlobalKeyword
  );
}
