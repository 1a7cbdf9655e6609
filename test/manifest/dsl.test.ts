// The DSL gives plain data that the manifest schema accepts.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { app, buildManifest, entity, field, policy } from "../../src/manifest/dsl.ts";
import { parseManifest } from "../../src/manifest/manifest.ts";

describe("field", () => {
  it("gives every type its name", () => {
    const types = {
      string: "string",
      int: "int",
      float: "float",
      number: "float",
      bool: "bool",
      boolean: "bool",
      datetime: "datetime",
      richtext: "richtext",
      json: "json",
    } as const;
    for (const [name, type] of Object.entries(types)) {
      assert.deepEqual(field[name as keyof typeof types]().def, { type, optional: false, unique: false }, name);
    }
    assert.equal(field.id("User").def.type, "id(User)");
  });

  it("changes nothing that was handed out", () => {
    const plain = field.string();
    const optional = plain.optional();
    const both = optional.unique();
    assert.deepEqual(plain.def, { type: "string", optional: false, unique: false });
    assert.deepEqual(optional.def, { type: "string", optional: true, unique: false });
    assert.deepEqual(both.def, { type: "string", optional: true, unique: true });
  });
});

describe("entity", () => {
  it("is plain data in declared order", () => {
    const order = entity(
      "Order",
      { total: field.int(), email: field.string().optional().unique() },
      { indexes: [{ name: "by_total", fields: ["total", "id"] }] },
    );
    const name: "Order" = order.name;
    assert.equal(name, "Order");
    assert.deepEqual(JSON.parse(JSON.stringify(order)), {
      name: "Order",
      fields: [
        { name: "total", type: "int", optional: false, unique: false },
        { name: "email", type: "string", optional: true, unique: true },
      ],
      indexes: [{ name: "by_total", fields: ["total", "id"], unique: false }],
    });
  });

  it("knows its fields by type", () => {
    // @ts-expect-error an index over a field that is not there
    const wrong = entity("Order", { total: field.int() }, { indexes: [{ name: "x", fields: ["totl"] }] });
    assert.throws(() => parseManifest(app({ entities: [wrong] })), { code: "MANIFEST_INVALID" });
  });
});

describe("app", () => {
  it("gives a manifest that parses to itself", () => {
    const on = { "invoice.paid": (): void => {} };
    const manifest = app({
      name: "shop",
      entities: [entity("Order", { total: field.int() })],
      policies: [policy({ name: "p", entity: "Order", allow: "auth.userId != null" })],
      plugins: [{ name: "stripe", config: { on } }],
    });
    const parsed = parseManifest(manifest);
    assert.deepEqual(parsed, manifest);
    assert.equal(parsed.plugins[0]?.config["on"], on);
  });

  it("has defaults, and a second name", () => {
    assert.deepEqual(parseManifest(app()), parseManifest({ manifest_version: 1 }));
    assert.deepEqual(buildManifest({ name: "x" }), app({ name: "x" }));
  });

  it("hands on what it does not know, for parsing to refuse", () => {
    const definition = { entities: [], routes: [] };
    assert.throws(() => parseManifest(app(definition)), { code: "MANIFEST_INVALID" });
    const untyped = entity("A", { x: "string" } as unknown as Record<string, ReturnType<typeof field.string>>);
    assert.throws(() => parseManifest(app({ entities: [untyped] })), { code: "MANIFEST_INVALID" });
  });
});
