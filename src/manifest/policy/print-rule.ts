// Rules to text, with no more parentheses than the way back to the same tree needs.

import { partsOf, type Rule } from "./rule.ts";

const SUM = 4;
const PRODUCT = 5;
const UNARY = 6;
const PRIMARY = 7;

/** How tightly each kind binds. A part that binds looser than its place asks for is put into parentheses. */
const BINDING: Readonly<Record<Rule["kind"], number>> = {
  or: 0,
  and: 1,
  not: 2,
  compare: 3,
  arithmetic: SUM,
  negate: UNARY,
  literal: PRIMARY,
  list: PRIMARY,
  auth: PRIMARY,
  field: PRIMARY,
  role: PRIMARY,
};

function bindingOf(rule: Rule): number {
  if (rule.kind === "arithmetic") return rule.op === "+" || rule.op === "-" ? SUM : PRODUCT;
  // A negative number reads back as a minus and a number.
  const isNegative = rule.kind === "literal" && typeof rule.value === "number" && rule.value < 0;
  return isNegative ? UNARY : BINDING[rule.kind];
}

/** Control characters, separators and lone surrogates do not survive every editor and encoder. */
const FRAGILE = /['\\]|[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/gu;

function quoteText(text: string): string {
  const safe = text.replaceAll(FRAGILE, (char) =>
    char === "'" || char === "\\" ? `\\${char}` : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `'${safe}'`;
}

function printLiteral(value: string | number | boolean | null): string {
  return typeof value === "string" ? quoteText(value) : String(value);
}

function printRoles(anyOf: readonly string[]): string {
  return `auth.${anyOf.length === 1 ? "hasRole" : "hasAnyRole"}(${anyOf.map(quoteText).join(", ")})`;
}

function printAt(rule: Rule, least: number): string {
  const text = printRule(rule);
  return bindingOf(rule) < least ? `(${text})` : text;
}

function printArithmetic(rule: Extract<Rule, { kind: "arithmetic" }>): string {
  const binding = bindingOf(rule);
  return `${printAt(rule.left, binding)} ${rule.op} ${printAt(rule.right, binding + 1)}`;
}

/** The rule's text. Parsing it gives the same tree, apart from offsets and the way a negative number is built. */
export function printRule(rule: Rule): string {
  switch (rule.kind) {
    case "literal":
      return printLiteral(rule.value);
    case "list":
      return `[${rule.items.map((item) => printRule(item)).join(", ")}]`;
    case "auth":
      return `auth.${rule.member}`;
    case "field":
      return [rule.root, ...rule.path].join(".");
    case "role":
      return printRoles(rule.anyOf);
    case "not":
      return `!${printAt(rule.of, PRIMARY)}`;
    case "negate":
      return `-${printAt(rule.of, UNARY)}`;
    case "and":
    case "or":
      return partsOf(rule)
        .map((part) => printAt(part, BINDING[rule.kind] + 1))
        .join(` ${rule.kind} `);
    case "compare":
      return `${printAt(rule.left, SUM)} ${rule.op} ${printAt(rule.right, SUM)}`;
    case "arithmetic":
      return printArithmetic(rule);
  }
}
