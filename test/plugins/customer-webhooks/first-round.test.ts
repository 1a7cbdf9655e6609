// One event to many endpoints: their first attempts are made together, and nobody can tell but by the jobs that there are.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { definePluginType, type Plugin } from "../../../src/plugin/plugin.ts";
import { type Sent, type TestApp, withApp } from "../app-harness.ts";
import { attemptsOf, bodyOf, createEndpoint, customers, tokenOf, verify } from "./customers.ts";

const MANY = 40;
const KINDS = ["customer-webhook-round", "customer-webhook"] as const;

function hostOf({ url }: Pick<Sent, "url">): string {
  return new URL(url).hostname.split(".")[0] ?? "";
}

/** Endpoints e0, e1, … with `fields` of some of them. @returns their ids and secrets by host. */
async function createMany(
  app: TestApp,
  fields: Readonly<Record<string, object>> = {},
): Promise<ReadonlyMap<string, { readonly id: string; readonly secret: string }>> {
  const made = new Map<string, { readonly id: string; readonly secret: string }>();
  for (let count = 0; count < MANY; count++) {
    const host = `e${count}`;
    made.set(host, await createEndpoint(app, { url: `https://${host}.example.com/`, ...fields[host] }));
  }
  return made;
}

/** How many jobs there are of each kind, finished ones included. */
async function jobsOf({ store }: TestApp): Promise<readonly number[]> {
  const states = ["ready", "leased", "blocked", "done", "dead", "canceled"] as const;
  const found = await Promise.all(KINDS.map((kind) => store.reader.listJobs({ kind, states, limit: 1_000 })));
  return found.map((jobs) => jobs.length);
}

/** `succeeded 40, failed 1` */
async function tally(app: TestApp): Promise<string> {
  const counts = new Map<string, number>();
  for (const { status } of await attemptsOf(app)) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status} ${count}`).join(", ");
}

function hang(): Promise<Response> {
  return new Promise(() => undefined);
}

describe("one event to many endpoints", () => {
  it("reaches each once, signed with all of its secrets, and needs one job", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const endpoints = await createMany(instance);
      const { id, secret } = endpoints.get("e7") ?? assert.fail();
      const rotated = await instance.ask(`POST /api/webhook-endpoints/${id}/rotate-secret`, {
        token: "admin",
        json: {},
      });
      assert.equal(rotated.status, 200, rotated.text);
      const { scheduled } = await app.dispatch(instance, { type: "a", data: 1 });
      assert.equal(scheduled, MANY);
      await instance.advance(100);
      assert.deepEqual(instance.sent.map(hostOf).toSorted(), [...endpoints.keys()].toSorted());
      for (const sent of instance.sent) {
        assert.equal(await verify(sent, endpoints.get(hostOf(sent))?.secret ?? ""), true);
      }
      const twice = instance.sent.find((sent) => hostOf(sent) === "e7");
      assert.equal(await verify(twice, String(rotated.json["secret"])), true);
      assert.equal(await verify(twice, secret), true);
      assert.equal(await tally(instance), `succeeded ${MANY}`);
      assert.deepEqual(await jobsOf(instance), [1, 0]);
    });
  });

  it("has an attempt's row for each before anything is sent", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createMany(instance);
      instance.respond = hang;
      await app.dispatch(instance, { type: "a", data: 1 });
      assert.equal(await tally(instance), `pending ${MANY}`);
    });
  });

  it("goes on with the whole schedule where the first attempt fails, and there alone", async () => {
    const app = customers({ retrySchedule: [10, 100] });
    await withApp(app.options, async (instance) => {
      await createMany(instance);
      instance.respond = (sent) => new Response(null, { status: hostOf(sent) === "e3" ? 500 : 200 });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(100);
      assert.equal(await tally(instance), `succeeded ${MANY - 1}, failed 1, pending 1`);
      assert.deepEqual(await jobsOf(instance), [1, 1]);
      await instance.advance(11_000);
      await instance.advance(110_000);
      const starts = instance.sent.filter((sent) => hostOf(sent) === "e3").map(({ at }) => at);
      assert.equal(instance.sent.length, MANY + 2);
      const pauses = starts.slice(1).map((at, index) => Math.floor((at - (starts[index] ?? 0)) / 1_000));
      assert.ok(pauses[0] === 10 || pauses[0] === 11, String(pauses));
      assert.ok((pauses[1] ?? 0) >= 100 && (pauses[1] ?? 0) <= 111, String(pauses));
      const rows = (await attemptsOf(instance)).filter(({ url }) => url.includes("//e3."));
      assert.deepEqual(
        rows.map(({ attempt, status }) => `${attempt} ${status}`),
        ["1 failed", "2 failed", "3 dead"],
      );
      // What is dead can be sent again, with the whole schedule in front of it.
      const resent = await instance.ask(`POST /api/webhook-attempts/${rows[2]?.id}/resend`, { token: "admin" });
      assert.equal(resent.status, 202, resent.text);
      await instance.advance(12_000);
      assert.equal(instance.sent.length, MANY + 4);
    });
  });

  it("leaves what is sent in order or evenly paced to jobs of its own", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createMany(instance, { e1: { ordered: true }, e2: { maxPerSecond: 10 } });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(500);
      assert.equal(await tally(instance), `succeeded ${MANY}`);
      assert.equal(instance.sent.length, MANY);
      assert.deepEqual(await jobsOf(instance), [1, 2]);
    });
  });

  it("waits for none that hangs, and sends to that one no second time at once", async () => {
    const app = customers({ retrySchedule: [] });
    await withApp(app.options, async (instance) => {
      const endpoints = await createMany(instance);
      instance.respond = (sent) => (hostOf(sent) === "e0" ? hang() : new Response());
      const { eventId } = await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(300);
      assert.equal(await tally(instance), `pending 1, succeeded ${MANY - 1}`);
      // It is under way: to send or recover it now would send it twice.
      const [attempt] = (await attemptsOf(instance)).filter(({ status }) => status === "pending");
      assert.equal(attempt?.eventId, eventId);
      const token = await tokenOf(instance);
      await instance.ask(`POST /api/webhook-attempts/${attempt?.id}/resend`, { token });
      const since = new Date(instance.now() - 60_000).toISOString();
      const id = endpoints.get("e0")?.id ?? "";
      const recovered = await instance.ask(`POST /api/webhook-endpoints/${id}/recover`, { token, json: { since } });
      assert.deepEqual(recovered.json, { scheduled: 0 });
      // The next event does not wait for it either.
      await app.dispatch(instance, { type: "b", data: 1 });
      await instance.advance(300);
      assert.equal(instance.sent.length, 2 * MANY);
      await instance.advance(16_000);
      assert.equal(await tally(instance), `dead 2, succeeded ${2 * (MANY - 1)}`);
      assert.equal(instance.sent.length, 2 * MANY);
    });
  });

  it("goes on where it was when the process ends in the middle", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createMany(instance);
      let isBack = false;
      const isLate = (sent: Sent): boolean => Number(hostOf(sent).slice(1)) >= MANY / 2;
      instance.respond = (sent) => (isLate(sent) && !isBack ? hang() : new Response());
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(300);
      assert.equal(await tally(instance), `succeeded ${MANY / 2}, pending ${MANY / 2}`);
      isBack = true;
      instance.sent.length = 0;
      await instance.restart();
      await instance.advance(300);
      assert.ok(instance.sent.every(isLate));
      assert.equal(instance.sent.length, MANY / 2);
      assert.equal(await tally(instance), `succeeded ${MANY}`);
    });
  });

  it("does not make again, after a restart, what it had handed over to a job", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createMany(instance);
      let isBack = false;
      const hangs = (sent: Sent): boolean =>
        hostOf(sent) === "e0" || (hostOf(sent) === "e1" && sent.body.includes('"b"'));
      instance.respond = (sent) => (hangs(sent) && !isBack ? hang() : new Response());
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(300);
      // The first event's delivery to e0 is under way: the second one's is a job, and its round waits for e1.
      await app.dispatch(instance, { type: "b", data: 1 });
      await instance.advance(300);
      assert.deepEqual(await jobsOf(instance), [2, 1]);
      assert.equal(await tally(instance), `pending 3, succeeded ${2 * MANY - 3}`);
      isBack = true;
      instance.sent.length = 0;
      await instance.restart();
      await instance.advance(300);
      const again = instance.sent.map((sent) => `${hostOf(sent)} ${String(bodyOf(sent)["type"])}`);
      assert.deepEqual(again.toSorted(), ["e0 a", "e0 b", "e1 b"]);
      assert.equal(await tally(instance), `succeeded ${2 * MANY}`);
    });
  });

  it("keeps the order of an endpoint that asks for it meanwhile", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const endpoints = await createMany(instance);
      await instance.restart({ started: false });
      await app.dispatch(instance, { type: "a", data: 1 });
      const json = { ordered: true };
      await instance.ask(`PATCH /api/entities/WebhookEndpoint/${endpoints.get("e4")?.id}`, { token: "admin", json });
      await instance.restart({ started: true });
      await instance.advance(300);
      assert.equal(await tally(instance), `succeeded ${MANY}`);
      assert.deepEqual(await jobsOf(instance), [1, 1]);
    });
  });

  it("sends nothing to an endpoint that is gone, disabled or another tenant's by then", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const endpoints = await createMany(instance);
      await instance.restart({ started: false });
      await app.dispatch(instance, { type: "a", data: 1 });
      const change = (host: string, json: object): Promise<unknown> =>
        instance.ask(`PATCH /api/entities/WebhookEndpoint/${endpoints.get(host)?.id}`, { token: "admin", json });
      await change("e1", { disabled: true });
      await instance.ask(`DELETE /api/entities/WebhookEndpoint/${endpoints.get("e2")?.id}`, { token: "admin" });
      await change("e3", { applicationId: "org_b" });
      await instance.restart({ started: true });
      await instance.advance(300);
      const dead = (await attemptsOf(instance)).filter(({ status }) => status === "dead");
      const codes = dead.map(({ url, error }) => `${hostOf({ url })} ${error?.split(":")[0]}`);
      assert.deepEqual(codes.toSorted(), ["e1 ENDPOINT_DISABLED", "e2 ENDPOINT_REMOVED", "e3 ENDPOINT_REMOVED"]);
      assert.equal(instance.sent.length, MANY - 3);
    });
  });

  it("ends every attempt when the event itself is gone by then", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const endpoints = await createMany(instance);
      await instance.restart({ started: false });
      await app.dispatch(instance, { type: "a", data: 1 });
      const token = "admin";
      const json = { ordered: true };
      await instance.ask(`PATCH /api/entities/WebhookEndpoint/${endpoints.get("e4")?.id}`, { token, json });
      await instance.store.write((tx) => tx.deleteWhere("_pylon_webhook_events", [], 10));
      await instance.restart({ started: true });
      await instance.advance(300);
      assert.equal(await tally(instance), `dead ${MANY}`);
      assert.equal(instance.sent.length, 0);
    });
  });

  it("hands over what it cannot record, and records the others", async () => {
    // In the round's commit, and once more by itself: the job that follows can be recorded.
    let refusals = 2;
    const refusing: Plugin = definePluginType({
      name: "refusing",
      config: z.unknown(),
      setup: () => ({
        hooks: {
          within({ entity, op, after }) {
            const isMeant = entity === "WebhookAttempt" && op === "update" && String(after?.["url"]).includes("//e5.");
            if (isMeant && refusals-- > 0) throw new Error("not this one");
          },
        },
      }),
    });
    const app = customers({}, { extra: [refusing], plugins: [{ name: "refusing" }] });
    await withApp(app.options, async (instance) => {
      await createMany(instance);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(500);
      assert.equal(refusals, -1);
      assert.equal(await tally(instance), `succeeded ${MANY}`);
      assert.deepEqual(await jobsOf(instance), [1, 1]);
      assert.equal(instance.sent.length, MANY + 1);
    });
  });

  it("disables an endpoint whose first attempt says that it is gone", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const endpoints = await createMany(instance);
      instance.respond = (sent) => new Response(null, { status: hostOf(sent) === "e5" ? 410 : 200 });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(300);
      const row = await instance.ask(`GET /api/entities/WebhookEndpoint/${endpoints.get("e5")?.id}`, {
        token: "admin",
      });
      assert.equal(row.json["disabled"], true);
      // The others hear of it.
      const told = instance.sent.filter(({ body }) => body.includes("webhook.endpoint.disabled"));
      assert.equal(told.length, MANY - 1);
    });
  });
});
