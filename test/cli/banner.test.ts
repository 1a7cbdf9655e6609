// What `pylon dev` prints when it is up: a request that works, and no secret of the reader's own.

import { describe, expect, test } from "bun:test";
import { renderBanner, sampleRow, type BannerParts } from "../../src/cli/banner.ts";
import { createPaint } from "../../src/cli/paint.ts";
import { entity, field, app } from "../../src/manifest/dsl.ts";
import { PLUGINS } from "../../src/plugins.ts";
import { readBlueprint } from "../../src/instance/blueprint.ts";

function banner(entities: Parameters<typeof app>[0], admin: BannerParts["admin"]): string {
  const blueprint = readBlueprint(app(entities), PLUGINS, { SECRET: "secret-of-the-hook" });
  const parts = { version: "1", url: "http://127.0.0.1:1", database: "/x.db", blueprint, functionCount: 1, admin };
  return renderBanner(parts, createPaint(false));
}

const ORDER = entity("Order", { total: field.int(), note: field.string().optional() });
const LINE = entity("Line", { order: field.id("Order") });
const TOKEN = "a-token-of-some-length";

describe("renderBanner", () => {
  test("shows the token that was made, or read from a file, in a request that can be sent", () => {
    for (const source of ["generated", "file"] as const) {
      const text = banner({ entities: [LINE, ORDER] }, { token: TOKEN, source });
      expect(text).toContain(
        `curl -X POST http://127.0.0.1:1/api/entities/Order -H "Authorization: Bearer ${TOKEN}" -H "Content-Type: application/json" -d '{"total":1}'`,
      );
    }
  });

  test("does not show what the environment held", () => {
    const text = banner({ entities: [ORDER] }, { token: TOKEN, source: "environment" });
    expect(text).not.toContain(TOKEN);
    expect(text).toContain("$PYLON_ADMIN_TOKEN");
  });

  test("reads when no row can be made up, and asks for health when there is no entity", () => {
    const admin = { token: TOKEN, source: "generated" } as const;
    const self = entity("Node", { parent: field.id("Node") });
    expect(banner({ entities: [self] }, admin)).toContain("curl http://127.0.0.1:1/api/entities/Node -H");
    expect(banner({}, admin)).toContain("curl http://127.0.0.1:1/health");
  });

  test("counts the application's own entities", () => {
    const hook = { entity: "Order", events: ["insert"], url: "https://hooks.example.com", secret_env: "SECRET" };
    const plugins = [{ name: "webhooks", config: { hooks: [hook] } }];
    const text = banner({ entities: [ORDER, LINE], plugins }, { token: TOKEN, source: "generated" });
    expect(text).toContain("2 entities, 1 function, 1 plugin");
    expect(text).not.toContain("secret-of-the-hook");
  });
});

describe("sampleRow", () => {
  test("has a value of every type but references", () => {
    const { id: _, ...types } = field;
    const every = entity("Every", Object.fromEntries(Object.entries(types).map(([name, make]) => [name, make()])));
    expect(Object.keys(sampleRow(every) ?? {})).toEqual(Object.keys(types));
    expect(sampleRow(LINE)).toBeUndefined();
  });
});
