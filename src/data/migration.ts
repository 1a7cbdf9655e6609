// Brings the database to the entities that the application declares. What a migration would destroy is counted and named
// before anything happens, and everything that it does happens in one transaction.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";
import type { EntityDef } from "../manifest/manifest.ts";
import { parseStoredEntities } from "../manifest/manifest.ts";
import { normalizeDatetime } from "../manifest/datetime-text.ts";
import { planSchema, type PlannedChange, type PlannedCheck } from "../manifest/schema-diff.ts";
import { toTableSpec } from "../manifest/tables.ts";
import type { Condition, Reader, Store, TableSpec, Tx, Value } from "../store/store.ts";

export const migrationError: ErrorFactory<"MIGRATION_DESTRUCTIVE" | "MIGRATION_BLOCKED"> = defineErrors({
  MIGRATION_DESTRUCTIVE: {
    status: 500,
    message: "A pending migration would destroy data",
    hint: "See it with `pylon migrate --plan`, apply it with `pylon migrate --allow-destructive`",
  },
  MIGRATION_BLOCKED: {
    status: 500,
    message: "The rows in the database do not fit the new schema",
    hint: "Mend the rows with the old version of the application, or make the field optional",
  },
});

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
  readonly steps: readonly MigrationStep[];
  readonly changes: readonly PlannedChange[];
  readonly entities: readonly EntityDef[];
}

const SCHEMA_KEY = "schema";
const SYSTEM_KEY = "system-tables";
/** Rows that one look at the data takes at a time. */
const SCAN_PAGE = 1_000;

async function readApplied(reader: Reader): Promise<readonly EntityDef[]> {
  const text = await reader.readMeta(SCHEMA_KEY);
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
    const key = JSON.stringify(values);
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
  const from = await readApplied(store.reader);
  const tables = from.map(toTableSpec);
  store.describe(tables);
  const applied = new Map(tables.map((table) => [table.name, table]));
  const changes = planSchema(from, entities);
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
  return { steps, changes, entities };
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

/**
 * Applies a plan.
 *
 * @throws MIGRATION_DESTRUCTIVE unless `allowDestructive`, MIGRATION_BLOCKED when rows do not fit. Nothing has changed then.
 */
export async function applyMigration(
  store: Store,
  plan: MigrationPlan,
  options: { readonly allowDestructive: boolean },
): Promise<void> {
  const blocked = plan.steps.filter((step) => step.blocked);
  if (blocked.length > 0) throw refuse("MIGRATION_BLOCKED", blocked);
  const destructive = plan.steps.filter((step) => step.destructive);
  if (destructive.length > 0 && !options.allowDestructive) throw refuse("MIGRATION_DESTRUCTIVE", destructive);
  store.describe(plan.entities.map(toTableSpec));
  if (plan.changes.length === 0) return;
  const steps = plan.changes.flatMap((change) => (change.kind === "step" ? [change.step] : []));
  await store.changeSchema(steps, (tx: Tx) => tx.writeMeta(SCHEMA_KEY, JSON.stringify(plan.entities)));
}

/** Describes tables that are not entities, and creates those that the store does not have yet. */
export async function createSystemTables(store: Store, tables: readonly TableSpec[]): Promise<void> {
  store.describe(tables);
  const wanted = JSON.stringify(tables);
  if ((await store.reader.readMeta(SYSTEM_KEY)) === wanted) return;
  const steps = tables.map((table) => ({ kind: "create-table", table }) as const);
  await store.changeSchema(steps, (tx) => tx.writeMeta(SYSTEM_KEY, wanted));
}
