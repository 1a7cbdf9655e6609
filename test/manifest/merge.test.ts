// Two manifests become one: plugins of one name share a configuration.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { app, entity, field } from "../../src/manifest/dsl.ts";
import { parseManifest } from "../../src/manifest/manifest.ts";
import { mergeConfigs, mergeManifests, mergePlugins } from "../../src/manifest/merge.ts";

describe("mergeManifests", () => {
  it("joins entities, policies and plugins", () => {
    const handler = (): void => {};
    const merged = parseManifest(
      mergeManifests(
        app({
          entities: [entity("A", { x: field.int() })],
          plugins: [{ name: "stripe", config: { on: { a: handler }, list: [1], key: "code" } }],
        }),
        {
          manifest_version: 1,
          name: "shop",
          version: "2.0.0",
          entities: [{ name: "B", fields: [] }],
          policies: [{ name: "p", entity: "A", allow: "true" }],
          plugins: [
            { name: "cache", config: {} },
            { name: "stripe", config: { on: { b: null }, list: [2], key: "file" } },
          ],
        },
      ),
    );
    assert.deepEqual(
      merged.entities.map(({ name }) => name),
      ["A", "B"],
    );
    assert.equal(merged.name, "shop");
    assert.equal(merged.version, "2.0.0");
    assert.equal(merged.policies.length, 1);
    assert.deepEqual(merged.plugins, [
      { name: "stripe", config: { on: { a: handler, b: null }, list: [1, 2], key: "file" } },
      { name: "cache", config: {} },
    ]);
  });

  it("does not let the defaults of app() win", () => {
    const file = { manifest_version: 1, name: "shop", version: "1.0.0" };
    assert.equal(parseManifest(mergeManifests(file, app())).name, "shop");
    assert.equal(parseManifest(mergeManifests(file, app())).version, "1.0.0");
    assert.equal(parseManifest(mergeManifests(app(), file)).name, "shop");
  });

  it("loses no problem of either side", () => {
    const fine = { manifest_version: 1, entities: [{ name: "A", fields: [] }] };
    const broken: unknown[] = [
      null,
      [],
      "text",
      { manifest_version: 2 },
      { ...fine, surprise: 1 },
      { manifest_version: 1, entities: {} },
      { manifest_version: 1, policies: "x" },
      { manifest_version: 1, plugins: [{ name: "cache", config: 5 }] },
      { manifest_version: 1, plugins: [{ name: "cache", config: {}, extra: 1 }] },
      { manifest_version: 1, plugins: {} },
      fine,
    ];
    for (const input of broken) {
      for (const [a, b] of [
        [fine, input],
        [input, fine],
      ] as const) {
        assert.throws(() => parseManifest(mergeManifests(a, b)), { code: "MANIFEST_INVALID" }, JSON.stringify([a, b]));
      }
    }
  });
});

describe("mergeConfigs", () => {
  it("keeps a __proto__ key as a key", () => {
    const attack = JSON.parse('{"__proto__": {"polluted": true}}') as Record<string, unknown>;
    const merged = mergeConfigs(mergeConfigs({}, attack), { x: 1 });
    assert.equal(Object.getPrototypeOf(merged), Object.prototype);
    assert.ok(Object.hasOwn(merged, "__proto__"));
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  it("ends for a configuration that contains itself", () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    assert.ok(mergeConfigs(circular, circular));
  });

  it("replaces what is not plain data as a whole", () => {
    const date = new Date(0);
    assert.equal(mergeConfigs({ at: { a: 1 } }, { at: date })["at"], date);
  });

  it("changes neither side, and nothing merged in changes nothing", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()), (a, b) => {
        const before = JSON.stringify([a, b]);
        const merged = mergeConfigs(a, b);
        assert.equal(JSON.stringify([a, b]), before);
        assert.deepEqual(new Set(Object.keys(merged)), new Set([...Object.keys(a), ...Object.keys(b)]));
        assert.deepEqual({ ...mergeConfigs(a, {}) }, { ...a });
        assert.deepEqual({ ...mergeConfigs({}, a) }, { ...a });
      }),
    );
  });
});

describe("mergePlugins", () => {
  it("keeps the place of the first", () => {
    const entries = ["a", "b", "a"].map((name, index) => ({ name, config: { list: [index] } }));
    assert.deepEqual(mergePlugins(entries), [
      { name: "a", config: { list: [0, 2] } },
      { name: "b", config: { list: [1] } },
    ]);
  });
});
