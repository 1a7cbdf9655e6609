// What happens to deliveries that wait while the configuration changes: a restart loses none, and each goes to the hook
// that it belongs to now.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { findHook } from "../../../src/plugins/webhooks/delivery-job.ts";
import { resolveHooks, webhooksConfig } from "../../../src/plugins/webhooks/hook-config.ts";
import { withApp } from "../app-harness.ts";
import { bodyOf, deadLetters, HOOK_URL, type HookInput, status, theDelivery, webhooks } from "./deliveries.ts";

const ELSEWHERE = "https://elsewhere.example.com/";

/** Lets a delivery of `before` fail once, restarts with `after`, and answers where it went next. */
async function urlAfterRestart(before: HookInput, ...after: readonly HookInput[]): Promise<string | undefined> {
  let url: string | undefined;
  await withApp({ plugins: [webhooks(before)] }, async (app) => {
    app.respond = status(500);
    await app.insert("Order", { total: 1 });
    await app.rest();
    assert.equal(app.sent.length, 1);
    const first = app.sent[0]?.body;
    app.respond = status(200);
    await app.restart({ plugins: [webhooks(...after)] });
    await app.advance(60_000);
    assert.ok(app.sent.length <= 2);
    assert.equal(app.sent[1]?.body ?? first, first);
    url = app.sent[1]?.url;
    assert.equal((await theDelivery(app)).status, url === undefined ? "dead" : "succeeded");
    assert.equal((await deadLetters(app)).length, url === undefined ? 1 : 0);
  });
  return url;
}

describe("a delivery that waits over a restart", () => {
  it("goes on where nothing has changed", async () => {
    assert.equal(await urlAfterRestart({}, {}), HOOK_URL);
  });

  it("follows its hook to another URL when the hook has a name", async () => {
    assert.equal(await urlAfterRestart({ name: "a" }, { name: "a", url: ELSEWHERE }), ELSEWHERE);
  });

  it("follows its hook to another place in the list, by its URL", async () => {
    assert.equal(await urlAfterRestart({}, { url: ELSEWHERE }, {}), HOOK_URL);
  });

  it("follows its hook to another name, by its URL", async () => {
    assert.equal(await urlAfterRestart({ name: "a" }, { name: "b" }), HOOK_URL);
  });

  it("is dead when a hook without a name has another URL: nobody can tell whether it is the same one", async () => {
    assert.equal(await urlAfterRestart({}, { url: ELSEWHERE }), undefined);
  });

  it("is dead when its hook was removed", async () => {
    assert.equal(await urlAfterRestart({ name: "a" }), undefined);
    assert.equal(await urlAfterRestart({ name: "a" }, { entity: "Customer" }), undefined);
  });

  it("says why it is dead, and is delivered once the hook is back", async () => {
    await withApp({ plugins: [webhooks({ name: "a" })] }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      await app.rest();
      await app.restart({ plugins: [webhooks()] });
      await app.advance(60_000);
      const { status: state, lastError, deliveryId } = await theDelivery(app);
      assert.equal(state, "dead");
      assert.match(String(lastError), /^HOOK_REMOVED: /);
      app.respond = status(200);
      await app.restart({ plugins: [webhooks({ name: "a" })] });
      await app.ask(`POST /api/admin/deliveries/${deliveryId}/retry`, { token: "admin" });
      await app.rest();
      assert.equal((await theDelivery(app)).status, "succeeded");
    });
  });

  it("shows where it goes next, and its dead letter where it went last", async () => {
    await withApp({ plugins: [webhooks({ name: "a", retry: { max_attempts: 2 } })] }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      await app.rest();
      assert.equal((await theDelivery(app)).url, HOOK_URL);
      await app.restart({ plugins: [webhooks({ name: "a", url: ELSEWHERE, retry: { max_attempts: 2 } })] });
      assert.equal((await theDelivery(app)).url, ELSEWHERE);
      await app.advance(60_000);
      assert.equal(app.sent.at(-1)?.url, ELSEWHERE);
      assert.equal((await deadLetters(app))[0]?.["url"], ELSEWHERE);
    });
  });

  it("is signed with the secret of now", async () => {
    const plugins = [webhooks({ secret_env: "SECRET" })];
    await withApp({ plugins, env: { SECRET: "old" } }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      await app.rest();
      await app.restart({ env: { SECRET: "new" } });
      await app.advance(60_000);
      const [first, second] = app.sent;
      assert.equal(second?.body, first?.body);
      assert.notEqual(second?.headers["x-pylon-signature"], first?.headers["x-pylon-signature"]);
    });
  });
});

describe("deliveries that nobody tried before the restart", () => {
  it("are all sent, in the order of each row", async () => {
    const options = { plugins: [webhooks({ events: ["insert", "update"] })], started: false };
    await withApp(options, async (app) => {
      const { id } = await app.insert("Order", { total: 0 });
      for (const total of [1, 2, 3]) {
        await app.ask(`PATCH /api/entities/Order/${id}`, { token: "admin", json: { total } });
      }
      await app.rest();
      assert.deepEqual(app.sent, []);
      await app.restart({ started: true });
      await app.rest();
      assert.equal(app.sent.map((sent) => bodyOf(sent).data["total"]).join(), "0,1,2,3");
    });
  });
});

describe("the hook of a stored delivery", () => {
  const hooks = (...given: readonly HookInput[]): ReturnType<typeof resolveHooks> => {
    const filled = given.map((hook) => ({ entity: "Order", events: ["insert"], url: HOOK_URL, ...hook }));
    return resolveHooks(webhooksConfig.parse({ hooks: filled }), { A: "a", B: "b" });
  };
  const delivery = { hook: "hooks[0]", url: HOOK_URL, entity: "Order", event: "update" } as const;

  it("is not the one that took its place in the list with the same URL and another entity or event", () => {
    const mine: HookInput = { events: ["update"], secret_env: "A" };
    for (const other of [{ entity: "Customer" }, { events: ["delete"] }, { entity: "Customer", events: ["update"] }]) {
      assert.equal(findHook(hooks({ ...other, secret_env: "B" }, mine), delivery)?.secret, "a");
    }
  });

  it("is one to the same URL for the same entity when nothing else is left", () => {
    assert.equal(findHook(hooks({ name: "x" }), delivery)?.name, "x");
    assert.equal(findHook(hooks({ name: "x", entity: "Customer" }), delivery), undefined);
    assert.equal(findHook(hooks({ name: "x", url: ELSEWHERE }), delivery), undefined);
  });
});
