// Brings the database to the entities that the application declares. What a migration would destroy is counted and named
// before anything happens, and everything that it does happens in one transaction.

import type { EntityDef } from "../manifest/manifest.ts";
import { parseStoredEntities } from "../manifest/manifest.ts";
import { normalizeDatetime } from "../manifest/datetime-text.ts";
import { planSchema, type PlannedChange, type PlannedCheck } from "../manifest/schema-diff.ts";
import { toTableSpec } from "../manifest/tables.ts";
import type { Condition, Reader, SchemaStep, Store, TableSpec, Tx, Value } from "../store/store.ts";
import { createCursorSecret, CURSOR_SECRET_KEY } from "./cursor.ts";
import { migrationError } from "./migration-errors.ts";

/** One change, with what it costs. */
export interface MigrationStep {
  readonly summary: string;
  readonly entity: string;
  readonly field: string | null;
  readonly destructive: boolean;
  /** Rows that hold a value which is lost, or that do not fit; 0 when none do. */
  readonly rows: number;
  /** True when rows do not fit: the migration cannot be applied. */
  readonly blocked: boolean;
}

export interface MigrationPlan {
  /** What the plan was made from, as the store remembers it. */
  readonly from: string | undefined;
  readonly steps: readonly MigrationStep[];
  readonly changes: readonly PlannedChange[];
  readonly entities: readonly EntityDef[];
}

const SCHEMA_KEY = "schema";
const SYSTEM_KEY = "system-tables";
/** Rows that one look at the data takes at a time. */
const SCAN_PAGE = 1_000;

function parseApplied(text: string | undefined): readonly EntityDef[] {
  return text === undefined ? [] : parseStoredEntities(JSON.parse(text));
}

async function* scan(reader: Reader, table: string): AsyncGenerator<Readonly<Record<string, Value>>> {
  let afterId: string | undefined;
  for (;;) {
    const rows = await reader.find(table, {
      limit: SCAN_PAGE,
      ...(afterId === undefined ? {} : { after: { value: null, id: afterId } }),
    });
    yield* rows;
    if (rows.length < SCAN_PAGE) return;
    afterId = rows.at(-1)?.id;
  }
}

async function countRepeats(reader: Reader, table: string, fields: readonly string[]): Promise<number> {
  const seen = new Set<string>();
  let repeats = 0;
  for await (const row of scan(reader, table)) {
    const values = fields.map((field) => row[field] ?? null);
    if (values.includes(null)) continue;
    const key = JSON.stringify(values.map((value) => (typeof value === "bigint" ? `${value}n` : value)));
    if (seen.has(key)) repeats += 1;
    seen.add(key);
  }
  return repeats;
}

async function countInvalid(reader: Reader, table: string, field: string): Promise<number> {
  let invalid = 0;
  for await (const row of scan(reader, table)) {
    const value = row[field];
    if (typeof value === "string" && normalizeDatetime(value) !== value) invalid += 1;
  }
  return invalid;
}

const NO_CONDITIONS: readonly Condition[] = [];

/** Rows that a check finds unfit. Columns that do not exist yet are judged by the number of rows. */
function countUnfit(reader: Reader, check: PlannedCheck, applied: ReadonlyMap<string, TableSpec>): Promise<number> {
  const table = applied.get(check.entity);
  if (!table) return Promise.resolve(0);
  if (check.kind === "needs-value") {
    const where = check.failing === "all" ? NO_CONDITIONS : [{ column: check.field, op: "eq", value: null } as const];
    return reader.count(check.entity, where);
  }
  if (check.kind === "needs-valid") return countInvalid(reader, check.entity, check.field);
  const known = check.fields.every((field) => field === "id" || table.columns.some(({ name }) => name === field));
  return known ? countRepeats(reader, check.entity, check.fields) : Promise.resolve(0);
}

/** Rows that lose a value. */
function countLost(reader: Reader, change: PlannedChange, applied: ReadonlyMap<string, TableSpec>): Promise<number> {
  if (!change.destructive || !applied.has(change.entity)) return Promise.resolve(0);
  const field = change.kind === "step" ? change.field : undefined;
  const where = field === undefined ? NO_CONDITIONS : [{ column: field, op: "ne", value: null } as const];
  return reader.count(change.entity, where);
}

/** What has to be done so that `store` fits `entities`, and what it would cost. Changes nothing. */
export async function planMigration(store: Store, entities: readonly EntityDef[]): Promise<MigrationPlan> {
  const from = await store.reader.readMeta(SCHEMA_KEY);
  const before = parseApplied(from);
  const tables = before.map(toTableSpec);
  store.describe(tables);
  const applied = new Map(tables.map((table) => [table.name, table]));
  const changes = planSchema(before, entities);
  const steps: MigrationStep[] = [];
  for (const change of changes) {
    const isCheck = change.kind !== "step";
    const rows = isCheck
      ? await countUnfit(store.reader, change, applied)
      : await countLost(store.reader, change, applied);
    if (isCheck && rows === 0) continue;
    const field = "field" in change && change.field !== undefined ? change.field : null;
    const { summary, entity, destructive } = change;
    steps.push({ summary, entity, field, destructive, rows, blocked: isCheck });
  }
  return { from, steps, changes, entities };
}

function rowsText(step: MigrationStep): string {
  const target = step.field === null ? step.entity : `${step.entity}.${step.field}`;
  return `${target}: ${step.summary} (${step.rows} ${step.rows === 1 ? "row" : "rows"})`;
}

function refuse(code: "MIGRATION_DESTRUCTIVE" | "MIGRATION_BLOCKED", steps: readonly MigrationStep[]): Error {
  return migrationError(code, {
    message: `${migrationError.table[code].message}: ${steps.map(rowsText).join("; ")}`,
    details: steps.map((step) => ({
      path: step.field === null ? step.entity : `${step.entity}.${step.field}`,
      message: rowsText(step),
    })),
  });
}

/** What is left to do when the turn has come: nothing when another process has done the same in the meantime. */
async function stepsLeft(
  reader: Reader,
  { from }: MigrationPlan,
  { steps, wanted }: { readonly steps: readonly SchemaStep[]; readonly wanted: string },
): Promise<readonly SchemaStep[]> {
  const now = await reader.readMeta(SCHEMA_KEY);
  if (now === wanted) return [];
  if (now !== from) throw migrationError("MIGRATION_RACED");
  return steps;
}

/** What a plan is made from. How rows are stored is a matter of the table that is there. */
function remembered({ name, fields, indexes }: EntityDef): EntityDef {
  return { name, fields, indexes };
}

/**
 * Applies a plan.
 *
 * @throws MIGRATION_DESTRUCTIVE unless `allowDestructive`, MIGRATION_BLOCKED when rows do not fit, MIGRATION_RACED when
 * another process changed the schema to something else since the plan was made. Nothing has changed then.
 */
export async function applyMigration(
  store: Store,
  plan: MigrationPlan,
  options: { readonly allowDestructive: boolean },
): Promise<void> {
  const blocked = plan.steps.filter((step) => step.blocked);
  if (blocked.length > 0) throw refuse("MIGRATION_BLOCKED", blocked);
  // What holds no value has none to lose.
  const destructive = plan.steps.filter((step) => step.destructive && step.rows > 0);
  if (destructive.length > 0 && !options.allowDestructive) throw refuse("MIGRATION_DESTRUCTIVE", destructive);
  const steps = plan.changes.flatMap((change) => (change.kind === "step" ? [change.step] : []));
  const wanted = JSON.stringify(plan.entities.map(remembered));
  const remember = (tx: Tx): Promise<void> => tx.writeMeta(SCHEMA_KEY, wanted);
  // What needs no step is remembered too: a field that became optional has to be checked when it is required again.
  if (steps.length > 0) await store.changeSchema((reader) => stepsLeft(reader, plan, { steps, wanted }), remember);
  else if ((await store.reader.readMeta(SCHEMA_KEY)) !== wanted) await store.write(remember);
  store.describe(plan.entities.map(toTableSpec));
}

/** In this order each step is possible whatever of the table there is; a step that was done before is nothing. */
function systemSteps(table: TableSpec): SchemaStep[] {
  return [
    { kind: "create-table", table: { ...table, indexes: [] } },
    ...table.columns.map((column) => ({ kind: "add-column", table: table.name, column }) as const),
    ...table.indexes.map((index) => ({ kind: "create-index", table: table.name, index }) as const),
  ];
}

/**
 * Describes tables that are not entities, and creates those that the store does not have yet. A table that was made by an
 * earlier version gets the columns and indexes that it lacks.
 */
export async function createSystemTables(store: Store, tables: readonly TableSpec[]): Promise<void> {
  const wanted = JSON.stringify(tables);
  if ((await store.reader.readMeta(SYSTEM_KEY)) !== wanted) {
    const stepsNeeded = async (reader: Reader): Promise<readonly SchemaStep[]> =>
      (await reader.readMeta(SYSTEM_KEY)) === wanted ? [] : tables.flatMap(systemSteps);
    await store.changeSchema(stepsNeeded, async (tx) => {
      await tx.writeMeta(SYSTEM_KEY, wanted);
      if ((await tx.readMeta(CURSOR_SECRET_KEY)) === undefined) {
        await tx.writeMeta(CURSOR_SECRET_KEY, createCursorSecret());
      }
    });
  }
  store.describe(tables);
}
