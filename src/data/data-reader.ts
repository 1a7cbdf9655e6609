// Reading entities: single rows, filters and pages. A row that the read policy hides does not exist for its reader, and
// is not counted in a page.

import { coreError } from "../core/errors.ts";
import type { Condition, Order, Reader, Row, Value } from "../store/store.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { dataError } from "./data-errors.ts";
import { MAX_ROWS, parseFilter, type Filter } from "./filter.ts";
import type { EntityModel, Model } from "./model.ts";
import type { Scope } from "./scope.ts";

export interface Page {
  readonly rows: Row[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface PageQuery {
  readonly where: readonly Condition[];
  readonly order: Order | undefined;
  readonly cursor: string | null;
  readonly limit: number;
}

export interface DataReader {
  get(entity: string, id: string): Promise<Row | null>;
  /** @throws INVALID_QUERY; RESULT_TOO_LARGE when there is no `$limit` and more than 10,000 rows match. */
  query(entity: string, filter: Filter): Promise<Row[]>;
  /** By id. @throws RESULT_TOO_LARGE above 10,000 rows. */
  list(entity: string): Promise<Row[]>;
  /** The first row with this value. */
  lookup(entity: string, field: string, value: unknown): Promise<Row | null>;
  paginate(
    entity: string,
    options: { readonly cursor: string | null; readonly numItems: number; readonly filter?: Filter },
  ): Promise<{ page: Row[]; nextCursor: string | null; isDone: boolean }>;
  page(entity: string, query: PageQuery): Promise<Page>;
}

const MAX_PAGE = 1_000;
/** Rows that one page looks at; beyond it the page ends early with a cursor, so that a strict policy cannot stall a reader. */
const MAX_SCANNED = 20_000;

/** What a reader may see: conditions for the store, and the rule itself for each row that fulfils them. */
interface Visibility {
  readonly where: readonly Condition[];
  shows(row: Row): boolean;
}

const EVERYTHING: Visibility = { where: [], shows: () => true };
const NOTHING: Visibility = { where: [{ column: "id", op: "in", values: [] }], shows: () => false };

/** @throws AUTH_REQUIRED, POLICY_DENIED when no policy speaks of reading. */
function visibleTo(entity: EntityModel, scope: Scope): Visibility {
  const { actor, policies } = scope;
  if (!policies || actor.isAdmin) return EVERYTHING;
  if (!entity.rules.governs("read")) {
    throw actor.kind === "anonymous" ? coreError("AUTH_REQUIRED") : dataError("POLICY_DENIED");
  }
  const where = entity.rules.narrow(actor);
  if (!where) return NOTHING;
  return { where, shows: (row) => entity.rules.allows("read", actor, { data: row, existing: null }) };
}

function placeOf(order: Order | undefined, row: Row): { value: Value; id: string } {
  return { value: order ? (row[order.column] ?? null) : null, id: row.id };
}

export function createDataReader(model: Model, reader: Reader, scope: Scope): DataReader {
  const page = async (name: string, query: PageQuery): Promise<Page> => {
    const entity = model.entity(name);
    const visible = visibleTo(entity, scope);
    const rows: Row[] = [];
    let after = query.cursor === null ? undefined : decodeCursor(query.order, query.cursor);
    for (let scanned = 0; scanned < MAX_SCANNED;) {
      // One row more than asked for tells whether there is a next page.
      const limit = Math.min(query.limit + 1 - rows.length + (scanned > 0 ? 100 : 0), MAX_PAGE + 1);
      const found = await reader.find(entity.table.name, {
        where: [...visible.where, ...query.where],
        ...(query.order ? { order: query.order } : {}),
        limit,
        ...(after ? { after } : {}),
      });
      for (const row of found) {
        if (!visible.shows(row)) continue;
        if (rows.length === query.limit) return { rows, nextCursor: encodeCursor(query.order, rows.at(-1) ?? row) };
        rows.push(row);
      }
      const last = found.at(-1);
      if (!last || found.length < limit) return { rows, nextCursor: null };
      after = placeOf(query.order, last);
      scanned += found.length;
      if (scanned >= MAX_SCANNED) return { rows, nextCursor: encodeCursor(query.order, last) };
    }
    return { rows, nextCursor: null };
  };

  const query = async (name: string, filter: Filter): Promise<Row[]> => {
    const entity = model.entity(name);
    const visible = visibleTo(entity, scope);
    const parsed = parseFilter(entity, filter);
    const rows = await reader.find(entity.table.name, {
      where: [...visible.where, ...parsed.where],
      ...(parsed.order ? { order: parsed.order } : {}),
      limit: parsed.limit ?? MAX_ROWS + 1,
      offset: parsed.offset,
    });
    if (rows.length > MAX_ROWS) throw dataError("RESULT_TOO_LARGE");
    return rows.filter((row) => visible.shows(row));
  };

  return {
    page,
    query,
    list: (name) => query(name, {}),
    async get(name, id) {
      const entity = model.entity(name);
      const visible = visibleTo(entity, scope);
      const row = await reader.get(entity.table.name, id);
      return row && visible.shows(row) ? row : null;
    },
    lookup: async (name, field, value) => (await query(name, { [field]: value, $limit: 1 }))[0] ?? null,
    async paginate(name, { cursor, numItems, filter }) {
      const { where, order } = parseFilter(model.entity(name), filter ?? {});
      if (!Number.isSafeInteger(numItems) || numItems < 1 || numItems > MAX_PAGE) {
        throw dataError("INVALID_QUERY", { details: [{ path: "numItems", message: `Expected 1 to ${MAX_PAGE}` }] });
      }
      const result = await page(name, { where, order, cursor, limit: numItems });
      return { page: result.rows, nextCursor: result.nextCursor, isDone: result.nextCursor === null };
    },
  };
}
