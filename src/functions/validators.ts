// The validators `v.*` that describe a function's arguments. Reading a value lists every problem at once, refuses keys that
// nobody declared, and gives a copy that shares nothing with the input.

import { coreError, type PylonError, type Problem } from "../core/errors.ts";
import { isObject, type Json, type JsonObject, type JsonPrimitive } from "../core/json.ts";
import { normalizeDatetime } from "../manifest/datetime-text.ts";
import { describeValue, joinPath, toJson } from "../core/to-json.ts";

/** Names a validator across copies of this module, as `Symbol.for` does. */
const VALIDATOR: unique symbol = Symbol.for("pylon.validator") as never;
declare const TYPE: unique symbol;

const MAX_PROBLEMS = 100;
const MAX_ID_CHARS = 128;

/** What application code knows about a value and the runtime does not: the type that `JSON.parse` gives. */
export type Loose = ReturnType<typeof JSON.parse>;

/** Describes one argument. */
export interface Validator<T = unknown> {
  readonly [VALIDATOR]: true;
  readonly [TYPE]?: T;
  /** For messages: "Expected string, got number". */
  readonly expects: string;
  readonly mayBeAbsent: boolean;
  /** JSON Schema 2020-12. */
  readonly jsonSchema: JsonObject;
  /** Adds what is wrong to `problems`; the answer counts only when nothing was added. */
  read(value: unknown, path: string, problems: Problem[]): unknown;
  /** The same as `v.optional(this)`. */
  optional(): OptionalValidator<T>;
}

/** The key may be missing. */
export interface OptionalValidator<T = unknown> extends Validator<T | undefined> {
  readonly mayBeAbsent: true;
}

/** The arguments of a function: a validator per name. */
export type ArgsSpec = Readonly<Record<string, Validator>>;

type Flat<T> = { [K in keyof T]: T[K] };
type AbsentKeys<S> = { [K in keyof S]: S[K] extends OptionalValidator ? K : never }[keyof S];

/** The type that a validator lets through. */
export type Infer<V> = V extends Validator<infer T> ? T : never;
/** The type of a function's arguments. */
export type InferArgs<S> = Flat<
  { -readonly [K in Exclude<keyof S, AbsentKeys<S>>]: Infer<S[K]> } & {
    -readonly [K in AbsentKeys<S>]?: Infer<S[K]>;
  }
>;

interface ValidatorParts {
  readonly expects: string;
  readonly jsonSchema: JsonObject;
  readonly mayBeAbsent?: boolean;
  read(value: unknown, path: string, problems: Problem[]): unknown;
}

function createValidator<T>(parts: ValidatorParts): Validator<T> {
  const validator: Validator<T> = {
    [VALIDATOR]: true,
    mayBeAbsent: false,
    ...parts,
    optional: () => optional(validator),
  };
  return validator;
}

function addProblem(problems: Problem[], path: string, message: string): void {
  if (problems.length < MAX_PROBLEMS) problems.push({ path, message });
}

/** A validator of one test: what passes is taken as it is. */
function createScalar<T>(expects: string, jsonSchema: JsonObject, test: (value: unknown) => boolean): Validator<T> {
  return createValidator<T>({
    expects,
    jsonSchema,
    read(value, path, problems) {
      if (!test(value)) addProblem(problems, path, `Expected ${expects}, got ${describeValue(value)}`);
      return value;
    },
  });
}

const isString = (value: unknown): boolean => typeof value === "string";
const isBoolean = (value: unknown): boolean => typeof value === "boolean";

function string(): Validator<string> {
  return createScalar("string", { type: "string" }, isString);
}

/** Any finite number. */
function number(): Validator<number> {
  return createScalar("number", { type: "number" }, (value) => Number.isFinite(value));
}

/** A whole number that a double holds exactly: ±(2^53-1). */
function int(): Validator<number> {
  return createScalar("int", { type: "integer" }, (value) => Number.isSafeInteger(value));
}

function boolean(): Validator<boolean> {
  return createScalar("boolean", { type: "boolean" }, isBoolean);
}

/** An ISO 8601 date and time with its offset, as a string; taken as it was written. */
function datetime(): Validator<string> {
  const test = (value: unknown): boolean => typeof value === "string" && normalizeDatetime(value) !== undefined;
  return createScalar("datetime (ISO 8601)", { type: "string", format: "date-time" }, test);
}

/** The id of a row of `entity`. That the row exists is not checked. */
function id(entity: string): Validator<string> {
  const schema = { type: "string", minLength: 1, maxLength: MAX_ID_CHARS, "x-entity": entity };
  const test = (value: unknown): boolean =>
    typeof value === "string" && value.length > 0 && value.length <= MAX_ID_CHARS;
  return createScalar(`id of ${entity}`, schema, test);
}

function literal<const T extends JsonPrimitive>(expected: T): Validator<T> {
  return createScalar(JSON.stringify(expected), { const: expected }, (value) => value === expected);
}

function nothing(): Validator<null> {
  return createScalar("null", { type: "null" }, (value) => value === null);
}

/** Any JSON value, null included. */
function any(): Validator<Loose> {
  return createValidator<Loose>({
    expects: "a JSON value",
    jsonSchema: {},
    read(value, path, problems) {
      if (value === undefined) return addProblem(problems, path, "Expected a JSON value, got undefined");
      const copied = toJson(value);
      if (copied.ok) return copied.value;
      return addProblem(
        problems,
        copied.path === "" ? path : joinPath(path, copied.path),
        `Expected JSON, got ${copied.message}`,
      );
    },
  });
}

function array<T>(item: Validator<T>): Validator<T[]> {
  return createValidator<T[]>({
    expects: "array",
    jsonSchema: { type: "array", items: item.jsonSchema },
    read(value, path, problems) {
      if (Array.isArray(value)) return value.map((element, i) => item.read(element, joinPath(path, i), problems));
      return addProblem(problems, path, `Expected array, got ${describeValue(value)}`);
    },
  });
}

/** An object with exactly these keys. */
function object<const S extends ArgsSpec>(spec: S): Validator<InferArgs<S>> {
  assertArgsSpec(spec, "v.object");
  return createValidator<InferArgs<S>>({
    expects: "object",
    jsonSchema: argsJsonSchema(spec),
    read: (value, path, problems) => readObject(spec, value, path, problems),
  });
}

/** The first alternative that fits. */
function union<const V extends readonly Validator[]>(...alternatives: V): Validator<Infer<V[number]>> {
  if (alternatives.length === 0) throw new TypeError("Cannot make a union of nothing");
  const expects = alternatives.map((alternative) => alternative.expects).join(" or ");
  return createValidator<Infer<V[number]>>({
    expects,
    jsonSchema: { anyOf: alternatives.map((alternative) => alternative.jsonSchema) },
    read(value, path, problems) {
      for (const alternative of alternatives) {
        const found: Problem[] = [];
        const read = alternative.read(value, path, found);
        if (found.length === 0) return read;
      }
      return addProblem(problems, path, `Expected ${expects}, got ${describeValue(value)}`);
    },
  });
}

/** The key may be missing; null counts as missing unless the inner validator takes null. */
function optional<T>(inner: Validator<T>): OptionalValidator<T> {
  return createValidator<T | undefined>({
    expects: inner.expects,
    jsonSchema: inner.jsonSchema,
    mayBeAbsent: true,
    read(value, path, problems) {
      if (value === undefined) return undefined;
      if (value !== null) return inner.read(value, path, problems);
      const found: Problem[] = [];
      const read = inner.read(null, path, found);
      return found.length === 0 ? read : undefined;
    },
  }) as OptionalValidator<T>;
}

function readObject(spec: ArgsSpec, value: unknown, path: string, problems: Problem[]): unknown {
  if (!isObject(value)) return addProblem(problems, path, `Expected object, got ${describeValue(value)}`);
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(spec, key)) addProblem(problems, joinPath(path, key), "No argument has this name");
  }
  const entries: [string, unknown][] = [];
  for (const [key, validator] of Object.entries(spec)) {
    const at = joinPath(path, key);
    const given = Object.hasOwn(value, key) ? value[key] : undefined;
    if (given === undefined && !validator.mayBeAbsent) {
      addProblem(problems, at, `Missing: expected ${validator.expects}`);
      continue;
    }
    const read = validator.read(given, at, problems);
    if (read !== undefined) entries.push([key, read]);
  }
  return Object.fromEntries(entries);
}

/** Whether `value` was made by one of the `v.*`. */
export function isValidator(value: unknown): value is Validator {
  return isObject(value) && VALIDATOR in value;
}

/** @throws TypeError when `spec` is not a record of validators. */
export function assertArgsSpec(spec: unknown, where: string): asserts spec is ArgsSpec {
  if (!isObject(spec) || isValidator(spec)) throw new TypeError(`Expected ${where} to be a record of validators`);
  for (const [key, validator] of Object.entries(spec)) {
    if (!isValidator(validator))
      throw new TypeError(`Expected a validator at ${where}.${key}: use v.string(), v.int(), …`);
  }
}

/** JSON Schema 2020-12 of a function's arguments; `null` stands for a function that declares none and takes any object. */
export function argsJsonSchema(spec: ArgsSpec | null): JsonObject {
  if (spec === null) return { type: "object" };
  const entries = Object.entries(spec);
  const required = entries.filter(([, validator]) => !validator.mayBeAbsent).map(([key]) => key);
  return {
    type: "object",
    properties: Object.fromEntries(entries.map(([key, validator]) => [key, validator.jsonSchema])),
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  };
}

export type ParsedArgs =
  | { readonly ok: true; readonly value: Readonly<Record<string, Json>> }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads the arguments of one call: a fresh copy, or everything that is wrong. Nothing at all counts as `{}`. */
export function parseArgs(spec: ArgsSpec | null, input: unknown): ParsedArgs {
  const given = input === undefined || input === null ? {} : input;
  if (!isObject(given))
    return { ok: false, problems: [{ path: "", message: `Expected object, got ${describeValue(given)}` }] };
  const problems: Problem[] = [];
  const value = spec === null ? any().read(given, "", problems) : readObject(spec, given, "", problems);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, value: value as Readonly<Record<string, Json>> };
}

/** What a caller hears about arguments that do not fit. */
export function argsError(name: string, problems: readonly Problem[]): PylonError {
  return coreError("VALIDATION_FAILED", { message: `The arguments of "${name}" do not fit`, details: problems });
}

export interface Validators {
  readonly string: typeof string;
  readonly number: typeof number;
  readonly int: typeof int;
  readonly float: typeof number;
  readonly boolean: typeof boolean;
  readonly bool: typeof boolean;
  readonly datetime: typeof datetime;
  readonly richtext: typeof string;
  readonly id: typeof id;
  readonly optional: typeof optional;
  readonly array: typeof array;
  readonly object: typeof object;
  readonly union: typeof union;
  readonly literal: typeof literal;
  readonly any: typeof any;
  readonly null: typeof nothing;
}

/** What application code imports as `v`. */
export const v: Validators = {
  string,
  number,
  int,
  float: number,
  boolean,
  bool: boolean,
  datetime,
  richtext: string,
  id,
  optional,
  array,
  object,
  union,
  literal,
  any,
  null: nothing,
};
