// What an application may write into an entity: one compiled reader per entity, on the path of every write. What it lets
// through fits the columns of every store and reads back as it was written; every problem of an input is reported at once.

import type { Problem } from "../core/errors.ts";
import { isJson, isObject, type Json, type JsonObject } from "../core/json.ts";
import { toJson } from "../core/to-json.ts";
import { normalizeDatetime } from "../manifest/datetime-text.ts";
import { idTarget, type PlainFieldType } from "../manifest/field-type.ts";
import type { EntityDef, FieldDef } from "../manifest/manifest.ts";
import type { Row, Value } from "../store/store.ts";

export type ParseResult =
  | { readonly ok: true; readonly data: Record<string, Value> }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export type ValueResult =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

/** Reads and writes rows of one entity. Holds no state between calls. */
export interface EntityCodec {
  readonly entity: EntityDef;
  /** A whole row without its id: absent optional fields become null. `undefined` counts as absent. */
  parseInsert(input: unknown): ParseResult;
  /** Only the fields that are given. */
  parseUpdate(input: unknown): ParseResult;
  /** A value to compare a field, or `id`, with. Null is a value here, whatever the field says. */
  parseFilterValue(field: string, value: unknown): ValueResult;
  /** The same from text, as in a query string. A json field cannot be compared. */
  parseFilterText(field: string, text: string): ValueResult;
  /** `id` and every field in declared order; an integer beyond 2^53 as its decimal text, which no reader rounds. */
  toJson(row: Row): JsonObject;
  /** The JSON text of {@link toJson}. Whoever hears of one change asks for the same row, so the last one is kept. */
  toText(row: Row): string;
}

/** More problems than this are not listed, so that an answer stays smaller than what it answers. */
const MAX_PROBLEMS = 100;
const MAX_ID_CHARS = 128;
const MAX_NAME_IN_MESSAGE_CHARS = 64;

/** Reads one value of a type. `accept` answers undefined for what does not fit, `explain` then says why. */
interface TypeReader {
  readonly accept: (value: unknown) => Value | undefined;
  readonly explain: (value: unknown) => string;
  /** What a query string's text means; undefined when it means nothing. */
  readonly fromText: (text: string) => unknown;
}

/** Postgres stores no NUL in text, and a lone surrogate does not survive UTF-8. */
function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

function explainText(value: unknown, expected: string): string {
  if (typeof value !== "string" || value === "") return expected;
  if (value.includes("\0")) return "Text cannot hold the character U+0000";
  return value.isWellFormed() ? expected : "Text cannot hold a lone surrogate";
}

function isStorableJson(value: Json): boolean {
  if (typeof value === "string") return isStorableText(value);
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return (value as readonly Json[]).every(isStorableJson);
  return Object.entries(value as JsonObject).every(([key, item]) => isStorableText(key) && isStorableJson(item));
}

const asIs = (text: string): unknown => text;

const TEXT: TypeReader = {
  accept: (value) => (typeof value === "string" && isStorableText(value) ? value : undefined),
  explain: (value) => explainText(value, "Expected a string"),
  fromText: asIs,
};

const ID: TypeReader = {
  accept: (value) =>
    typeof value === "string" && value !== "" && value.length <= MAX_ID_CHARS && isStorableText(value)
      ? value
      : undefined,
  explain: (value) => explainText(value, `Expected an id: a string of 1 to ${MAX_ID_CHARS} characters`),
  fromText: asIs,
};

const INTEGER_TEXT = /^-?\d{1,16}$/;
const NUMBER_TEXT = /^-?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,4})?$/;
const BOOL_OF_TEXT: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["false", false],
]);

function explainJson(value: unknown): string {
  if (isJson(value)) return "JSON text cannot hold U+0000 or a lone surrogate";
  const copied = toJson(value);
  if (copied.ok) return "Expected a JSON value";
  const at = copied.path === "" ? "" : ` at ${copied.path}`;
  // `1e400` is JSON, and read as Infinity.
  const wanted = /^-?Infinity$|^NaN$/.test(copied.message) ? "finite numbers" : "a JSON value";
  return `Expected ${wanted}, got ${copied.message}${at}`;
}

const READERS: Readonly<Record<PlainFieldType, TypeReader>> = {
  string: TEXT,
  richtext: TEXT,
  int: {
    // Adding 0 turns −0, which an integer column does not keep, into 0.
    accept: (value) => (Number.isSafeInteger(value) ? (value as number) + 0 : undefined),
    explain: () => "Expected an integer between -9007199254740991 and 9007199254740991",
    fromText: (text) => (INTEGER_TEXT.test(text) ? Number(text) : undefined),
  },
  float: {
    accept: (value) => (Number.isFinite(value) ? (value as number) + 0 : undefined),
    explain: () => "Expected a finite number",
    fromText: (text) => (NUMBER_TEXT.test(text) ? Number(text) : undefined),
  },
  bool: {
    accept: (value) => (typeof value === "boolean" ? value : undefined),
    explain: () => "Expected true or false",
    fromText: (text) => BOOL_OF_TEXT.get(text),
  },
  datetime: {
    accept: (value) => (typeof value === "string" ? normalizeDatetime(value) : undefined),
    explain: () => "Expected an ISO 8601 date and time with Z or an offset, such as 2026-04-28T10:32:00Z",
    fromText: asIs,
  },
  json: {
    accept: (value) => (isJson(value) && isStorableJson(value) ? value : undefined),
    explain: explainJson,
    fromText: () => undefined,
  },
};

interface FieldReader {
  readonly name: string;
  readonly isJson: boolean;
  readonly optional: boolean;
  readonly type: TypeReader;
}

function fieldReader({ name, type, optional }: FieldDef): FieldReader {
  const reader = idTarget(type) === undefined ? READERS[type as PlainFieldType] : ID;
  return { name, optional, type: reader, isJson: type === "json" };
}

const ID_FIELD: FieldReader = { name: "id", optional: false, isJson: false, type: ID };

function absentProblem(field: FieldReader, value: unknown): Problem {
  const message = value === undefined ? "Missing: this field is required" : "This field cannot be null";
  return { path: field.name, message };
}

function misfit(field: FieldReader, value: unknown): Problem {
  return { path: field.name, message: field.type.explain(value) };
}

function unknownField(name: string): Problem {
  const path = name.length > MAX_NAME_IN_MESSAGE_CHARS ? `${name.slice(0, MAX_NAME_IN_MESSAGE_CHARS)}…` : name;
  return { path, message: name === "id" ? "The id is given by the server" : "Unknown field" };
}

function unknownFields(input: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): Problem[] {
  return Object.keys(input)
    .filter((name) => !known.has(name))
    .slice(0, MAX_PROBLEMS)
    .map(unknownField);
}

const NOT_AN_OBJECT: ParseResult = { ok: false, problems: [{ path: "", message: "Expected an object" }] };

/** Reads the fields of `input`. `isWhole` asks for every field, so absent ones are null or a problem. */
function createReader(fields: readonly FieldReader[], isWhole: boolean): (input: unknown) => ParseResult {
  const known = new Set(fields.map((field) => field.name));
  return (input) => {
    if (!isObject(input)) return NOT_AN_OBJECT;
    const data: Record<string, Value> = {};
    const problems: Problem[] = [];
    let given = 0;
    for (const field of fields) {
      const isGiven = Object.hasOwn(input, field.name);
      if (isGiven) given += 1;
      const value = isGiven ? input[field.name] : undefined;
      if (value === undefined && !isWhole) continue;
      if (value === undefined || value === null) {
        if (field.optional) data[field.name] = null;
        else problems.push(absentProblem(field, value));
        continue;
      }
      const accepted = field.type.accept(value);
      if (accepted === undefined) problems.push(misfit(field, value));
      else data[field.name] = accepted;
    }
    // Fewer known fields than keys: the only case in which the keys are looked at one by one.
    if (given !== Object.keys(input).length) problems.push(...unknownFields(input, known));
    return problems.length === 0 ? { ok: true, data } : { ok: false, problems: problems.slice(0, MAX_PROBLEMS) };
  };
}

function filterValue(field: FieldReader | undefined, name: string, value: unknown): ValueResult {
  if (!field) return { ok: false, problem: { path: unknownField(name).path, message: "Unknown field" } };
  if (value === null) return { ok: true, value };
  const accepted = field.type.accept(value);
  return accepted === undefined ? { ok: false, problem: misfit(field, value) } : { ok: true, value: accepted };
}

function filterText(field: FieldReader | undefined, name: string, text: string): ValueResult {
  if (field?.isJson) {
    return { ok: false, problem: { path: field.name, message: "A json field cannot be compared in a query string" } };
  }
  return filterValue(field, name, field?.type.fromText(text));
}

function toJsonValue(value: Value | undefined): Json {
  if (typeof value === "bigint") return value.toString();
  // No entity has a column of bytes.
  return value === undefined || value instanceof Uint8Array ? null : value;
}

/** Compiles the reader of an entity. The entity must have passed `checkManifest`. */
export function compileEntity(entity: EntityDef): EntityCodec {
  const fields = entity.fields.map(fieldReader);
  const names = fields.map((field) => field.name);
  const byName = new Map([ID_FIELD, ...fields].map((field) => [field.name, field]));
  const toJson = (row: Row): JsonObject => {
    const json: Record<string, Json> = { id: row.id };
    for (const name of names) json[name] = toJsonValue(row[name]);
    return json;
  };
  let last: { readonly row: Row; readonly text: string } | undefined;
  return {
    entity,
    parseInsert: createReader(fields, true),
    parseUpdate: createReader(fields, false),
    parseFilterValue: (name, value) => filterValue(byName.get(name), name, value),
    parseFilterText: (name, text) => filterText(byName.get(name), name, text),
    toJson,
    toText(row) {
      if (last?.row !== row) last = { row, text: JSON.stringify(toJson(row)) };
      return last.text;
    },
  };
}
