// Reading entities: single rows, filters and pages. A row that the read policy hides does not exist for its reader, and
// is not counted in a page.

import { coreError } from "../core/errors.ts";
import type { Condition, Order, Reader, Row } from "../store/store.ts";
import { decodeCursor, encodeCursor, sealCursor, type Place } from "./cursor.ts";
import { dataError } from "./data-errors.ts";
import { MAX_ROWS, parseFilter, parseLookup, parsePagedFilter, type Filter, type ParsedFilter } from "./filter.ts";
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
  /** The first row by id with this value, which is never read as an operator. */
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
/** Rows of a further look, when the policy has hidden rows of the one before; twice as many each time. */
const FIRST_FURTHER_LOOK = 100;

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

function placeOf(order: Order | undefined, row: Row): Place {
  return { value: order ? (row[order.column] ?? null) : null, id: row.id };
}

/** What a scan looks for, in which order, and from where. */
interface Scan {
  readonly table: string;
  readonly visible: Visibility;
  readonly where: readonly Condition[];
  readonly order: Order | undefined;
  readonly after: Place | undefined;
  /** Visible rows wanted. */
  readonly count: number;
}

interface Scanned {
  readonly rows: Row[];
  /** The last row looked at, when the scan gave up before it had found `count` rows or the end. */
  readonly stoppedAt: Row | undefined;
}

async function scanVisible(reader: Reader, scan: Scan): Promise<Scanned> {
  const { table, visible, order, count } = scan;
  const where = [...visible.where, ...scan.where];
  const rows: Row[] = [];
  let { after } = scan;
  let further = FIRST_FURTHER_LOOK;
  for (let scanned = 0; ;) {
    const wanted = count - rows.length;
    const limit = Math.min(scanned === 0 ? wanted : wanted + further, MAX_PAGE + 1);
    const found = await reader.find(table, { where, limit, ...(order ? { order } : {}), ...(after ? { after } : {}) });
    for (const row of found) if (rows.length < count && visible.shows(row)) rows.push(row);
    const last = found.at(-1);
    if (!last || found.length < limit || rows.length === count) return { rows, stoppedAt: undefined };
    scanned += found.length;
    if (scanned >= MAX_SCANNED) return { rows, stoppedAt: last };
    after = placeOf(order, last);
    further *= 2;
  }
}

/** Refuses what the store would: values that are not of the order's column, ids that are none. */
function checkPlace(entity: EntityModel, order: Order | undefined, place: Place): void {
  const { codec } = entity;
  const fits =
    codec.parseFilterValue("id", place.id).ok &&
    (!order || place.value === null || codec.parseFilterValue(order.column, place.value).ok);
  if (!fits) throw dataError("INVALID_CURSOR");
}

function checkCount(path: string, count: number): void {
  if (Number.isSafeInteger(count) && count >= 1 && count <= MAX_PAGE) return;
  throw dataError("INVALID_QUERY", { details: [{ path, message: `Expected 1 to ${MAX_PAGE}` }] });
}

export function createDataReader(model: Model, reader: Reader, scope: Scope): DataReader {
  const page = async (name: string, query: PageQuery): Promise<Page> => {
    const entity = model.entity(name);
    const visible = visibleTo(entity, scope);
    const { where, order, cursor, limit } = query;
    checkCount("limit", limit);
    const after = cursor === null ? undefined : await decodeCursor(reader, order, cursor);
    if (after) checkPlace(entity, order, after);
    // One row more than asked for tells whether there is a next page.
    const scan = { table: entity.table.name, visible, where, order, after, count: limit + 1 };
    const { rows, stoppedAt } = await scanVisible(reader, scan);
    const last = rows[limit - 1];
    if (rows.length > limit && last) return { rows: rows.slice(0, limit), nextCursor: encodeCursor(order, last) };
    return { rows, nextCursor: stoppedAt ? await sealCursor(reader, order, stoppedAt) : null };
  };

  /** The rows that the policy hides count neither for `$limit` nor for `$offset`. */
  const queryVisible = async (entity: EntityModel, visible: Visibility, parsed: ParsedFilter): Promise<Row[]> => {
    const { where, order, offset, limit = MAX_ROWS + 1 } = parsed;
    const scan = { table: entity.table.name, visible, where, order, after: undefined, count: offset + limit };
    if (limit === 0) return [];
    const { rows, stoppedAt } = await scanVisible(reader, scan);
    if (stoppedAt) throw dataError("RESULT_TOO_LARGE");
    return rows.slice(offset);
  };

  const run = async (entity: EntityModel, parse: () => ParsedFilter): Promise<Row[]> => {
    const visible = visibleTo(entity, scope);
    const parsed = parse();
    const { where, order, limit = MAX_ROWS + 1, offset } = parsed;
    const rows =
      visible === EVERYTHING
        ? await reader.find(entity.table.name, { where, limit, offset, ...(order ? { order } : {}) })
        : await queryVisible(entity, visible, parsed);
    if (rows.length > MAX_ROWS) throw dataError("RESULT_TOO_LARGE");
    return rows;
  };

  const query = async (name: string, filter: Filter): Promise<Row[]> => {
    const entity = model.entity(name);
    return run(entity, () => parseFilter(entity, filter));
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
    async lookup(name, field, value) {
      const entity = model.entity(name);
      return (await run(entity, () => parseLookup(entity, field, value)))[0] ?? null;
    },
    async paginate(name, { cursor, numItems, filter }) {
      const { where, order } = parsePagedFilter(model.entity(name), filter ?? {});
      checkCount("numItems", numItems);
      const result = await page(name, { where, order, cursor, limit: numItems });
      return { page: result.rows, nextCursor: result.nextCursor, isDone: result.nextCursor === null };
    },
  };
}
