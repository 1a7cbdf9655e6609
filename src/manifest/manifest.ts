// What an application is: entities, policies and plugins, read from a file or from the DSL. A manifest that was parsed has no
// problem left that could be found without a database, and every problem is reported at once.

import { z } from "zod";
import type { Problem, PylonError } from "../core/errors.ts";
import { readWithSchema } from "./schema-problems.ts";
import { checkEntities } from "./check-entities.ts";
import { checkPolicies } from "./check-policies.ts";
import { FIELD_TYPE_NAMES, isFieldType, type FieldType } from "./field-type.ts";
import { manifestError } from "./manifest-errors.ts";
import { viewManifest } from "./manifest-view.ts";
import { DEFAULT_APP_NAME, DEFAULT_APP_VERSION, mergePlugins, type PluginEntry } from "./merge.ts";
import { MAX_RULE_CHARS } from "./policy/token.ts";

export type { FieldType } from "./field-type.ts";
export type { PluginEntry } from "./merge.ts";

export interface FieldDef {
  readonly name: string;
  readonly type: FieldType;
  /** May be absent, which is stored as null. */
  readonly optional: boolean;
  /** No two rows hold the same value; any number may hold none. */
  readonly unique: boolean;
}

export interface IndexDef {
  readonly name: string;
  /** Fields of the entity, or `id`. */
  readonly fields: readonly string[];
  readonly unique: boolean;
}

export interface EntityDef {
  readonly name: string;
  readonly fields: readonly FieldDef[];
  readonly indexes: readonly IndexDef[];
  /** Of Pylon's own entities: {@link TableSpec.clusteredBy}. */
  readonly clusteredBy?: string;
}

/** Rules as text. The most particular one decides: `allowInsert` before `allowWrite` before `allow`. */
export interface PolicyDef {
  readonly name: string;
  readonly entity: string;
  readonly allow?: string | undefined;
  readonly allowRead?: string | undefined;
  readonly allowInsert?: string | undefined;
  readonly allowUpdate?: string | undefined;
  readonly allowDelete?: string | undefined;
  readonly allowWrite?: string | undefined;
}

export interface Manifest {
  readonly manifest_version: 1;
  readonly name: string;
  readonly version: string;
  readonly entities: readonly EntityDef[];
  readonly policies: readonly PolicyDef[];
  /** One entry per name. */
  readonly plugins: readonly PluginEntry[];
}

const LIMITS = { entities: 500, fields: 200, indexes: 64, indexFields: 16, policies: 2000, plugins: 200 } as const;
const MAX_LABEL_CHARS = 200;

const label = z.string().min(1).max(MAX_LABEL_CHARS);
const rule = z.string().max(MAX_RULE_CHARS).optional();

const fieldSchema: z.ZodType<FieldDef> = z.strictObject({
  name: z.string(),
  type: z.custom<FieldType>(isFieldType, { error: `Expected one of ${FIELD_TYPE_NAMES}` }),
  optional: z.boolean().default(false),
  unique: z.boolean().default(false),
});

const indexSchema: z.ZodType<IndexDef> = z.strictObject({
  name: z.string(),
  fields: z.array(z.string()).min(1).max(LIMITS.indexFields),
  unique: z.boolean().default(false),
});

const entitySchema: z.ZodType<EntityDef> = z.strictObject({
  name: z.string(),
  fields: z.array(fieldSchema).max(LIMITS.fields),
  indexes: z.array(indexSchema).max(LIMITS.indexes).default([]),
});

const policySchema: z.ZodType<PolicyDef> = z.strictObject({
  name: label,
  entity: z.string(),
  allow: rule,
  allowRead: rule,
  allowInsert: rule,
  allowUpdate: rule,
  allowDelete: rule,
  allowWrite: rule,
});

const pluginSchema: z.ZodType<PluginEntry> = z.strictObject({
  name: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, { error: "Expected a plugin name such as webhooks" }),
  config: z.record(z.string(), z.unknown()).default({}),
});

const entitiesSchema = z.array(entitySchema).max(LIMITS.entities);

/** The shape of a manifest. Meaning is {@link checkManifest}'s. */
export const manifestSchema: z.ZodType<Manifest> = z.strictObject({
  manifest_version: z.literal(1),
  name: label.default(DEFAULT_APP_NAME),
  version: label.default(DEFAULT_APP_VERSION),
  entities: entitiesSchema.default([]),
  policies: z.array(policySchema).max(LIMITS.policies).default([]),
  plugins: z.array(pluginSchema).max(LIMITS.plugins).default([]),
});

export interface CheckOptions {
  /**
   * Entities that exist without being in the manifest, or `"any"` to leave references to entities unchecked: for a manifest
   * whose plugins have not contributed theirs yet.
   */
  readonly knownEntities?: ReadonlySet<string> | "any";
}

function checkInput(input: unknown, { knownEntities = new Set() }: CheckOptions): Problem[] {
  const view = viewManifest(input);
  const declared = new Set(view.entities.map(({ name }) => name));
  const isEntity = (name: string): boolean =>
    view.isPartial || knownEntities === "any" || declared.has(name) || knownEntities.has(name);
  return [...checkEntities(view.entities, isEntity), ...checkPolicies(view, isEntity)];
}

/** What is wrong with the meaning of a manifest: names, references and rules. For a manifest that plugins added to. */
export function checkManifest(manifest: Manifest, options: CheckOptions = {}): Problem[] {
  return checkInput(manifest, options);
}

/** One MANIFEST_INVALID for all problems; its message names the first. */
export function manifestInvalid(problems: readonly Problem[]): PylonError {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  const message = first && `The manifest does not fit: ${first.path || "the manifest"}: ${first.message}${more}`;
  return manifestError("MANIFEST_INVALID", { details: problems, ...(message === undefined ? {} : { message }) });
}

/**
 * Reads a manifest. Plugin entries of one name become one; functions in their configurations stay what they are.
 *
 * @throws MANIFEST_INVALID whose `details` list every problem of shape and of meaning, with dotted paths.
 */
export function parseManifest(input: unknown, options: CheckOptions = {}): Manifest {
  const read = readWithSchema(manifestSchema, input, { maxProblems: Number.POSITIVE_INFINITY });
  const meant = checkInput(input, options);
  if (!read.ok || meant.length > 0) throw manifestInvalid([...(read.ok ? [] : read.problems), ...meant]);
  return { ...read.value, plugins: mergePlugins(read.value.plugins) };
}

/**
 * Reads back the entities of a manifest that was applied, from what `JSON.stringify` made of them.
 *
 * @throws MANIFEST_INVALID when they do not have the shape of entities.
 */
export function parseStoredEntities(input: unknown): readonly EntityDef[] {
  const read = readWithSchema(entitiesSchema, input);
  if (!read.ok) throw manifestInvalid(read.problems);
  return read.value;
}
