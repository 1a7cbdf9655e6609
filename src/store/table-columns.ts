// What both databases need of a described table: its columns with their types, and names that are safe in SQL.

import { storeError } from "./store-errors.ts";
import type { ColumnType, TableSpec } from "./store.ts";

/** Quotes a name. Names come from validated specs; doubling quotes keeps a mistake from becoming SQL. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export interface TableColumns {
  /** `id` first. */
  readonly all: readonly (readonly [name: string, type: ColumnType])[];
  /** For a SELECT or an INSERT. */
  readonly list: string;
  /** @throws STORE_FAILED when there is no such column */
  readonly typeOf: (column: string) => ColumnType;
}

export function readColumns(spec: TableSpec): TableColumns {
  const types = new Map<string, ColumnType>([["id", "text"]]);
  for (const column of spec.columns) types.set(column.name, column.type);
  return {
    all: [...types],
    list: [...types.keys()].map(quote).join(", "),
    typeOf(column) {
      const type = types.get(column);
      if (type !== undefined) return type;
      throw storeError("STORE_FAILED", { message: `There is no column "${column}" in "${spec.name}"` });
    },
  };
}
