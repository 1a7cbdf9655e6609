// Rules from text, by recursive descent. A rule that reads differently to different people (`!a == b`, `a < b < c`) is
// refused rather than guessed, because a wrong guess opens a row to the wrong caller.

import { PolicyError } from "./policy-error.ts";
import {
  AUTH_MEMBERS,
  isNullLiteral,
  type ArithmeticOperator,
  type Comparator,
  type Rule,
  type RowRoot,
} from "./rule.ts";
import { tokenizeRule, type Token } from "./token.ts";

/** The deepest nesting, and the longest chain of one arithmetic precedence. */
export const MAX_RULE_DEPTH = 64;

const COMPARATORS: ReadonlySet<string> = new Set<Comparator>([
  ...(["==", "!=", "<", "<=", ">", ">="] as const),
  ...(["in", "starts_with", "ends_with"] as const),
]);
const KEYWORDS: ReadonlySet<string> = new Set(["and", "or", "not", "in", "starts_with", "ends_with"]);
const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ["true", true],
  ["false", false],
  ["null", null],
]);
const ROLE_CALLS: ReadonlyMap<string, "one" | "any"> = new Map([
  ["hasRole", "one"],
  ["has_role", "one"],
  ["hasAnyRole", "any"],
  ["has_any_role", "any"],
]);

type Compare = Extract<Rule, { kind: "compare" }>;

interface Cursor {
  readonly text: string;
  readonly tokens: readonly Token[];
  at: number;
  depth: number;
}

function peek(cursor: Cursor): Token {
  // The last token is `end`, which nothing consumes.
  return cursor.tokens[cursor.at] as Token;
}

function take(cursor: Cursor): Token {
  const token = peek(cursor);
  if (token.kind !== "end") cursor.at += 1;
  return token;
}

/** Whether the next token is one of these names or symbols; a string of the same text is not. */
function isNext(cursor: Cursor, ...texts: readonly string[]): boolean {
  const token = peek(cursor);
  return (token.kind === "name" || token.kind === "symbol") && texts.includes(token.text);
}

function skip(cursor: Cursor, ...texts: readonly string[]): boolean {
  if (!isNext(cursor, ...texts)) return false;
  cursor.at += 1;
  return true;
}

function fail(cursor: Cursor, message: string, offset: number = peek(cursor).offset): PolicyError {
  return new PolicyError(message, cursor.text, offset);
}

function expect(cursor: Cursor, text: string): void {
  if (!skip(cursor, text)) throw fail(cursor, `Expected "${text}"`);
}

function deeper<T>(cursor: Cursor, parse: (cursor: Cursor) => T): T {
  cursor.depth += 1;
  if (cursor.depth > MAX_RULE_DEPTH) throw fail(cursor, `The rule nests deeper than ${MAX_RULE_DEPTH} levels`);
  const result = parse(cursor);
  cursor.depth -= 1;
  return result;
}

function parseJoined(cursor: Cursor, kind: "and" | "or", symbol: string, parsePart: (cursor: Cursor) => Rule): Rule {
  const first = parsePart(cursor);
  if (!isNext(cursor, kind, symbol)) return first;
  const of = [first];
  while (skip(cursor, kind, symbol)) of.push(parsePart(cursor));
  return { kind, of };
}

function parseOr(cursor: Cursor): Rule {
  return parseJoined(cursor, "or", "||", parseAnd);
}

function parseAnd(cursor: Cursor): Rule {
  return parseJoined(cursor, "and", "&&", parseNot);
}

function parseNot(cursor: Cursor): Rule {
  if (skip(cursor, "not")) return { kind: "not", of: deeper(cursor, parseNot) };
  if (isNext(cursor, "!")) return parseBang(cursor);
  return parseComparison(cursor);
}

/** `!x == y` is `(!x) == y` to one reader and `!(x == y)` to another: with `!`, an operation needs its parentheses. */
function parseBang(cursor: Cursor): Rule {
  const bang = take(cursor);
  const of = deeper(cursor, (cursor) => (isNext(cursor, "!") ? parseBang(cursor) : parseUnary(cursor)));
  if (comparatorNext(cursor) || isNext(cursor, "+", "-", "*", "/", "%")) {
    throw fail(cursor, `Expected parentheses that show how far "!" reaches: it stands`, bang.offset);
  }
  return { kind: "not", of };
}

function comparatorNext(cursor: Cursor): boolean {
  const token = peek(cursor);
  return (token.kind === "name" || token.kind === "symbol") && (COMPARATORS.has(token.text) || token.text === "not");
}

function parseComparison(cursor: Cursor): Rule {
  const left = parseSum(cursor);
  if (!comparatorNext(cursor)) return left;
  const token = take(cursor);
  const negated = token.text === "not";
  if (negated) expect(cursor, "in");
  const op = (negated ? "in" : token.text) as Comparator;
  const right = parseSum(cursor);
  if (comparatorNext(cursor)) throw fail(cursor, `Expected "and" or "or" between comparisons`);
  const compare: Compare = { kind: "compare", op, left, right };
  refuseNullTest(cursor, compare, token.offset);
  return negated ? { kind: "not", of: compare } : compare;
}

/**
 * Null can be compared with a field or a member of `auth`, by `==`, `!=` or in a list, and with nothing else:
 * `(auth.userId == data.ownerId) == null` would be true exactly for the callers that the comparison keeps out.
 */
function refuseNullTest(cursor: Cursor, { op, left, right }: Compare, offset: number): void {
  const pairs =
    op === "in" && right.kind === "list" ? right.items.map((item) => [left, item] as const) : [[left, right] as const];
  for (const [a, b] of pairs) {
    if (!isNullLiteral(a) && !isNullLiteral(b)) continue;
    if (op !== "==" && op !== "!=" && op !== "in") throw fail(cursor, `Null cannot be compared by "${op}"`, offset);
    const other = isNullLiteral(a) ? b : a;
    if (other.kind === "field" || other.kind === "auth") continue;
    throw fail(cursor, "Only a field or a member of auth can be compared with null", offset);
  }
}

function parseChain(
  cursor: Cursor,
  operators: readonly ArithmeticOperator[],
  parsePart: (cursor: Cursor) => Rule,
): Rule {
  let left = parsePart(cursor);
  for (let links = 1; isNext(cursor, ...operators); links++) {
    if (links > MAX_RULE_DEPTH) throw fail(cursor, `More than ${MAX_RULE_DEPTH} operators in a row`);
    const op = take(cursor).text as ArithmeticOperator;
    left = { kind: "arithmetic", op, left, right: parsePart(cursor) };
  }
  return left;
}

function parseSum(cursor: Cursor): Rule {
  return parseChain(cursor, ["+", "-"], parseProduct);
}

function parseProduct(cursor: Cursor): Rule {
  return parseChain(cursor, ["*", "/", "%"], parseUnary);
}

function parseUnary(cursor: Cursor): Rule {
  return skip(cursor, "-") ? { kind: "negate", of: deeper(cursor, parseUnary) } : parsePrimary(cursor);
}

function parsePrimary(cursor: Cursor): Rule {
  const token = peek(cursor);
  if (skip(cursor, "(")) {
    const inner = deeper(cursor, parseOr);
    expect(cursor, ")");
    return inner;
  }
  if (skip(cursor, "[")) return { kind: "list", items: deeper(cursor, parseItems) };
  if (token.kind === "string" || token.kind === "number") {
    take(cursor);
    return { kind: "literal", value: token.value };
  }
  if (token.kind === "name" && !KEYWORDS.has(token.text)) return parseNamed(cursor);
  throw fail(cursor, token.kind === "end" ? "Expected a value, the rule ends" : "Expected a value");
}

/** The items of a list whose `[` is consumed, up to and with its `]`. */
function parseItems(cursor: Cursor): Rule[] {
  const items: Rule[] = [];
  if (skip(cursor, "]")) return items;
  do items.push(parseOr(cursor));
  while (skip(cursor, ","));
  expect(cursor, "]");
  return items;
}

function parseNamed(cursor: Cursor): Rule {
  const token = take(cursor);
  const constant = CONSTANTS.get(token.text);
  if (constant !== undefined) return { kind: "literal", value: constant };
  if (token.text === "auth") return parseAuth(cursor);
  if (token.text === "data" || token.text === "existing") return parseField(cursor, token.text, token.offset);
  throw fail(cursor, `Unknown name "${token.text}": expected auth, data or existing`, token.offset);
}

function parseMember(cursor: Cursor): Token {
  expect(cursor, ".");
  const token = take(cursor);
  if (token.kind !== "name") throw fail(cursor, `Expected a name behind "."`, token.offset);
  return token;
}

function parseAuth(cursor: Cursor): Rule {
  const { text, offset } = parseMember(cursor);
  const call = ROLE_CALLS.get(text);
  if (call) return parseRoles(cursor, call);
  const member = AUTH_MEMBERS.get(text);
  if (!member) throw fail(cursor, `Unknown member "auth.${text}"`, offset);
  if (isNext(cursor, ".")) throw fail(cursor, `"auth.${text}" has no members`);
  return { kind: "auth", member };
}

function parseField(cursor: Cursor, root: RowRoot, offset: number): Rule {
  const path: [string, ...string[]] = [parseMember(cursor).text];
  while (isNext(cursor, ".")) path.push(parseMember(cursor).text);
  return { kind: "field", root, path, offset };
}

function parseRole(cursor: Cursor): string {
  const token = take(cursor);
  if (token.kind !== "string") throw fail(cursor, "Expected a role as a string", token.offset);
  return token.value;
}

/** `('a')`, and for the call that takes any number `('a', 'b')` or `(['a', 'b'])`. */
function parseRoles(cursor: Cursor, call: "one" | "any"): Rule {
  expect(cursor, "(");
  const bracket = call === "any" && skip(cursor, "[");
  const anyOf = [parseRole(cursor)];
  if (call === "any") while (skip(cursor, ",")) anyOf.push(parseRole(cursor));
  if (bracket) expect(cursor, "]");
  expect(cursor, ")");
  return { kind: "role", anyOf };
}

/**
 * Reads a rule. From loosest to tightest: `or ||`, `and &&`, `not`, one comparison, `+ -`, `* / %`, unary `-`.
 *
 * @throws {PolicyError} with the place of the first thing that does not fit; nothing else, whatever the text.
 */
export function parseRule(text: string): Rule {
  const cursor: Cursor = { text, tokens: tokenizeRule(text), at: 0, depth: 0 };
  const rule = parseOr(cursor);
  if (peek(cursor).kind !== "end") throw fail(cursor, "Expected an operator or the end");
  return rule;
}
