// Entities as tables. The only place that decides which column and which indexes a field gets.

import type { IndexSpec, TableSpec } from "../store/store.ts";
import { columnTypeOf } from "./field-type.ts";
import type { EntityDef } from "./manifest.ts";
import { declaredIndexName, uniqueIndexName } from "./physical-name.ts";

function indexesOf(entity: EntityDef): IndexSpec[] {
  const unique = entity.fields
    .filter((field) => field.unique)
    .map((field) => ({ name: uniqueIndexName(entity.name, field.name), columns: [field.name], unique: true }));
  const declared = entity.indexes.map((index) => ({
    name: declaredIndexName(entity.name, index.name),
    columns: index.fields,
    unique: index.unique,
  }));
  return [...unique, ...declared];
}

/** The table of an entity: one column per field in declared order, the indexes of `unique` fields before declared ones. */
export function toTableSpec(entity: EntityDef): TableSpec {
  return {
    name: entity.name,
    columns: entity.fields.map((field) => ({ name: field.name, type: columnTypeOf(field.type) })),
    indexes: indexesOf(entity),
    ...(entity.clusteredBy === undefined ? {} : { clusteredBy: entity.clusteredBy }),
  };
}
