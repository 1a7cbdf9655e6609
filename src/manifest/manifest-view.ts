// What can be read of a manifest that may be wrong anywhere: every part keeps its path, and what cannot be read is absent.
// Checks of meaning run over this view, so that one misspelt type does not hide the other problems.

import { isObject } from "../core/json.ts";

/** Every key of a policy that holds a rule. */
const RULE_KEYS: readonly string[] = ["allow", "allowRead", "allowInsert", "allowUpdate", "allowDelete", "allowWrite"];

export interface FieldView {
  readonly path: string;
  readonly name: string | undefined;
  readonly type: string | undefined;
  readonly unique: boolean;
}

export interface IndexView {
  readonly path: string;
  readonly name: string | undefined;
  /** Undefined in the place of what is not a string. */
  readonly fields: readonly (string | undefined)[];
}

export interface EntityView {
  readonly path: string;
  readonly name: string | undefined;
  readonly fields: readonly FieldView[];
  readonly indexes: readonly IndexView[];
  /** Some field has no readable name, so what looks unknown may exist. */
  readonly isPartial: boolean;
}

export interface PolicyView {
  readonly path: string;
  readonly name: string | undefined;
  readonly entity: string | undefined;
  readonly rules: readonly { readonly path: string; readonly text: string }[];
  /** Whether any rule is given, readable or not. */
  readonly hasRule: boolean;
}

export interface ManifestView {
  readonly entities: readonly EntityView[];
  readonly policies: readonly PolicyView[];
  /** Some entity has no readable name. */
  readonly isPartial: boolean;
}

interface Item {
  readonly path: string;
  readonly value: Readonly<Record<string, unknown>>;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The objects of a list with their paths; anything else is left out, for the structure check to name. */
function itemsOf(list: unknown, path: string): Item[] {
  if (!Array.isArray(list)) return [];
  return (list as unknown[]).flatMap((value, index) => (isObject(value) ? [{ path: `${path}.${index}`, value }] : []));
}

/** Whether the list, when given at all, is one and `named` covers each of its items. */
function isWhole(list: unknown, named: readonly { readonly name: string | undefined }[]): boolean {
  if (list === undefined) return true;
  return Array.isArray(list) && list.length === named.length && named.every(({ name }) => name !== undefined);
}

function viewField({ path, value }: Item): FieldView {
  return { path, name: textOf(value.name), type: textOf(value.type), unique: value.unique === true };
}

function viewIndex({ path, value }: Item): IndexView {
  const fields = Array.isArray(value.fields) ? (value.fields as unknown[]).map(textOf) : [];
  return { path, name: textOf(value.name), fields };
}

function viewEntity({ path, value }: Item): EntityView {
  const fields = itemsOf(value.fields, `${path}.fields`).map(viewField);
  return {
    path,
    name: textOf(value.name),
    fields,
    indexes: itemsOf(value.indexes, `${path}.indexes`).map(viewIndex),
    isPartial: value.fields === undefined || !isWhole(value.fields, fields),
  };
}

function viewPolicy({ path, value }: Item): PolicyView {
  const given = RULE_KEYS.filter((key) => value[key] !== undefined);
  return {
    path,
    name: textOf(value.name),
    entity: textOf(value.entity),
    rules: given.flatMap((key) => {
      const text = textOf(value[key]);
      return text === undefined ? [] : [{ path: `${path}.${key}`, text }];
    }),
    hasRule: given.length > 0,
  };
}

/** Reads what there is. Never throws, whatever the input. */
export function viewManifest(input: unknown): ManifestView {
  const manifest = isObject(input) ? input : {};
  const entities = itemsOf(manifest.entities, "entities").map(viewEntity);
  return {
    entities,
    policies: itemsOf(manifest.policies, "policies").map(viewPolicy),
    isPartial: !isWhole(manifest.entities, entities),
  };
}
