// Which unique index stands against a row. Asked only after a statement has met one.

import type { Conflict, Row } from "../store.ts";
import type { RunSql } from "./job-reads.ts";
import { type TableCodec } from "./table-codec.ts";
import { quote } from "../table-columns.ts";

interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
}

/** As the server has them, the primary key first. */
async function readUniqueIndexes(run: RunSql, table: string): Promise<UniqueIndex[]> {
  const { rows } = await run(
    `SELECT index.relname AS name, column_.attname AS column_name
     FROM pg_index AS made JOIN pg_class AS index ON index.oid = made.indexrelid
     CROSS JOIN LATERAL unnest(made.indkey) WITH ORDINALITY AS part(attnum, place)
     JOIN pg_attribute AS column_ ON column_.attrelid = made.indrelid AND column_.attnum = part.attnum
     WHERE made.indrelid = $1::text::regclass AND made.indisunique
     ORDER BY made.indisprimary DESC, index.relname, part.place`,
    [quote(table)],
  );
  const columnsOf = new Map<string, string[]>();
  for (const { name, column_name: column } of rows) {
    const columns = columnsOf.get(String(name)) ?? [];
    columns.push(String(column));
    columnsOf.set(String(name), columns);
  }
  return Array.from(columnsOf, ([name, columns]) => ({ name, columns }));
}

async function holds(run: RunSql, codec: TableCodec, row: Row, columns: readonly string[]): Promise<boolean> {
  const values = columns.map((column) => codec.encode(column, row[column] ?? null));
  if (values.includes(null)) return false;
  const same = columns.map((column, place) => `${quote(column)} = $${place + 1}`).join(" AND ");
  const { rows } = await run(`SELECT "id" FROM ${quote(codec.spec.name)} WHERE ${same} LIMIT 1`, values);
  return rows.length > 0;
}

/** The index of this name, or the one that already holds values of this row; undefined when there is none (any more). */
export async function findConflict(run: RunSql, codec: TableCodec, what: string | Row): Promise<Conflict | undefined> {
  const indexes = await readUniqueIndexes(run, codec.spec.name);
  if (typeof what === "string") {
    const index = indexes.find(({ name }) => name === what);
    return index && { kind: "conflict", columns: index.columns };
  }
  for (const { columns } of indexes) if (await holds(run, codec, what, columns)) return { kind: "conflict", columns };
  return undefined;
}
