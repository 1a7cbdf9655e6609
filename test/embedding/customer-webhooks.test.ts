// Webhooks to customers of an embedded instance: declared, dispatched and verified with what the package
// exports, two instances beside each other.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers";
import { action, app, createPylon, dispatch, type EmbeddedPylon, verifyWebhook, webhooks } from "../../src/mod.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

interface Embedded {
  readonly pylon: EmbeddedPylon;
  readonly received: Request[];
}

function embed(name: string): Embedded {
  const hooks = webhooks({ retrySchedule: [1] });
  const received: Request[] = [];
  const send = action({ handler: (ctx) => dispatch(ctx, hooks.config, { type: "a", data: name }) });
  const pylon = createPylon({
    manifest: app({ entities: [...hooks.manifest.entities], policies: [...hooks.manifest.policies] }),
    functions: { send },
    store: "memory",
    env: {},
    transport: (request) => {
      received.push(request);
      return Promise.resolve(new Response("ok"));
    },
  });
  return { pylon, received };
}

describe("an embedded instance", () => {
  it("turns the plugin on by the entities that webhooks() gave, and dispatches to its own endpoints", async () => {
    const [one, two] = [embed("one"), embed("two")];
    try {
      for (const { pylon } of [one, two]) {
        const endpoint = { applicationId: "org_a", url: "https://a.example.com/", secret: SECRET };
        const row = await pylon.db.insert("WebhookEndpoint", endpoint);
        assert.equal(row.secret, null);
        await pylon.start();
      }
      const sent = await one.pylon.call("send", {}, { userId: "u", tenantId: "org_a" });
      assert.equal((sent as { scheduled: number }).scheduled, 1);
      for (const endsAt = performance.now() + 10_000; one.received.length === 0 && performance.now() < endsAt;) {
        await new Promise<void>((resolve) => void setTimeout(resolve, 5));
      }
      const [request] = one.received;
      assert.ok(request, "Nothing came");
      assert.equal(await verifyWebhook(SECRET, request.headers, await request.text()), true);
      assert.deepEqual(two.received, []);
    } finally {
      for (const { pylon } of [one, two]) await pylon.close();
    }
  });

  it("finds what signs and verifies under a name of its own, which needs nothing of the rest", async () => {
    const root = new URL("../../", import.meta.url);
    const manifest = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as {
      exports: Record<string, string>;
    };
    const file = manifest.exports["./webhooks"] ?? "";
    const module_ = (await import(new URL(file, root).href)) as Record<string, unknown>;
    assert.deepEqual(Object.keys(module_).toSorted(), ["signWebhook", "verifyWebhook"]);
  });
});
