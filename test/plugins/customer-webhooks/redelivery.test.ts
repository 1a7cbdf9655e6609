// Sending again: test events, one event by hand, and a window of events that an endpoint never took; strict order; retention.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type TestApp, withApp } from "../app-harness.ts";
import { attemptLog, attemptsOf, bodyOf, createEndpoint, customers, refused, tokenOf, verify } from "./customers.ts";

const DAY = 86_400_000;
const answer = (status: number) => (): Response => new Response(null, { status });

function post(app: TestApp, target: string, json?: object, token = "admin"): ReturnType<TestApp["ask"]> {
  return app.ask(`POST ${target}`, { token, ...(json ? { json } : {}) });
}

/** Asks twice with one key, and once with another body. */
async function repeat(
  instance: TestApp,
  target: string,
  bodies: readonly [object | undefined, object],
): Promise<unknown> {
  const ask = (json: object | undefined): ReturnType<TestApp["ask"]> =>
    instance.ask(`POST ${target}`, {
      token: "admin",
      ...(json ? { json } : {}),
      headers: { "idempotency-key": target },
    });
  const first = await ask(bodies[0]);
  assert.equal(first.status, 202, first.text);
  await instance.rest();
  const again = await ask(bodies[0]);
  assert.deepEqual([again.status, again.text], [202, first.text]);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  refused(await ask(bodies[1]), 422, "IDEMPOTENCY_MISMATCH");
  await instance.rest();
  return first.json;
}

describe("an Idempotency-Key", () => {
  it("makes a test, a resend and a recovery happen once", async () => {
    const app = customers({ retrySchedule: [] });
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      await repeat(instance, `/api/webhook-endpoints/${id}/test`, [undefined, { x: 1 }]);
      assert.equal(instance.sent.length, 1);
      const [attempt] = await attemptsOf(instance);
      await repeat(instance, `/api/webhook-attempts/${attempt?.id ?? ""}/resend`, [undefined, {}]);
      assert.equal(instance.sent.length, 2);
      instance.respond = () => new Response(null, { status: 500 });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      const since = new Date(instance.now()).toISOString();
      await instance.advance(1);
      const target = `/api/webhook-endpoints/${id}/recover`;
      assert.deepEqual(await repeat(instance, target, [{ since }, { since: "2020-01-01T00:00:00Z" }]), {
        scheduled: 1,
      });
      assert.equal(instance.sent.length, 4);
    });
  });
});

describe("a test event", () => {
  it("goes to one endpoint, whatever it subscribes to, and to no other", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id, secret } = await createEndpoint(instance, { eventTypes: ["invoice.paid"] });
      await createEndpoint(instance, { url: "https://other.example.com/" });
      const token = await tokenOf(instance);
      const sent = await post(instance, `/api/webhook-endpoints/${id}/test`, undefined, token);
      assert.equal(sent.status, 202, sent.text);
      await instance.rest();
      assert.equal(instance.sent.length, 1);
      assert.equal(await verify(instance.sent[0], secret), true);
      const { id: eventId, type, data } = bodyOf(instance.sent[0]);
      assert.deepEqual([eventId, type, data], [sent.json["eventId"], "webhook.test", { endpointId: id }]);
      const stranger = await tokenOf(instance, "org_b");
      refused(await post(instance, `/api/webhook-endpoints/${id}/test`, undefined, stranger), 404, "NOT_FOUND");
      await instance.ask(`PATCH /api/entities/WebhookEndpoint/${id}`, { token, json: { disabled: true } });
      refused(await post(instance, `/api/webhook-endpoints/${id}/test`, undefined, token), 409, "ENDPOINT_DISABLED");
    });
  });
});

describe("resending", () => {
  it("a dead delivery sends the same event again with the whole schedule, and counts on", async () => {
    const app = customers({ retrySchedule: [1] });
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      instance.respond = answer(500);
      const { eventId } = await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(2_000);
      assert.deepEqual(await attemptLog(instance), ["1 failed 500 HTTP 500", "2 dead 500 HTTP 500"]);
      const [first] = await attemptsOf(instance);
      const token = await tokenOf(instance);
      const path = `/api/webhook-attempts/${first?.id}/resend`;
      assert.deepEqual((await post(instance, path, undefined, token)).json, { eventId });
      await instance.rest();
      instance.respond = answer(200);
      await instance.advance(2_000);
      assert.deepEqual((await attemptLog(instance)).slice(2), ["3 failed 500 HTTP 500", "4 succeeded 200 null"]);
      assert.equal(new Set(instance.sent.map(({ body }) => body)).size, 1);
      refused(await post(instance, path, undefined, await tokenOf(instance, "org_b")), 404, "NOT_FOUND");
      refused(await post(instance, "/api/webhook-attempts/nothing/resend", undefined, token), 404, "NOT_FOUND");
    });
  });

  it("one that waits for its next attempt makes that now, and not once more later", async () => {
    const app = customers({ retrySchedule: [3_600] });
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      instance.respond = answer(500);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      instance.respond = answer(200);
      const [first] = await attemptsOf(instance);
      assert.equal((await post(instance, `/api/webhook-attempts/${first?.id}/resend`)).status, 202);
      await instance.rest();
      assert.deepEqual(await attemptLog(instance), ["1 failed 500 HTTP 500", "2 succeeded 200 null"]);
      instance.jump(7_200_000);
      await instance.advance(45_000);
      assert.equal(instance.sent.length, 2);
    });
  });

  it("one that succeeded sends it once more; to an endpoint that is gone or disabled, nothing", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      const [first] = await attemptsOf(instance);
      const path = `/api/webhook-attempts/${first?.id}/resend`;
      await post(instance, path);
      await instance.rest();
      assert.equal(instance.sent.length, 2);
      await instance.ask(`PATCH /api/entities/WebhookEndpoint/${id}`, { token: "admin", json: { disabled: true } });
      refused(await post(instance, path), 409, "ENDPOINT_DISABLED");
      await instance.ask(`DELETE /api/entities/WebhookEndpoint/${id}`, { token: "admin" });
      refused(await post(instance, path), 404, "NOT_FOUND");
    });
  });
});

describe("recovering a window", () => {
  it("sends every event without a success once, however often it is asked for", async () => {
    const app = customers({ retrySchedule: [] });
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance, { eventTypes: ["a"] });
      await createEndpoint(instance, { url: "https://other.example.com/" });
      const iso = (ms: number): string => new Date(ms).toISOString();
      const send = async (n: number, status: number, type = "a"): Promise<void> => {
        instance.respond = ({ url }) => new Response(null, { status: url.includes("other") ? 200 : status });
        await app.dispatch(instance, { type, data: n, id: `e${n}` });
        await instance.rest();
        await instance.advance(1_000);
      };
      await send(0, 500);
      const since = instance.now();
      await send(1, 500);
      await send(2, 200);
      await send(3, 500);
      await send(4, 500, "b");
      // While it was switched off nothing was scheduled for it at all.
      const path = `/api/entities/WebhookEndpoint/${id}`;
      await instance.ask(`PATCH ${path}`, { token: "admin", json: { disabled: true } });
      await send(5, 500);
      refused(
        await post(instance, `/api/webhook-endpoints/${id}/recover`, { since: iso(since) }),
        409,
        "ENDPOINT_DISABLED",
      );
      await instance.ask(`PATCH ${path}`, { token: "admin", json: { disabled: false } });
      const until = instance.now();
      await send(6, 500);
      instance.sent.length = 0;
      instance.respond = answer(200);
      const token = await tokenOf(instance);
      const recover = async (): Promise<{ readonly scheduled: number }> => {
        const json = { since: iso(since), until: iso(until) };
        const done = await post(instance, `/api/webhook-endpoints/${id}/recover`, json, token);
        assert.equal(done.status, 202, done.text);
        return done.json as { scheduled: number };
      };
      const counts = await Promise.all([recover(), recover(), recover()]);
      assert.deepEqual(
        counts.toSorted((a, b) => a.scheduled - b.scheduled),
        [{ scheduled: 0 }, { scheduled: 0 }, { scheduled: 3 }],
      );
      await instance.rest();
      assert.deepEqual(instance.sent.map((sent) => String(bodyOf(sent)["id"])).toSorted(), ["e1", "e3", "e5"]);
      assert.deepEqual(await recover(), { scheduled: 0 });
    });
  });

  it("leaves alone what is still under way, and does not need an end", async () => {
    const app = customers({ retrySchedule: [60] });
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      instance.respond = answer(500);
      const since = new Date(instance.now()).toISOString();
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(1_000);
      assert.deepEqual((await post(instance, `/api/webhook-endpoints/${id}/recover`, { since })).json, {
        scheduled: 0,
      });
      await instance.advance(70_000);
      assert.deepEqual((await post(instance, `/api/webhook-endpoints/${id}/recover`, { since })).json, {
        scheduled: 1,
      });
    });
  });

  it("goes over more events than one transaction looks at", async () => {
    const app = customers({ retrySchedule: [] });
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance, { disabled: true });
      const since = new Date(instance.now()).toISOString();
      const events = Array.from({ length: 450 }, (_, n) => ({ type: "a", data: n }));
      await instance.pylon.call(
        "place",
        { events, fails: false },
        { kind: "user", userId: "u", email: null, roles: [], tenantId: "org_a", isAdmin: false },
      );
      await instance.advance(1);
      await instance.ask(`PATCH /api/entities/WebhookEndpoint/${id}`, { token: "admin", json: { disabled: false } });
      assert.deepEqual((await post(instance, `/api/webhook-endpoints/${id}/recover`, { since })).json, {
        scheduled: 450,
      });
      await instance.until(() => instance.sent.length >= 450);
      assert.equal(new Set(instance.sent.map(({ headers }) => headers["webhook-id"])).size, 450);
    });
  });

  it("is for who manages the endpoint, and refuses a window that is none", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      const path = `/api/webhook-endpoints/${id}/recover`;
      const since = "2026-04-28T00:00:00Z";
      refused(await post(instance, path, { since }, await tokenOf(instance, "org_b")), 404, "NOT_FOUND");
      refused(await post(instance, path, { since: "yesterday" }), 400, "VALIDATION_FAILED");
      refused(await post(instance, path, {}), 400, "VALIDATION_FAILED");
      refused(await post(instance, path, { since, until: "2026-04-27T00:00:00Z" }), 400, "VALIDATION_FAILED");
    });
  });
});

describe("strict order", () => {
  it("holds later events back until the head of the line is delivered or dead", async () => {
    const app = customers({ retrySchedule: [10, 10] });
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance, { ordered: true });
      await createEndpoint(instance, { url: "https://other.example.com/" });
      const types = (): unknown[] =>
        instance.sent.filter(({ url }) => !url.includes("other")).map((sent) => bodyOf(sent)["type"]);
      instance.respond = ({ url }) => new Response(null, { status: url.includes("other") ? 200 : 500 });
      for (const type of ["a", "b", "c"]) await app.dispatch(instance, { type, data: 1 });
      await instance.rest();
      assert.deepEqual(types(), ["a"]);
      assert.equal(instance.sent.length, 4, "the other endpoint has all of them");
      const [head] = await attemptsOf(instance, `&endpointId=${id}&status=pending&eventType=a`);
      refused(await post(instance, `/api/webhook-attempts/${head?.id}/resend`), 409, "DELIVERY_IN_ORDER");
      await instance.advance(25_000);
      instance.respond = answer(200);
      await instance.advance(25_000);
      assert.deepEqual(types(), ["a", "a", "a", "b", "b", "c"].slice(0, types().length));
      assert.deepEqual(types().slice(-2), ["b", "c"]);
    });
  });
});

describe("retention", () => {
  it("removes attempts and events after their days, and leaves what is still to be sent", async () => {
    const app = customers({ attemptRetentionDays: 10, retrySchedule: [9 * 86_400] });
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      instance.jump(5 * DAY);
      instance.respond = answer(500);
      await app.dispatch(instance, { type: "b", data: 1 });
      await instance.rest();
      instance.jump(6 * DAY);
      await instance.advance(700_000);
      assert.deepEqual(await attemptLog(instance), ["1 failed 500 HTTP 500", "2 pending null null"]);
      assert.equal(await instance.store.reader.count("_pylon_webhook_events", []), 1);
      instance.respond = answer(200);
      instance.jump(5 * DAY);
      await instance.advance(45_000);
      assert.equal(instance.sent.length, 3, "an attempt that is due is still made");
    });
  });
});
