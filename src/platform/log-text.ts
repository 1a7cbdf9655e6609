// One event of the log as people read it: time, level, event, fields. What an event quotes from outside cannot move the
// cursor, change colours or begin a line of its own.

import type { Json } from "../core/json.ts";
import type { LogFields } from "../core/log.ts";

export interface TextLine {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  /** ISO 8601. */
  readonly time: string;
  readonly fields: LogFields;
  readonly colour: boolean;
}

type Paint = "dim" | "red" | "yellow" | "green" | "cyan";

const CODES: Readonly<Record<Paint, number>> = { dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };
const LEVEL_PAINT: Readonly<Record<TextLine["level"], Paint>> = { info: "green", warn: "yellow", error: "red" };
const STATUS_PAINT: Readonly<Record<string, Paint>> = { "2": "green", "3": "cyan", "4": "yellow", "5": "red" };
const EVENT_WIDTH = 16;

/** Control characters of C0 and C1, the line and paragraph separators, and the marks that turn writing direction. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const NEEDS_QUOTES = /^$|[\s"=]/;

function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function renderValue(value: Json): string {
  if (typeof value !== "string") return escapeUnprintable(JSON.stringify(value));
  return escapeUnprintable(NEEDS_QUOTES.test(value) ? JSON.stringify(value) : value);
}

function renderStack(stack: Json | undefined): string {
  if (typeof stack !== "string") return "";
  return stack
    .split("\n")
    .map((line) => `\n    ${escapeUnprintable(line)}`)
    .join("");
}

function renderFields(fields: LogFields): string {
  return Object.entries(fields)
    .flatMap(([name, value]) => (value === undefined || name === "stack" ? [] : [`${name}=${renderValue(value)}`]))
    .join(" ");
}

type Painter = (paint: Paint, text: string) => string;

/** The most frequent line: method, status, time, path in columns. */
function renderRequest({ method, status, ms, path, requestId, ...others }: LogFields, paint: Painter): string {
  const statusText = renderValue(status ?? "");
  const columns = [
    renderValue(method ?? "").padEnd(6),
    paint(STATUS_PAINT[statusText.charAt(0)] ?? "dim", statusText),
    `${typeof ms === "number" ? ms.toFixed(1) : "?"} ms`.padStart(10),
    renderValue(path ?? ""),
    paint("dim", renderValue(requestId ?? "")),
  ];
  const rest = renderFields(others);
  return rest === "" ? columns.join(" ") : `${columns.join(" ")} ${rest}`;
}

export function renderTextLine({ level, event, time, fields, colour }: TextLine): string {
  const paint: Painter = (name, text) => (colour ? `\u001b[${CODES[name]}m${text}\u001b[0m` : text);
  const start = `${paint("dim", time.slice(11, 23))} ${paint(LEVEL_PAINT[level], level.padEnd(5))}`;
  if (event === "request") return `${start} ${renderRequest(fields, paint)}`;
  return `${start} ${event.padEnd(EVENT_WIDTH)} ${renderFields(fields)}`.trimEnd() + renderStack(fields.stack);
}
