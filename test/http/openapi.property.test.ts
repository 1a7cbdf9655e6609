// Whatever the entities and functions of an application are called, its OpenAPI document is sound and complete.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { describeApi } from "../../src/http/openapi.ts";
import { entityRoutes } from "../../src/http/entity-routes.ts";
import { functionRoutes } from "../../src/http/function-routes.ts";
import { findProblems, operationsOf } from "./openapi-checks.ts";

/** Few letters and the suffixes that the document adds itself, so that names meet. */
const name = fc
  .tuple(fc.constantFrom("A", "a", "B", "Error"), fc.constantFrom("", "Input", "Patch", "_2", "Input_2", "Code"))
  .map((parts) => parts.join(""));
const type = fc.constantFrom("string", "int", "float", "bool", "datetime", "richtext", "json", "id(A)");
const field = fc.record({
  name: fc.constantFrom("total", "limit", "cursor", "order", "type", "required"),
  type,
  optional: fc.boolean(),
  unique: fc.boolean(),
});
const entity = fc.record({
  def: fc.record({
    name,
    fields: fc.uniqueArray(field, { selector: (value) => value.name }),
    indexes: fc.constant([]),
  }),
  readOnly: fc.boolean(),
});
const called = fc.record({
  name: fc.oneof(name, fc.string({ minLength: 1, maxLength: 8 })),
  kind: fc.constantFrom("query" as const, "mutation" as const, "action" as const),
  argsSchema: fc.constant({ type: "object" }),
});

const routes = [...entityRoutes(undefined as never), ...functionRoutes(undefined as never)];

describe("the OpenAPI document of any application", () => {
  it("is sound, however its parts are named", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(entity, { selector: ({ def }) => def.name, maxLength: 12 }),
        fc.uniqueArray(called, { selector: (info) => info.name, maxLength: 6 }),
        (entities, functions) => {
          const parts = { name: "app", version: "1", routes, entities, functions, publicUrl: null };
          const document = JSON.parse(JSON.stringify(describeApi(parts))) as unknown;
          assert.deepEqual(findProblems(document), []);
          const actions = functions.filter(({ kind }) => kind === "action").length;
          const writable = entities.filter(({ readOnly }) => !readOnly).length;
          const expected = 1 + entities.length * 2 + writable * 3 + functions.length + actions * 5;
          assert.equal(operationsOf(document).length, expected);
        },
      ),
      { numRuns: 150 },
    );
  });
});
