// How entities become tables.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { entity, field } from "../../src/manifest/dsl.ts";
import { toTableSpec } from "../../src/manifest/tables.ts";

describe("toTableSpec", () => {
  it("gives every type its column", () => {
    const spec = toTableSpec(
      entity("All", {
        a: field.string(),
        b: field.int(),
        c: field.float(),
        d: field.bool(),
        e: field.datetime(),
        f: field.richtext(),
        g: field.json(),
        h: field.id("User"),
      }),
    );
    assert.equal(spec.name, "All");
    assert.deepEqual(
      spec.columns.map(({ name, type }) => `${name}:${type}`),
      ["a:text", "b:int", "c:real", "d:bool", "e:text", "f:text", "g:json", "h:text"],
    );
    assert.deepEqual(spec.indexes, []);
  });

  it("names the indexes after the entity", () => {
    const spec = toTableSpec(
      entity(
        "User",
        { email: field.string().unique(), org: field.id("Org") },
        {
          indexes: [
            { name: "by_org", fields: ["org", "email"] },
            { name: "one", fields: ["org"], unique: true },
          ],
        },
      ),
    );
    assert.deepEqual(spec.indexes, [
      { name: "User_email_unique", columns: ["email"], unique: true },
      { name: "User_by_org", columns: ["org", "email"], unique: false },
      { name: "User_one", columns: ["org"], unique: true },
    ]);
  });
});
