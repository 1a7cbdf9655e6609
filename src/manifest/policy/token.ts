// A rule's text as tokens. One pass over the characters, no backtracking, so the cost is linear whatever the text.

import { PolicyError } from "./policy-error.ts";

export type Token =
  | { readonly kind: "name" | "symbol"; readonly text: string; readonly offset: number }
  | { readonly kind: "string"; readonly text: string; readonly value: string; readonly offset: number }
  | { readonly kind: "number"; readonly text: string; readonly value: number; readonly offset: number }
  | { readonly kind: "end"; readonly text: "the end"; readonly offset: number };

/** The longest rule, in UTF-16 units. */
export const MAX_RULE_CHARS = 4096;

/** Longest first, so that `<=` is not read as `<`. */
const SYMBOLS: readonly string[] = "== != <= >= && || < > ! + - * / % ( ) [ ] , .".split(" ");

const ESCAPES: Readonly<Record<string, string>> = {
  "'": "'",
  '"': '"',
  "\\": "\\",
  "/": "/",
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
};

const SPACE = /\s/;
const NAME_START = /[A-Za-z_]/;
const NAME_PART = /[A-Za-z0-9_]/;
const DIGIT = /[0-9]/;
const HEX4 = /^[0-9a-fA-F]{4}$/;

function endOf(text: string, start: number, part: RegExp): number {
  let end = start;
  while (end < text.length && part.test(text.charAt(end))) end += 1;
  return end;
}

function digitsFrom(text: string, start: number): number {
  const end = endOf(text, start, DIGIT);
  if (end === start) throw new PolicyError("Expected a digit", text, start);
  return end;
}

function readNumber(text: string, offset: number): Token {
  let end = digitsFrom(text, offset);
  if (text.charAt(end) === ".") end = digitsFrom(text, end + 1);
  if (text.charAt(end) === "e" || text.charAt(end) === "E") {
    const sign = text.charAt(end + 1);
    end = digitsFrom(text, sign === "+" || sign === "-" ? end + 2 : end + 1);
  }
  if (NAME_PART.test(text.charAt(end))) throw new PolicyError("Expected the end of a number", text, end);
  const raw = text.slice(offset, end);
  const value = Number(raw);
  if (!Number.isFinite(value)) throw new PolicyError("The number is too large", text, offset);
  return { kind: "number", text: raw, value, offset };
}

/** The character that an escape stands for, and where the text goes on. `at` is the place behind the backslash. */
function readEscape(text: string, at: number): { readonly value: string; readonly end: number } {
  const letter = text.charAt(at);
  if (letter === "u") {
    const digits = text.slice(at + 1, at + 5);
    if (!HEX4.test(digits)) throw new PolicyError("Expected four hex digits", text, Math.min(at + 1, text.length));
    return { value: String.fromCharCode(Number.parseInt(digits, 16)), end: at + 5 };
  }
  if (!Object.hasOwn(ESCAPES, letter)) throw new PolicyError("Unknown escape", text, at - 1);
  return { value: ESCAPES[letter] as string, end: at + 1 };
}

function readString(text: string, offset: number): Token {
  const quote = text.charAt(offset);
  let value = "";
  let at = offset + 1;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === quote) return { kind: "string", text: text.slice(offset, at + 1), value, offset };
    const next = char === "\\" ? readEscape(text, at + 1) : { value: char, end: at + 1 };
    value += next.value;
    at = next.end;
  }
  throw new PolicyError("The string does not end: it began", text, offset);
}

function readSymbol(text: string, offset: number): Token {
  const symbol = SYMBOLS.find((symbol) => text.startsWith(symbol, offset));
  if (symbol === undefined) throw new PolicyError("Unexpected character", text, offset);
  return { kind: "symbol", text: symbol, offset };
}

function readToken(text: string, offset: number): Token {
  const char = text.charAt(offset);
  if (NAME_START.test(char)) {
    return { kind: "name", text: text.slice(offset, endOf(text, offset, NAME_PART)), offset };
  }
  if (DIGIT.test(char)) return readNumber(text, offset);
  return char === "'" || char === '"' ? readString(text, offset) : readSymbol(text, offset);
}

/**
 * The tokens of a rule, the last one of kind `end`.
 *
 * @throws {PolicyError} at the first character that fits nowhere, and for more than {@link MAX_RULE_CHARS}.
 */
export function tokenizeRule(text: string): Token[] {
  if (text.length > MAX_RULE_CHARS) {
    throw new PolicyError(`The rule is longer than ${MAX_RULE_CHARS} characters`, text, MAX_RULE_CHARS);
  }
  const tokens: Token[] = [];
  let at = endOf(text, 0, SPACE);
  while (at < text.length) {
    const token = readToken(text, at);
    tokens.push(token);
    at = endOf(text, at + token.text.length, SPACE);
  }
  tokens.push({ kind: "end", text: "the end", offset: text.length });
  return tokens;
}
