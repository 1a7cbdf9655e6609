// Applying a plan to any schema gives exactly the schema that was asked for.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { EntityDef, FieldDef, FieldType } from "../../src/manifest/manifest.ts";
import { planSchema } from "../../src/manifest/schema-diff.ts";
import { toTableSpec } from "../../src/manifest/tables.ts";
import type { ColumnType, IndexSpec, SchemaStep } from "../../src/store/store.ts";

/** A database that knows nothing but its schema, and that refuses what a real one would. */
interface Model {
  readonly tables: Map<string, Map<string, ColumnType>>;
  readonly indexes: Map<string, { readonly table: string; readonly index: IndexSpec }>;
}

function tableOf(model: Model, name: string): Map<string, ColumnType> {
  const table = model.tables.get(name);
  assert.ok(table, `no table ${name}`);
  return table;
}

function assertFree(model: Model, table: string, column: string): void {
  for (const { table: owner, index } of model.indexes.values()) {
    assert.ok(owner !== table || !index.columns.includes(column), `${index.name} is on ${table}.${column}`);
  }
}

function createIndex(model: Model, table: string, index: IndexSpec): void {
  assert.ok(!model.indexes.has(index.name) && !model.tables.has(index.name), `${index.name} exists`);
  for (const column of index.columns) assert.ok(tableOf(model, table).has(column), `no column ${column}`);
  model.indexes.set(index.name, { table, index });
}

const APPLY: {
  readonly [Kind in SchemaStep["kind"]]: (model: Model, step: Extract<SchemaStep, { kind: Kind }>) => void;
} = {
  "create-table"(model, { table }) {
    assert.ok(!model.tables.has(table.name) && !model.indexes.has(table.name), `${table.name} exists`);
    const columns = table.columns.map(({ name, type }) => [name, type] as const);
    model.tables.set(table.name, new Map([["id", "text"], ...columns]));
    for (const index of table.indexes) createIndex(model, table.name, index);
  },
  "drop-table"(model, { table }) {
    tableOf(model, table);
    model.tables.delete(table);
    for (const [name, entry] of model.indexes) if (entry.table === table) model.indexes.delete(name);
  },
  "add-column"(model, { table, column }) {
    assert.ok(!tableOf(model, table).has(column.name), `${column.name} exists`);
    tableOf(model, table).set(column.name, column.type);
  },
  "drop-column"(model, { table, column }) {
    assertFree(model, table, column);
    assert.ok(tableOf(model, table).delete(column), `no column ${column}`);
  },
  "convert-column"(model, { table, column, from }) {
    assertFree(model, table, column.name);
    assert.equal(tableOf(model, table).get(column.name), from);
    assert.ok(column.type === "text" || (from === "int" && column.type === "real"));
    tableOf(model, table).set(column.name, column.type);
  },
  "create-index"(model, { table, index }) {
    createIndex(model, table, index);
  },
  "drop-index"(model, { table, index }) {
    assert.equal(model.indexes.get(index)?.table, table);
    model.indexes.delete(index);
  },
};

function apply(model: Model, step: SchemaStep): void {
  (APPLY[step.kind] as (model: Model, step: SchemaStep) => void)(model, step);
}

function modelOf(entities: readonly EntityDef[]): Model {
  const model: Model = { tables: new Map(), indexes: new Map() };
  for (const entity of entities) apply(model, { kind: "create-table", table: toTableSpec(entity) });
  return model;
}

/** The schema without the order in which it came about. */
function dump(model: Model): unknown {
  const byName = <T>(entries: Map<string, T>): Record<string, T> => Object.fromEntries(entries);
  const tables = [...model.tables].map(([name, table]) => [name, byName(table)] as const);
  return [Object.fromEntries(tables), byName(model.indexes)];
}

const types: FieldType[] = ["string", "int", "float", "bool", "datetime", "richtext", "json", "id(A)", "id(B)"];
const fieldDef: fc.Arbitrary<FieldDef> = fc.record({
  name: fc.constantFrom("u", "v", "w", "x", "y"),
  type: fc.constantFrom(...types),
  optional: fc.boolean(),
  unique: fc.boolean(),
});
const entityDef: fc.Arbitrary<EntityDef> = fc
  .record({ name: fc.constantFrom("A", "B", "C"), fields: fc.uniqueArray(fieldDef, { selector: ({ name }) => name }) })
  .chain(({ name, fields }) => {
    const columns = ["id", ...fields.map((field) => field.name)];
    const index = fc.record({
      name: fc.constantFrom("i", "j"),
      fields: fc.uniqueArray(fc.constantFrom(...columns), { minLength: 1, maxLength: 3 }),
      unique: fc.boolean(),
    });
    return fc.record({
      name: fc.constant(name),
      fields: fc.constant(fields),
      indexes: fc.uniqueArray(index, { selector: ({ name }) => name }),
    });
  });
const schema = fc.uniqueArray(entityDef, { selector: ({ name }) => name });

describe("planSchema, for any two schemas", () => {
  it("leads from one to the other", () => {
    fc.assert(
      fc.property(schema, schema, (from, to) => {
        const model = modelOf(from);
        for (const change of planSchema(from, to)) if (change.kind === "step") apply(model, change.step);
        assert.deepEqual(dump(model), dump(modelOf(to)));
      }),
      { numRuns: 1000 },
    );
  });

  it("does nothing from a schema to itself, in any order", () => {
    fc.assert(
      fc.property(schema, (entities) => {
        const turned = entities.map((entity) => ({ ...entity, fields: entity.fields.toReversed() })).toReversed();
        assert.deepEqual(planSchema(entities, turned), []);
      }),
    );
  });

  it("calls destructive exactly what drops a table or a column", () => {
    fc.assert(
      fc.property(schema, schema, (from, to) => {
        for (const change of planSchema(from, to)) {
          const drops =
            change.kind === "step" && (change.step.kind === "drop-table" || change.step.kind === "drop-column");
          assert.equal(change.destructive, drops);
        }
      }),
    );
  });

  it("asks for a value exactly where a required field may lack one", () => {
    fc.assert(
      fc.property(schema, schema, (from, to) => {
        const asked = planSchema(from, to).flatMap((change) =>
          change.kind === "needs-value" ? [`${change.entity}.${change.field}`] : [],
        );
        const dropped = new Set(
          planSchema(from, to).flatMap((change) =>
            change.kind === "step" && change.step.kind === "drop-column" ? [`${change.entity}.${change.field}`] : [],
          ),
        );
        const expected = to.flatMap(({ name, fields }) => {
          const old = from.find((entity) => entity.name === name);
          if (!old) return [];
          return fields
            .filter((field) => {
              const before = old.fields.find((other) => other.name === field.name);
              return !field.optional && (!before || before.optional || dropped.has(`${name}.${field.name}`));
            })
            .map((field) => `${name}.${field.name}`);
        });
        assert.deepEqual(asked.toSorted(), expected.toSorted());
      }),
    );
  });
});
