// Every problem of a manifest is found at once, with its path.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isPylonError, type Problem } from "../../src/core/errors.ts";
import {
  checkManifest,
  parseManifest,
  parseStoredEntities,
  type CheckOptions,
  type Manifest,
} from "../../src/manifest/manifest.ts";

function problemsOf(input: unknown, options?: CheckOptions): readonly Problem[] {
  try {
    parseManifest(input, options);
  } catch (error) {
    assert.ok(isPylonError(error, "MANIFEST_INVALID"), String(error));
    assert.equal(error.status, 500);
    assert.ok(error.details && error.details.length > 0);
    return error.details;
  }
  return [];
}

function pathsOf(input: unknown, options?: CheckOptions): string[] {
  return problemsOf(input, options).map((problem) => problem.path);
}

function manifestWith(parts: Record<string, unknown>): Record<string, unknown> {
  return { manifest_version: 1, ...parts };
}

const order = {
  name: "Order",
  fields: [
    { name: "total", type: "int", optional: false, unique: false },
    { name: "userId", type: "id(User)" },
    { name: "meta", type: "json", optional: true },
    { name: "open", type: "bool" },
  ],
};

describe("parseManifest", () => {
  it("reads the whole shape and fills what may be left out", () => {
    const manifest = parseManifest({
      manifest_version: 1,
      name: "shop",
      version: "0.1.0",
      entities: [
        {
          ...order,
          indexes: [
            { name: "by_user", fields: ["userId", "id"], unique: false },
            { name: "t", fields: ["total"] },
          ],
        },
      ],
      policies: [{ name: "p", entity: "Order", allowRead: "auth.userId == data.userId or auth.is_admin" }],
      plugins: [{ name: "cache" }, { name: "webhooks", config: { hooks: [] } }],
    });
    assert.equal(manifest.name, "shop");
    assert.deepEqual(manifest.entities[0]?.fields[1], {
      name: "userId",
      type: "id(User)",
      optional: false,
      unique: false,
    });
    assert.deepEqual(manifest.entities[0]?.indexes[1], { name: "t", fields: ["total"], unique: false });
    assert.deepEqual(manifest.plugins, [
      { name: "cache", config: {} },
      { name: "webhooks", config: { hooks: [] } },
    ]);
  });

  it("needs nothing but its version", () => {
    assert.deepEqual(parseManifest({ manifest_version: 1 }), {
      manifest_version: 1,
      name: "app",
      version: "0.0.0",
      entities: [],
      policies: [],
      plugins: [],
    });
  });

  it("keeps functions in plugin configurations, and merges entries of one name", () => {
    const handler = (): void => {};
    const { plugins } = parseManifest(
      manifestWith({
        plugins: [
          { name: "stripe", config: { api_key_env: "A", on: { "x.y": handler } } },
          { name: "stripe", config: { api_key_env: "B" } },
        ],
      }),
    );
    assert.equal(plugins.length, 1);
    const config = plugins[0]?.config as { api_key_env: string; on: Record<string, unknown> };
    assert.equal(config.api_key_env, "B");
    assert.equal(config.on["x.y"], handler);
  });

  it("lists problems of shape and of meaning together", () => {
    const paths = pathsOf({
      manifest_version: 2,
      surprise: true,
      entities: [
        {
          name: "Order",
          extra: 1,
          fields: [
            { name: "total", type: "money" },
            { name: "id", type: "string" },
            { name: "total", type: "int" },
            { name: "shop", type: "id(Shop)" },
          ],
          indexes: [
            { name: "a", fields: ["missing"] },
            { name: "a", fields: ["shop", "shop"] },
          ],
        },
        { name: "_Secret", fields: [] },
        { name: "9lives", fields: [{ name: "a-b", type: "string" }] },
        { name: "order", fields: [] },
      ],
      policies: [
        { name: "p", entity: "Nobody", allow: "true" },
        { name: "p", entity: "Order", allowRead: "data.total >" },
        { name: "q", entity: "Order" },
        { name: "r", allow: "true" },
      ],
      plugins: [{ name: "cache", confg: {} }],
    });
    assert.deepEqual(
      paths.toSorted(),
      [
        "manifest_version",
        "surprise",
        "entities.0.extra",
        "entities.0.fields.0.type",
        "entities.0.fields.1.name",
        "entities.0.fields.2.name",
        "entities.0.fields.3.type",
        "entities.0.indexes.0.fields.0",
        "entities.0.indexes.1.name",
        "entities.0.indexes.1.fields.1",
        "entities.1.name",
        "entities.2.name",
        "entities.2.fields.0.name",
        "entities.3.name",
        "policies.0.entity",
        "policies.1.name",
        "policies.1.allowRead",
        "policies.2",
        "policies.3.entity",
        "plugins.0.confg",
      ].toSorted(),
    );
  });

  it("names the first problem and the number of others in its message", () => {
    assert.throws(
      () => parseManifest({ manifest_version: 1, entities: [{ name: "A", fields: [{ name: "x", type: "money" }] }] }),
      (error) => isPylonError(error, "MANIFEST_INVALID") && error.message.includes("entities.0.fields.0.type"),
    );
    assert.throws(
      () => parseManifest({ manifest_version: 2, a: 1 }),
      (error) => isPylonError(error, "MANIFEST_INVALID") && error.message.includes("1 more"),
    );
  });

  it("gives the place of what is wrong in a rule", () => {
    const [problem] = problemsOf(
      manifestWith({
        entities: [order],
        policies: [{ name: "p", entity: "Order", allow: "true and\n  data.total ==" }],
      }),
    );
    assert.equal(problem?.path, "policies.0.allow");
    assert.match(problem?.message ?? "", /line 2, column 16/);
  });

  it("refuses rules about fields that do not exist, in json only one level", () => {
    const rules: Record<string, boolean> = {
      "data.total > 1": true,
      "data.id == auth.userId": true,
      "existing.open": true,
      "data.meta.deep.er == 'x'": true,
      "data.totl > 1": false,
      "existing.Total == 1": false,
      "data.total.x == 1": false,
      "[1, data.nope] == 1": false,
      "data.toString == 'x'": false,
    };
    for (const [allow, isFine] of Object.entries(rules)) {
      const paths = pathsOf(manifestWith({ entities: [order], policies: [{ name: "p", entity: "Order", allow }] }));
      assert.equal(paths.length === 0, isFine, allow);
    }
  });

  it("refuses comparisons that can never hold", () => {
    const rules: Record<string, boolean> = {
      "data.total == 5": true,
      "data.total == data.meta.limit": true,
      "data.userId in ['a', auth.userId]": true,
      "'admin' in auth.roles": true,
      "data.total == null": true,
      "data.open == true": true,
      "(data.total > 1) == data.open": true,
      "data.total == '5'": false,
      "data.open == 1": false,
      "auth.userId == data.total": false,
      "auth.roles == 'admin'": false,
      "data.total in 5": false,
      "data.total starts_with 'a'": false,
      "data.total + 1 == 'a'": false,
      "true and not (data.userId < 3)": false,
    };
    for (const [allow, isFine] of Object.entries(rules)) {
      const paths = pathsOf(manifestWith({ entities: [order], policies: [{ name: "p", entity: "Order", allow }] }));
      assert.equal(paths.length === 0, isFine, allow);
    }
  });

  it("reserves names that databases or objects own", () => {
    const entity = (name: string): unknown => ({ name, fields: [] });
    for (const name of ["_a", "sqlite_x", "SQLITE_X", "pg_class", "constructor", "toString"]) {
      assert.deepEqual(pathsOf(manifestWith({ entities: [entity(name)] })), ["entities.0.name"], name);
    }
    for (const name of [
      "id",
      "ID",
      "__proto__",
      "constructor",
      "valueOf",
      "ctid",
      "xmin",
      "",
      "a b",
      "ä",
      "a".repeat(64),
    ]) {
      const fields = [{ name, type: "string" }];
      assert.deepEqual(
        pathsOf(manifestWith({ entities: [{ name: "A", fields }] })),
        ["entities.0.fields.0.name"],
        JSON.stringify(name),
      );
    }
    const fields = ["rowId", "a".repeat(63), "order", "select"].map((name) => ({ name, type: "string" }));
    assert.deepEqual(pathsOf(manifestWith({ entities: [{ name: "A", fields }] })), []);
  });

  it("refuses names that become one in the database", () => {
    const entities = [
      {
        name: "A",
        fields: [
          { name: "x", type: "int", unique: true },
          { name: "b_c", type: "int" },
        ],
        indexes: [{ name: "b_c", fields: ["x"] }],
      },
      { name: "A_b", fields: [{ name: "x", type: "int" }], indexes: [{ name: "c", fields: ["x"] }] },
      { name: "A_x_unique", fields: [] },
      { name: "L".repeat(50), fields: [{ name: "long_field_name", type: "string", unique: true }] },
    ];
    assert.deepEqual(pathsOf(manifestWith({ entities })), [
      "entities.0.fields.0.unique",
      "entities.1.indexes.0.name",
      "entities.3.fields.0.unique",
    ]);
  });

  it("refuses unique and indexed json", () => {
    const entities = [
      { name: "A", fields: [{ name: "j", type: "json", unique: true }], indexes: [{ name: "i", fields: ["j"] }] },
    ];
    assert.deepEqual(pathsOf(manifestWith({ entities })), [
      "entities.0.fields.0.unique",
      "entities.0.indexes.0.fields.0",
    ]);
  });

  it("does not report what an unreadable part may hold", () => {
    const entities = [
      { name: "A", fields: [{ name: 5, type: "int" }], indexes: [{ name: "i", fields: ["maybe"] }] },
      { name: {}, fields: [{ name: "a", type: "id(Other)" }] },
    ];
    const policies = [
      { name: "p", entity: "A", allow: "data.maybe == 1" },
      { name: "q", entity: "Other", allow: "true" },
    ];
    assert.deepEqual(pathsOf(manifestWith({ entities, policies })), ["entities.0.fields.0.name", "entities.1.name"]);
  });

  it("knows entities that others contribute when told so", () => {
    const input = manifestWith({
      entities: [{ name: "A", fields: [{ name: "endpoint", type: "id(WebhookEndpoint)" }] }],
      policies: [{ name: "p", entity: "WebhookEndpoint", allow: "data.anything == 1" }],
    });
    assert.deepEqual(pathsOf(input), ["entities.0.fields.0.type", "policies.0.entity"]);
    assert.deepEqual(pathsOf(input, { knownEntities: new Set(["WebhookEndpoint"]) }), []);
    assert.deepEqual(pathsOf(input, { knownEntities: "any" }), []);
    const manifest = parseManifest(input, { knownEntities: "any" });
    assert.equal(checkManifest(manifest).length, 2);
  });

  it("keeps its limits", () => {
    const entities = Array.from({ length: 501 }, (_, index) => ({ name: `E${index}`, fields: [] }));
    assert.deepEqual(pathsOf(manifestWith({ entities })), ["entities"]);
    assert.deepEqual(pathsOf(manifestWith({ entities: entities.slice(1) })), []);
    const fields = Array.from({ length: 201 }, (_, index) => ({ name: `f${index}`, type: "int" }));
    assert.deepEqual(pathsOf(manifestWith({ entities: [{ name: "A", fields }] })), ["entities.0.fields"]);
    const policies = [{ name: "p", entity: "Order", allow: `true${" ".repeat(4093)}` }];
    assert.ok(pathsOf(manifestWith({ entities: [order], policies })).includes("policies.0.allow"));
  });

  it("throws nothing but MANIFEST_INVALID, whatever it is given", () => {
    const key = fc.constantFrom(
      "entities",
      "policies",
      "plugins",
      "fields",
      "indexes",
      "name",
      "type",
      "entity",
      "allow",
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom("Order", "int", "id(Order)", "data.x == 1", 1, true, null),
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.dictionary(key, tie("tree"), { maxKeys: 5 }),
      ),
    }));
    fc.assert(
      fc.property(fc.oneof(fc.anything(), tree), (input) => {
        problemsOf(input);
        problemsOf(typeof input === "object" ? { manifest_version: 1, ...input } : input);
      }),
      { numRuns: 500 },
    );
  });
});

describe("checkManifest", () => {
  it("reads a merged manifest again", () => {
    const manifest: Manifest = parseManifest(manifestWith({ entities: [order] }));
    assert.deepEqual(checkManifest(manifest), []);
    const doubled = { ...manifest, entities: [...manifest.entities, ...manifest.entities] };
    assert.deepEqual(
      checkManifest(doubled).map((problem) => problem.path),
      ["entities.1.name"],
    );
  });
});

describe("parseStoredEntities", () => {
  it("reads what was stored, and refuses anything else", () => {
    const { entities } = parseManifest(manifestWith({ entities: [order] }));
    assert.deepEqual(parseStoredEntities(JSON.parse(JSON.stringify(entities))), entities);
    assert.throws(() => parseStoredEntities([{ name: "A" }]), { code: "MANIFEST_INVALID" });
  });
});
