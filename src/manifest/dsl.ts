// How an application declares itself in TypeScript. Nothing is checked here: the results are plain data, which
// `parseManifest` reads like a manifest from a file, so that all problems are listed together.

import type { FieldType } from "./field-type.ts";
import type { EntityDef, IndexDef, Manifest, PolicyDef } from "./manifest.ts";
import { DEFAULT_APP_NAME, DEFAULT_APP_VERSION, type PluginEntry } from "./merge.ts";

/** A field without its name. Every call gives a new one; none changes. */
export interface Field<Type extends FieldType = FieldType> {
  readonly def: { readonly type: Type; readonly optional: boolean; readonly unique: boolean };
  /** May be absent, which is stored as null. */
  optional(): Field<Type>;
  /** No two rows hold the same value; any number may hold none. */
  unique(): Field<Type>;
}

function makeField<Type extends FieldType>(def: Field<Type>["def"]): Field<Type> {
  return {
    def,
    optional: () => makeField({ ...def, optional: true }),
    unique: () => makeField({ ...def, unique: true }),
  };
}

function fieldOf<Type extends FieldType>(type: Type): () => Field<Type> {
  return () => makeField({ type, optional: false, unique: false });
}

/** The field types. `number` is another name of `float`, `boolean` of `bool`. */
export const field: {
  readonly string: () => Field<"string">;
  readonly int: () => Field<"int">;
  readonly float: () => Field<"float">;
  readonly number: () => Field<"float">;
  readonly bool: () => Field<"bool">;
  readonly boolean: () => Field<"bool">;
  readonly datetime: () => Field<"datetime">;
  readonly richtext: () => Field<"richtext">;
  readonly json: () => Field<"json">;
  /** The id of a row of `entity`. */
  readonly id: <Target extends string>(entity: Target) => Field<`id(${Target})`>;
} = {
  string: fieldOf("string"),
  int: fieldOf("int"),
  float: fieldOf("float"),
  number: fieldOf("float"),
  bool: fieldOf("bool"),
  boolean: fieldOf("bool"),
  datetime: fieldOf("datetime"),
  richtext: fieldOf("richtext"),
  json: fieldOf("json"),
  id: (entity) => makeField({ type: `id(${entity})`, optional: false, unique: false }),
};

export interface EntityOptions<FieldName extends string = string> {
  readonly indexes?: readonly {
    readonly name: string;
    readonly fields: readonly (FieldName | "id")[];
    /** @default false */
    readonly unique?: boolean;
  }[];
}

/** Declares an entity: `entity("Order", { total: field.int() })`. */
export function entity<const Name extends string, Fields extends Readonly<Record<string, Field>>>(
  name: Name,
  fields: Fields,
  options: EntityOptions<keyof Fields & string> = {},
): EntityDef & { readonly name: Name } {
  const indexes = (options.indexes ?? []).map((index): IndexDef => ({ unique: false, ...index }));
  return {
    ...options,
    name,
    fields: Object.entries(fields).map(([name, field]) => ({ name, ...field.def })),
    indexes,
  };
}

/** Declares who may do what with an entity. */
export function policy(definition: PolicyDef): PolicyDef {
  return { ...definition };
}

export interface AppDefinition {
  /** @default "app" */
  readonly name?: string;
  /** @default "0.0.0" */
  readonly version?: string;
  readonly entities?: readonly EntityDef[];
  readonly policies?: readonly PolicyDef[];
  readonly plugins?: readonly PluginEntry[];
}

/** Declares the application; what `app.ts` exports by default. */
export function app(definition: AppDefinition = {}): Manifest {
  return {
    manifest_version: 1,
    name: DEFAULT_APP_NAME,
    version: DEFAULT_APP_VERSION,
    entities: [],
    policies: [],
    plugins: [],
    ...definition,
  };
}

/** The same as {@link app}. */
export const buildManifest: typeof app = app;
