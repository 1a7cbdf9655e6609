// From the entities that the database was made for to the ones that the application declares now: which steps, in which
// order, which of them destroy values, and what the data must fulfil first. Decides only; touches nothing.

import type { ColumnSpec, IndexSpec, SchemaStep } from "../store/store.ts";
import { columnTypeOf, type FieldType } from "./field-type.ts";
import type { EntityDef, FieldDef } from "./manifest.ts";
import { toTableSpec } from "./tables.ts";

/** An entity of the last applied manifest. */
export type StoredEntity = EntityDef;

interface ChangeOf<Kind extends string> {
  readonly kind: Kind;
  readonly entity: string;
  /** Whether values are lost. */
  readonly destructive: boolean;
  /** One line for people. */
  readonly summary: string;
}

/** A step for the store. */
export interface PlannedStep extends ChangeOf<"step"> {
  readonly step: SchemaStep;
  /** The field that the step is about, if it is about one. */
  readonly field?: string;
}

/** A field that no row may leave empty: fails for `all` rows (the column is new), or for those that hold `null`. */
export interface NeedsValue extends ChangeOf<"needs-value"> {
  readonly field: string;
  readonly failing: "all" | "null";
}

/** Columns whose values must not repeat. A row with a null among them repeats nothing. */
export interface NeedsUnique extends ChangeOf<"needs-unique"> {
  readonly index: string;
  readonly fields: readonly string[];
}

/** A text field that becomes a datetime: values that `normalizeDatetime` refuses, or would change, do not fit. */
export interface NeedsValid extends ChangeOf<"needs-valid"> {
  readonly field: string;
}

export type PlannedCheck = NeedsValue | NeedsUnique | NeedsValid;
export type PlannedChange = PlannedStep | PlannedCheck;

/** What becomes of a field's column when its type changes. */
type Transition = "same" | "convert" | "replace";

const STRING_LIKE: ReadonlySet<string> = new Set(["string", "richtext"]);

function transitionOf(from: FieldType, to: FieldType): Transition {
  const [before, after] = [columnTypeOf(from), columnTypeOf(to)];
  if (before === after) return "same";
  if (STRING_LIKE.has(to) || to.startsWith("id(")) return "convert";
  return before === "int" && after === "real" ? "convert" : "replace";
}

/** Changes by phase: what a step relies on comes before it, whatever the order of entities and fields. */
interface Phases {
  readonly dropIndexes: PlannedStep[];
  readonly dropTables: PlannedStep[];
  readonly dropColumns: PlannedStep[];
  readonly convertColumns: PlannedStep[];
  readonly addColumns: PlannedStep[];
  readonly createTables: PlannedStep[];
  readonly checks: PlannedCheck[];
  readonly createIndexes: PlannedStep[];
}

function columnOf(field: FieldDef): ColumnSpec {
  return { name: field.name, type: columnTypeOf(field.type) };
}

function planAdd(phases: Phases, entity: string, field: FieldDef): void {
  phases.addColumns.push({
    kind: "step",
    entity,
    field: field.name,
    destructive: false,
    step: { kind: "add-column", table: entity, column: columnOf(field) },
    summary: `Add field ${entity}.${field.name} (${field.type})`,
  });
  if (field.optional) return;
  phases.checks.push({
    kind: "needs-value",
    entity,
    field: field.name,
    failing: "all",
    destructive: false,
    summary: `Field ${entity}.${field.name} is required, and existing rows have no value for it`,
  });
}

function planDrop(phases: Phases, entity: string, field: string, reason = ""): void {
  phases.dropColumns.push({
    kind: "step",
    entity,
    field,
    destructive: true,
    step: { kind: "drop-column", table: entity, column: field },
    summary: `Drop field ${entity}.${field}${reason}`,
  });
}

function planConvert(phases: Phases, entity: string, from: FieldDef, to: FieldDef): void {
  phases.convertColumns.push({
    kind: "step",
    entity,
    field: to.name,
    destructive: false,
    step: { kind: "convert-column", table: entity, column: columnOf(to), from: columnTypeOf(from.type) },
    summary: `Convert field ${entity}.${to.name} from ${from.type} to ${to.type}`,
  });
}

function planChecks(phases: Phases, entity: string, from: FieldDef, to: FieldDef): void {
  const about = { entity, field: to.name, destructive: false };
  const name = `${entity}.${to.name}`;
  if (from.optional && !to.optional) {
    const summary = `Field ${name} becomes required`;
    phases.checks.push({ kind: "needs-value", ...about, failing: "null", summary });
  }
  if (to.type === "datetime" && from.type !== "datetime") {
    phases.checks.push({ kind: "needs-valid", ...about, summary: `Field ${name} becomes a datetime` });
  }
}

/** Plans one field that stays. Answers what becomes of its column. */
function planField(phases: Phases, entity: string, from: FieldDef, to: FieldDef): Transition {
  const transition = transitionOf(from.type, to.type);
  if (transition === "replace") {
    planDrop(phases, entity, to.name, `: ${from.type} does not become ${to.type}`);
    planAdd(phases, entity, to);
    return transition;
  }
  if (transition === "convert") planConvert(phases, entity, from, to);
  planChecks(phases, entity, from, to);
  return transition;
}

/** Plans the columns. Answers the changed ones: `fresh` are empty afterwards, `touched` includes every column that an index cannot stay on. */
function planColumns(
  phases: Phases,
  from: StoredEntity,
  to: EntityDef,
): { readonly touched: ReadonlySet<string>; readonly fresh: ReadonlySet<string> } {
  const before = new Map(from.fields.map((field) => [field.name, field]));
  const after = new Set(to.fields.map((field) => field.name));
  const touched = new Set<string>();
  const fresh = new Set<string>();
  for (const { name } of from.fields) {
    if (after.has(name)) continue;
    planDrop(phases, to.name, name);
    touched.add(name);
  }
  for (const field of to.fields) {
    const old = before.get(field.name);
    if (!old) planAdd(phases, to.name, field);
    const transition = old ? planField(phases, to.name, old, field) : "replace";
    if (transition !== "same") touched.add(field.name);
    if (transition === "replace") fresh.add(field.name);
  }
  return { touched, fresh };
}

function sameIndex(a: IndexSpec, b: IndexSpec): boolean {
  return a.unique === b.unique && a.columns.join() === b.columns.join();
}

function planDropIndex(phases: Phases, entity: string, index: string): void {
  phases.dropIndexes.push({
    kind: "step",
    entity,
    destructive: false,
    step: { kind: "drop-index", table: entity, index },
    summary: `Drop index ${index}`,
  });
}

function planCreateIndex(phases: Phases, entity: string, index: IndexSpec, hasValues: boolean): void {
  const about = `${index.unique ? "unique index" : "index"} ${index.name} on ${index.columns.join(", ")}`;
  phases.createIndexes.push({
    kind: "step",
    entity,
    destructive: false,
    step: { kind: "create-index", table: entity, index },
    summary: `Create ${about}`,
  });
  if (!index.unique || !hasValues) return;
  phases.checks.push({
    kind: "needs-unique",
    entity,
    index: index.name,
    fields: index.columns,
    destructive: false,
    summary: `Values of ${index.columns.map((column) => `${entity}.${column}`).join(", ")} must not repeat`,
  });
}

function planEntity(phases: Phases, from: StoredEntity, to: EntityDef): void {
  const { touched, fresh } = planColumns(phases, from, to);
  const before = new Map(toTableSpec(from).indexes.map((index) => [index.name, index]));
  const after = toTableSpec(to).indexes;
  const kept = new Set<string>();
  for (const index of after) {
    const old = before.get(index.name);
    // Neither database changes a column under an index: the index goes first and comes back.
    if (old && sameIndex(old, index) && !index.columns.some((column) => touched.has(column))) kept.add(index.name);
    else planCreateIndex(phases, to.name, index, !index.columns.some((column) => fresh.has(column)));
  }
  for (const name of before.keys()) if (!kept.has(name)) planDropIndex(phases, to.name, name);
}

function planCreateTable(phases: Phases, entity: EntityDef): void {
  phases.createTables.push({
    kind: "step",
    entity: entity.name,
    destructive: false,
    step: { kind: "create-table", table: toTableSpec(entity) },
    summary: `Create entity ${entity.name}`,
  });
}

function planDropTable(phases: Phases, entity: string): void {
  phases.dropTables.push({
    kind: "step",
    entity,
    destructive: true,
    step: { kind: "drop-table", table: entity },
    summary: `Drop entity ${entity}`,
  });
}

/**
 * Plans the way from `from` to `to`; empty when nothing changes. Steps are in the order to apply them. Checks stand between
 * them, before the index that needs them, and speak of the data as it is before any step.
 */
export function planSchema(from: readonly StoredEntity[], to: readonly EntityDef[]): PlannedChange[] {
  const phases: Phases = {
    dropIndexes: [],
    dropTables: [],
    dropColumns: [],
    convertColumns: [],
    addColumns: [],
    createTables: [],
    checks: [],
    createIndexes: [],
  };
  const before = new Map(from.map((entity) => [entity.name, entity]));
  const after = new Set(to.map((entity) => entity.name));
  for (const { name } of from) if (!after.has(name)) planDropTable(phases, name);
  for (const entity of to) {
    const old = before.get(entity.name);
    if (old) planEntity(phases, old, entity);
    else planCreateTable(phases, entity);
  }
  return [
    ...phases.dropIndexes,
    ...phases.dropTables,
    ...phases.dropColumns,
    ...phases.convertColumns,
    ...phases.addColumns,
    ...phases.createTables,
    ...phases.checks,
    ...phases.createIndexes,
  ];
}
