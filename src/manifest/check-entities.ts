// What must hold of entities beyond their shape: names that every database accepts and tells apart, and references that
// lead somewhere.

import type { Problem } from "../core/errors.ts";
import { idTarget } from "./field-type.ts";
import type { EntityView, FieldView, IndexView } from "./manifest-view.ts";
import { declaredIndexName, MAX_NAME_CHARS, NAME_PATTERN, uniqueIndexName } from "./physical-name.ts";

/** Names that a row or a table of lookups would answer for without anyone having declared them. */
const OBJECT_NAMES: ReadonlySet<string> = new Set(
  [...Object.getOwnPropertyNames(Object.prototype), "prototype"].map((name) => name.toLowerCase()),
);
/** Columns that Postgres gives every table. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"]);
/** `sqlite_` belongs to SQLite; an unqualified `pg_class` is Postgres's own table, whatever the application declares. */
const SYSTEM_TABLE = /^(?:_|sqlite_|pg_)/i;

interface Named {
  readonly path: string;
  readonly name: string | undefined;
}

type NameKind = "entity" | "field" | "index";

const IS_RESERVED: Readonly<Record<NameKind, (name: string) => boolean>> = {
  entity: (name) => SYSTEM_TABLE.test(name) || OBJECT_NAMES.has(name.toLowerCase()),
  field: (name) => {
    const lower = name.toLowerCase();
    return lower === "id" || SYSTEM_COLUMNS.has(lower) || OBJECT_NAMES.has(lower);
  },
  index: () => false,
};

function checkName(kind: NameKind, { path, name }: Named): Problem[] {
  if (name === undefined) return [];
  const at = `${path}.name`;
  if (IS_RESERVED[kind](name)) return [{ path: at, message: `The ${kind} name ${JSON.stringify(name)} is reserved` }];
  if (NAME_PATTERN.test(name)) return [];
  const rule = `a letter, then letters, digits or "_", at most ${MAX_NAME_CHARS} characters`;
  return [{ path: at, message: `Cannot use ${JSON.stringify(name.slice(0, 100))} as ${kind} name: expected ${rule}` }];
}

/**
 * Later uses of a name that was taken. SQLite does not tell upper from lower case in names, so neither does this.
 *
 * @param kind What the name belongs to, for the message.
 */
export function checkDuplicates(kind: string, items: readonly Named[]): Problem[] {
  const first = new Map<string, string>();
  return items.flatMap(({ path, name }) => {
    if (name === undefined) return [];
    const taken = first.get(name.toLowerCase());
    if (taken !== undefined) {
      return [{ path: `${path}.name`, message: `Duplicate ${kind} name ${JSON.stringify(name)}: see ${taken}.name` }];
    }
    first.set(name.toLowerCase(), path);
    return [];
  });
}

function checkNames(kind: NameKind, items: readonly Named[]): Problem[] {
  return [...items.flatMap((item) => checkName(kind, item)), ...checkDuplicates(kind, items)];
}

function checkTarget(field: FieldView, isEntity: (name: string) => boolean): Problem[] {
  const target = field.type === undefined ? undefined : idTarget(field.type);
  // Accounts exist whether or not the application adds fields to them.
  if (target === undefined || target === "User" || isEntity(target)) return [];
  return [{ path: `${field.path}.type`, message: `Unknown entity "${target}"` }];
}

function checkUnique(field: FieldView): Problem[] {
  if (!field.unique || field.type !== "json") return [];
  return [{ path: `${field.path}.unique`, message: "A json field cannot be unique: databases disagree on equal JSON" }];
}

function checkIndex(entity: EntityView, index: IndexView): Problem[] {
  const types = new Map(entity.fields.map((field) => [field.name, field.type]));
  const seen = new Set<string>();
  return index.fields.flatMap((name, place) => {
    if (name === undefined) return [];
    const path = `${index.path}.fields.${place}`;
    if (seen.has(name)) return [{ path, message: `The field "${name}" is listed twice` }];
    seen.add(name);
    if (types.get(name) === "json") return [{ path, message: `A json field cannot be indexed: "${name}"` }];
    if (name === "id" || types.has(name) || entity.isPartial) return [];
    return [{ path, message: `Unknown field ${JSON.stringify(name.slice(0, 100))}` }];
  });
}

function checkEntity(entity: EntityView, isEntity: (name: string) => boolean): Problem[] {
  return [
    ...checkNames("field", entity.fields),
    ...entity.fields.flatMap((field) => [...checkTarget(field, isEntity), ...checkUnique(field)]),
    ...checkNames("index", entity.indexes),
    ...entity.indexes.flatMap((index) => checkIndex(entity, index)),
  ];
}

interface PhysicalName {
  readonly path: string;
  readonly name: string;
}

function indexNamesOf(entity: EntityView): PhysicalName[] {
  const { name } = entity;
  if (name === undefined) return [];
  const unique = entity.fields.filter((field) => field.unique && field.name !== undefined);
  return [
    ...unique.map((field) => ({ path: `${field.path}.unique`, name: uniqueIndexName(name, String(field.name)) })),
    ...entity.indexes
      .filter((index) => index.name !== undefined)
      .map((index) => ({ path: `${index.path}.name`, name: declaredIndexName(name, String(index.name)) })),
  ];
}

/** Index names of different entities, or an index and a table, that are one name in the database. */
function checkIndexNames(entities: readonly EntityView[]): Problem[] {
  const taken = new Map<string, string>();
  for (const { name, path } of entities) {
    if (name !== undefined) taken.set(name.toLowerCase(), `${path}.name`);
  }
  return entities.flatMap(indexNamesOf).flatMap(({ path, name }) => {
    if (name.length > MAX_NAME_CHARS) {
      return [{ path, message: `The index name "${name}" is longer than ${MAX_NAME_CHARS} characters` }];
    }
    const first = taken.get(name.toLowerCase());
    if (first !== undefined) return [{ path, message: `The index name "${name}" is taken by ${first}` }];
    taken.set(name.toLowerCase(), path);
    return [];
  });
}

/** Everything that is wrong with the entities, apart from their shape. */
export function checkEntities(entities: readonly EntityView[], isEntity: (name: string) => boolean): Problem[] {
  const ownDuplicates = entities.flatMap((entity) => checkDuplicates("index", entity.indexes));
  const covered = new Set(ownDuplicates.map((problem) => problem.path));
  return [
    ...checkNames("entity", entities),
    ...entities.flatMap((entity) => checkEntity(entity, isEntity)),
    ...checkIndexNames(entities).filter((problem) => !covered.has(problem.path)),
  ];
}
