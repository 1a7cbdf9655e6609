// Everything that is wrong with a manifest and its plugins, at once: neither hides the other, and nothing is made up.

import { describe, expect, test } from "bun:test";
import { findProblems } from "../../src/cli/find-problems.ts";
import { PLUGINS } from "../../src/plugins.ts";

const ORDER = { name: "Order", fields: [{ name: "total", type: "int" }] };

function hook(entity: string, more: object = {}): object {
  return { entity, events: ["insert"], url: "https://hooks.example.com", ...more };
}

function paths(manifest: object): string[] {
  const { problems, blueprint } = findProblems({ manifest_version: 1, ...manifest }, PLUGINS, {});
  expect(blueprint === undefined).toBe(problems.length > 0);
  return problems.map(({ path }) => path);
}

describe("findProblems", () => {
  test("finds none in what is well", () => {
    const plugins = [{ name: "webhooks", config: { hooks: [hook("Order")] } }];
    expect(paths({ entities: [ORDER], plugins })).toEqual([]);
  });

  test("finds those of the manifest and of the plugins, each once", () => {
    const plugins = [
      {
        name: "webhooks",
        config: { hooks: [hook("Order"), hook("Broken"), hook("Nothing", { secret_env: "UNSET" })] },
      },
      { name: "unknown", config: {} },
    ];
    const broken = { name: "Broken", fields: [{ name: "total", type: "money" }] };
    expect(paths({ entities: [ORDER, broken], plugins }).toSorted()).toEqual([
      "entities.1.fields.0.type",
      "plugins.0.config.hooks.2.entity",
      "plugins.0.config.hooks.2.secret_env",
      "plugins.1.name",
    ]);
  });

  test("judges plugins as far as their own list can be read", () => {
    expect(paths({ entities: 1, plugins: [{ name: "unknown", config: {} }] })).toContain("plugins.0.name");
    expect(paths({ entities: [null], plugins: [{ name: "unknown", config: {} }] })).toContain("plugins.0.name");
    expect(paths({ entities: [ORDER], plugins: [{ nome: "webhooks" }, { name: "unknown" }] })).toContain(
      "plugins.0.name",
    );
    expect(paths({ plugins: "webhooks" })).toEqual(["plugins"]);
  });

  test("takes anything for a manifest", () => {
    for (const input of [null, 1, "text", []]) {
      expect(findProblems(input, PLUGINS, {}).problems.length).toBeGreaterThan(0);
    }
  });
});
