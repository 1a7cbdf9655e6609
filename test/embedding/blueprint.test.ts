// A manifest and its plugins as one: what a plugin brings, what may speak of it, and that both are checked as a whole.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";

import { isPylonError, type PylonError } from "../../src/core/errors.ts";
import { app, entity, field, policy } from "../../src/manifest/dsl.ts";
import { definePluginType, type Plugin } from "../../src/plugin/plugin.ts";
import { PLUGINS } from "../../src/plugins.ts";
import { readBlueprint } from "../../src/instance/blueprint.ts";

const ORDER = entity("Order", { total: field.int() });
const WEBHOOKS = { name: "webhooks", config: {} };
const READ_LETTERS = policy({ name: "letters", entity: "WebhookDelivery", allowRead: "data.entity == 'Order'" });

function refusal(input: unknown, available: readonly Plugin[] = PLUGINS): PylonError {
  try {
    readBlueprint(input, available, {});
  } catch (error) {
    assert.ok(isPylonError(error));
    return error;
  }
  throw new assert.AssertionError({ message: "Expected a refusal" });
}

describe("readBlueprint()", () => {
  it("adds what plugins bring, for the application's policies to speak of", () => {
    const input = app({ entities: [ORDER], policies: [READ_LETTERS], plugins: [WEBHOOKS] });
    const { manifest, model } = readBlueprint(input, PLUGINS, {});
    assert.deepEqual(
      manifest.entities.map(({ name }) => name),
      ["Order", "WebhookDelivery"],
    );
    assert.equal(model.entity("Order").readOnly, false);
    assert.equal(model.entity("WebhookDelivery").readOnly, true);
    assert.equal(model.entity("WebhookDelivery").rules.governs("read"), true);
  });

  it("knows nothing of a plugin that is not there", () => {
    assert.equal(refusal(app({ entities: [ORDER], policies: [READ_LETTERS] })).code, "MANIFEST_INVALID");
  });

  it("finds policies that do not fit what a plugin brings", () => {
    const wrong = policy({ name: "wrong", entity: "WebhookDelivery", allowRead: "data.colour == 'red'" });
    const error = refusal(app({ policies: [wrong], plugins: [WEBHOOKS] }));
    assert.equal(error.code, "MANIFEST_INVALID");
    assert.deepEqual(
      error.details?.map(({ path }) => path),
      ["policies.0.allowRead"],
    );
  });

  it("refuses an entity that a plugin brings as well", () => {
    const own = entity("WebhookDelivery", { text: field.string() });
    assert.equal(refusal(app({ entities: [own], plugins: [WEBHOOKS] })).code, "MANIFEST_INVALID");
    assert.equal(readBlueprint(app({ entities: [own] }), PLUGINS, {}).model.entity("WebhookDelivery").readOnly, false);
  });

  it("takes the policies of a plugin together with the application's: all have to agree", () => {
    const brings = definePluginType({
      name: "brings",
      config: z.strictObject({}),
      entities: [{ def: entity("Brought", { tenantId: field.string() }), readOnly: false }],
      policies: [policy({ name: "tenant", entity: "Brought", allow: "data.tenantId == auth.tenantId" })],
      setup: () => ({}),
    });
    const stricter = policy({ name: "editors", entity: "Brought", allowRead: "auth.hasRole('editor')" });
    const input = app({ policies: [stricter], plugins: [{ name: "brings", config: {} }] });
    const { rules } = readBlueprint(input, [brings], {}).model.entity("Brought");
    const actor = { kind: "user", userId: "u", email: null, roles: [], tenantId: "t", isAdmin: false } as const;
    const rows = { data: { id: "1", tenantId: "t" }, existing: null };
    assert.equal(rules.allows("insert", actor, rows), true);
    assert.equal(rules.allows("read", actor, rows), false);
    assert.equal(rules.allows("read", { ...actor, roles: ["editor"] }, rows), true);
  });
});
