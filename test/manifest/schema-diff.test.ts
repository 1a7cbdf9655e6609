// Which steps a change of entities needs, in which order, and which of them destroy values.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { entity, field } from "../../src/manifest/dsl.ts";
import type { EntityDef } from "../../src/manifest/manifest.ts";
import { planSchema, type PlannedChange } from "../../src/manifest/schema-diff.ts";

function outline(change: PlannedChange): string {
  const name = change.kind === "step" ? change.step.kind : change.kind;
  const target = "field" in change && change.field !== undefined ? `${change.entity}.${change.field}` : change.entity;
  return `${change.destructive ? "!" : ""}${name} ${target}`;
}

function plan(from: readonly EntityDef[], to: readonly EntityDef[]): string[] {
  return planSchema(from, to).map(outline);
}

function one(type: keyof Omit<typeof field, "id">): EntityDef[] {
  return [entity("A", { x: field[type]().optional() })];
}

describe("planSchema", () => {
  it("creates and drops entities", () => {
    const [a, b] = [entity("A", { x: field.int().unique() }), entity("B", {})];
    assert.deepEqual(plan([], [a]), ["create-table A"]);
    assert.deepEqual(plan([a], []), ["!drop-table A"]);
    assert.deepEqual(plan([a], [b]), ["!drop-table A", "create-table B"]);
    assert.deepEqual(plan([a, b], [b, a]), []);
  });

  it("adds and drops fields", () => {
    const [a] = one("int");
    const wider = entity("A", { x: field.int().optional(), y: field.string().optional(), z: field.int() });
    assert.deepEqual(plan([a!], [wider]), ["add-column A.y", "add-column A.z", "needs-value A.z"]);
    assert.deepEqual(plan([wider], [a!]), ["!drop-column A.y", "!drop-column A.z"]);
  });

  it("knows which type becomes which", () => {
    const cases: [keyof Omit<typeof field, "id">, keyof Omit<typeof field, "id">, string[]][] = [
      ["string", "richtext", []],
      ["richtext", "string", []],
      ["datetime", "string", []],
      ["string", "datetime", ["needs-valid A.x"]],
      ["int", "float", ["convert-column A.x"]],
      ["int", "string", ["convert-column A.x"]],
      ["bool", "richtext", ["convert-column A.x"]],
      ["json", "string", ["convert-column A.x"]],
      ["float", "int", ["!drop-column A.x", "add-column A.x"]],
      ["string", "int", ["!drop-column A.x", "add-column A.x"]],
      ["int", "datetime", ["!drop-column A.x", "add-column A.x"]],
      ["string", "json", ["!drop-column A.x", "add-column A.x"]],
    ];
    for (const [from, to, expected] of cases) assert.deepEqual(plan(one(from), one(to)), expected, `${from} to ${to}`);
    const id = [entity("A", { x: field.id("B").optional() })];
    const other = [entity("A", { x: field.id("C").optional() })];
    assert.deepEqual(plan(id, other), []);
    assert.deepEqual(plan(one("string"), id), []);
    assert.deepEqual(plan(one("int"), id), ["convert-column A.x"]);
    assert.deepEqual(plan(id, one("datetime")), ["needs-valid A.x"]);
  });

  it("asks for values when a field becomes required", () => {
    const optional = [entity("A", { x: field.int().optional() })];
    const required = [entity("A", { x: field.int() })];
    const [check] = planSchema(optional, required);
    assert.ok(check?.kind === "needs-value" && check.failing === "null" && check.field === "x");
    assert.deepEqual(plan(required, optional), []);
    const replaced = planSchema([entity("A", { x: field.string() })], required);
    assert.deepEqual(replaced.map(outline), ["!drop-column A.x", "add-column A.x", "needs-value A.x"]);
    assert.ok(replaced[2]?.kind === "needs-value" && replaced[2].failing === "all");
  });

  it("asks for unique values before the index, not on new columns", () => {
    const plain = [entity("A", { x: field.int() })];
    const unique = [entity("A", { x: field.int().unique() })];
    assert.deepEqual(plan(plain, unique), ["needs-unique A", "create-index A"]);
    assert.deepEqual(plan(unique, plain), ["drop-index A"]);
    const fresh = [entity("A", { x: field.int(), y: field.int().optional().unique() })];
    assert.deepEqual(plan(plain, fresh), ["add-column A.y", "create-index A"]);
  });

  it("takes an index off a column that changes", () => {
    const from = [
      entity("A", { x: field.int().unique(), y: field.int() }, { indexes: [{ name: "xy", fields: ["y", "x"] }] }),
    ];
    const to = [
      entity("A", { x: field.float().unique(), y: field.int() }, { indexes: [{ name: "xy", fields: ["y", "x"] }] }),
    ];
    assert.deepEqual(plan(from, to), [
      "drop-index A",
      "drop-index A",
      "convert-column A.x",
      "needs-unique A",
      "create-index A",
      "create-index A",
    ]);
  });

  it("says in one line what it does", () => {
    for (const change of planSchema(one("int"), [entity("A", { y: field.int().unique() }), entity("B", {})])) {
      assert.match(change.summary, /^[A-Z][^\n]+[^.]$/);
    }
  });
});
