// Deliveries to customers: what is sent, when it is sent again, and what stands in the attempts' rows at every moment.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hangingBody } from "../../net/fake-dialer.ts";
import { type TestApp, withApp } from "../app-harness.ts";
import {
  type AttemptRow,
  attemptLog,
  attemptsOf,
  bodyOf,
  createEndpoint,
  customers,
  endpointRow,
  TENANT,
  tokenOf,
  URL_A,
  verify,
} from "./customers.ts";

const HOUR = 3_600_000;
const status =
  (code: number, headers: Record<string, string> = {}, body: string | null = null) =>
  (): Response =>
    new Response(body, { status: code, headers });

async function nextPending(instance: TestApp): Promise<AttemptRow | undefined> {
  return (await attemptsOf(instance)).find((row) => row.status === "pending");
}

describe("a delivery", () => {
  it("is the seed's body with both families of headers, signed, and its attempt is a row before it is made", async () => {
    const app = customers();
    await withApp({ ...app.options, started: false }, async (instance) => {
      const { secret, id } = await createEndpoint(instance, { headers: { "X-Team": "billing" } });
      const occurredAt = "2026-04-28T09:00:00.000Z";
      const sent = await app.dispatch(instance, { type: "invoice.paid", data: { n: [1, null] }, occurredAt });
      assert.equal(sent.scheduled, 1);
      assert.match(sent.eventId, /^evt_[0-9A-Z]{26}$/);
      const [pending] = await attemptsOf(instance);
      assert.deepEqual(pending, {
        id: pending?.id,
        applicationId: TENANT,
        endpointId: id,
        eventId: sent.eventId,
        eventType: "invoice.paid",
        url: URL_A,
        attempt: 1,
        status: "pending",
        httpStatus: null,
        error: null,
        durationMs: null,
        responseBody: null,
        scheduledAt: new Date(instance.now()).toISOString(),
        deliveredAt: null,
        nextAttemptAt: null,
      });
      instance.pylon.start();
      instance.respond = status(200, {}, "thanks");
      await instance.until(() => instance.sent.length > 0);
      const [request] = instance.sent;
      assert.equal(request?.url, URL_A);
      assert.equal(
        request?.body,
        `{"id":"${sent.eventId}","type":"invoice.paid","occurredAt":"${occurredAt}","data":{"n":[1,null]}}`,
      );
      const { headers } = request;
      assert.equal(headers["content-type"], "application/json");
      assert.equal(headers["x-team"], "billing");
      assert.equal(headers["webhook-id"], sent.eventId);
      assert.equal(headers["webhook-timestamp"], String(Math.floor(request.at / 1_000)));
      for (const name of ["id", "timestamp", "signature"])
        assert.equal(headers[`svix-${name}`], headers[`webhook-${name}`]);
      assert.equal(await verify(request, secret), true);
      assert.equal(await verify(request, "whsec_AAAA"), "INVALID_SIGNATURE");
    });
  });

  it("is done with a 2xx, and the row says so", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      instance.respond = status(204);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      const [row, ...others] = await attemptsOf(instance);
      assert.deepEqual(others, []);
      assert.deepEqual([row?.status, row?.httpStatus, row?.error, row?.nextAttemptAt], ["succeeded", 204, null, null]);
      assert.equal(row?.deliveredAt, new Date(instance.now()).toISOString());
      assert.ok(Number.isInteger(row?.durationMs));
      instance.jump(100 * HOUR);
      await instance.advance(15_000);
      assert.equal(instance.sent.length, 1);
    });
  });

  it("is tried on the schedule with up to 10 % more, with the same id and bytes and a fresh timestamp, and is dead then", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { secret } = await createEndpoint(instance);
      instance.respond = status(500, {}, "no");
      const { eventId } = await app.dispatch(instance, { type: "a", data: { x: 1 } });
      await instance.rest();
      assert.deepEqual(await attemptLog(instance), ["1 failed 500 HTTP 500", "2 pending null null"]);
      for (let pending = await nextPending(instance); pending; pending = await nextPending(instance)) {
        const leftMs = Date.parse(pending.scheduledAt) - instance.now();
        const before = instance.sent.length;
        // A jump of the clock is noticed within half a minute.
        instance.jump(Math.max(0, leftMs - 45_000));
        await instance.advance(Math.min(leftMs, 45_000) - 100);
        assert.equal(instance.sent.length, before, "Nothing may be sent early");
        await instance.advance(200);
      }
      const schedule = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400];
      assert.equal(instance.sent.length, schedule.length + 1);
      for (const [index, planned] of schedule.entries()) {
        const waited = ((instance.sent[index + 1]?.at ?? 0) - (instance.sent[index]?.at ?? 0)) / 1_000;
        assert.ok(waited >= planned && waited <= planned * 1.1 + 0.2, `${waited} s instead of ${planned}`);
      }
      assert.equal(new Set(instance.sent.map(({ body }) => body)).size, 1);
      assert.equal(new Set(instance.sent.map(({ headers }) => headers["webhook-timestamp"])).size, 8);
      for (const sent of instance.sent) {
        assert.equal(sent.headers["webhook-id"], eventId);
        assert.equal(await verify(sent, secret), true);
      }
      const rows = await attemptsOf(instance);
      assert.deepEqual(
        rows.map(({ attempt, status: state }) => `${attempt} ${state}`),
        [1, 2, 3, 4, 5, 6, 7].map((n) => `${n} failed`).concat("8 dead"),
      );
      assert.deepEqual(new Set(rows.map(({ responseBody }) => responseBody)), new Set(["no"]));
      assert.equal(rows.at(-1)?.nextAttemptAt, null);
      for (const [index, { nextAttemptAt }] of rows.slice(0, -1).entries()) {
        assert.equal(nextAttemptAt, rows[index + 1]?.scheduledAt);
      }
    });
  });

  it("waits as long as Retry-After says on 429 and 503, in seconds or as a date, when that is longer", async () => {
    const app = customers({ retrySchedule: [5, 5, 5, 5] });
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      const date = new Date(instance.now() + 700_000).toUTCString();
      const answers = [
        status(429, { "retry-after": "100" }),
        status(503, { "retry-after": date }),
        status(500, { "retry-after": "9000" }),
        status(429, { "retry-after": "1" }),
        status(200),
      ];
      instance.respond = (sent) => (answers[instance.sent.indexOf(sent)] ?? status(200))();
      await app.dispatch(instance, { type: "a", data: 1 });
      for (let round = 0; round < 40; round++) await instance.advance(30_000);
      const at = instance.sent.map((sent) => (sent.at - (instance.sent[0]?.at ?? 0)) / 1_000);
      assert.equal(at.length, 5);
      assert.ok(Math.abs((at[1] ?? 0) - 100) < 0.1, String(at));
      assert.ok(Math.abs((at[2] ?? 0) - 700) < 1.1, String(at));
      assert.ok((at[3] ?? 0) - (at[2] ?? 0) < 6 && (at[4] ?? 0) - (at[3] ?? 0) < 6, String(at));
    });
  });

  it("does not follow a redirect: it is a failed attempt", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      instance.respond = status(302, { location: "https://elsewhere.example.com/" });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      assert.equal(instance.sent.length, 1);
      assert.equal((await attemptLog(instance))[0], "1 failed 302 HTTP 302");
    });
  });

  it("ends by the status that came, when the answer's body is not over at the deadline", async () => {
    const app = customers({ retrySchedule: [5] });
    await withApp(app.options, async (instance) => {
      const codes: Record<string, number> = { fine: 200, gone: 410, busy: 503 };
      const ids = new Map<string, string>();
      for (const name of Object.keys(codes)) {
        ids.set(name, (await createEndpoint(instance, { url: `https://${name}.example.com/`, eventTypes: ["a"] })).id);
      }
      instance.respond = ({ url }) => {
        const { body } = hangingBody("so far");
        return new Response(body, {
          status: codes[/\w+(?=\.)/.exec(url)?.[0] ?? ""] ?? 500,
          headers: { "retry-after": "90" },
        });
      };
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.advance(15_000);
      const logOf = (name: string): Promise<readonly string[]> =>
        attemptLog(instance, `&endpointId=${ids.get(name) ?? ""}&attempt=1`);
      assert.deepEqual(await logOf("fine"), ["1 succeeded 200 null"]);
      assert.deepEqual(await logOf("gone"), ["1 dead 410 HTTP 410"]);
      assert.deepEqual(await logOf("busy"), ["1 failed 503 HTTP 503"]);
      const rows = (await attemptsOf(instance)).filter(({ status: state }) => state !== "pending");
      for (const { responseBody, durationMs } of rows) assert.deepEqual([responseBody, durationMs], ["so far", 15_000]);
      assert.equal((await endpointRow(instance, ids.get("gone") ?? ""))["disabled"], true);
      await instance.advance(89_900);
      assert.equal(instance.sent.length, 3, "Retry-After of an answer that was cut counts");
      await instance.advance(200);
      assert.equal(instance.sent.length, 4);
    });
  });

  it("keeps the first KiB of an answer, whatever bytes it is made of", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      instance.respond = () => new Response(new Uint8Array(9_000).fill(0xff), { status: 200 });
      await app.dispatch(instance, { type: "a", data: 1 });
      instance.respond = (sent) =>
        new Response(sent.body.includes('"data":2') ? `a\0b${"x".repeat(5_000)}` : new Uint8Array(9_000).fill(0xff));
      await app.dispatch(instance, { type: "a", data: 2 });
      await instance.rest();
      const bodies = (await attemptsOf(instance)).map(({ responseBody }) => responseBody ?? "");
      assert.equal(bodies[0], "\uFFFD".repeat(1_024));
      assert.equal(bodies[1], `a\uFFFDb${"x".repeat(1_021)}`);
    });
  });

  it("to a private address is dead at once with NET_BLOCKED, and nothing is sent", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance, { url: "http://169.254.169.254/latest" });
      await createEndpoint(instance, { url: "https://inside.example.com/" });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      const rows = await attemptsOf(instance);
      const blocked = rows.find(({ url }) => url.includes("169.254"));
      assert.equal(blocked?.status, "dead");
      assert.match(blocked?.error ?? "", /^NET_BLOCKED: /);
      assert.equal(instance.sent.length, 1);
    });
  });

  it("of an endpoint that is removed, disabled or moved to another tenant meanwhile is not made", async () => {
    const app = customers({ retrySchedule: [60] });
    await withApp(app.options, async (instance) => {
      const [removed, disabled, moved] = [
        await createEndpoint(instance),
        await createEndpoint(instance),
        await createEndpoint(instance),
      ];
      instance.respond = status(500);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      assert.equal(instance.sent.length, 3);
      const path = "/api/entities/WebhookEndpoint";
      await instance.ask(`DELETE ${path}/${removed.id}`, { token: "admin" });
      await instance.ask(`PATCH ${path}/${disabled.id}`, { token: "admin", json: { disabled: true } });
      await instance.ask(`PATCH ${path}/${moved.id}`, { token: "admin", json: { applicationId: "org_b" } });
      await instance.advance(70_000);
      assert.equal(instance.sent.length, 3);
      const dead = (await attemptsOf(instance, "&attempt=2")).map(({ status: state, error }) => `${state} ${error}`);
      assert.deepEqual(dead.map((text) => text.split(":")[0] ?? "").toSorted(), [
        "dead ENDPOINT_DISABLED",
        "dead ENDPOINT_REMOVED",
        "dead ENDPOINT_REMOVED",
      ]);
    });
  });
});

describe("disabling", () => {
  it("a 410 disables the endpoint, and the application's other endpoints are told", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const gone = await createEndpoint(instance, { url: "https://gone.example.com/", eventTypes: ["a"] });
      await createEndpoint(instance, { url: "https://other.example.com/" });
      await createEndpoint(instance, { url: "https://stranger.example.com/", applicationId: "org_b" });
      instance.respond = ({ url }) => new Response(null, { status: url.includes("gone") ? 410 : 200 });
      await app.dispatch(instance, { type: "a", data: 1 });
      await app.dispatch(instance, { type: "a", data: 2 });
      await instance.rest();
      assert.equal((await endpointRow(instance, gone.id))["disabled"], true);
      const told = instance.sent.filter(({ body }) => body.includes("webhook.endpoint.disabled"));
      assert.deepEqual(
        told.map(({ url }) => url),
        ["https://other.example.com/"],
      );
      const { type, data } = bodyOf(told[0]) as { type: string; data: Record<string, unknown> };
      assert.equal(type, "webhook.endpoint.disabled");
      assert.deepEqual(
        [data["endpointId"], data["url"], data["reason"]],
        [gone.id, "https://gone.example.com/", "gone"],
      );
      assert.ok((await attemptLog(instance, `&endpointId=${gone.id}`)).includes("1 dead 410 HTTP 410"));
    });
  });

  it("120 hours of nothing but failures disable it, and one success in between starts the count again", async () => {
    const app = customers({ retrySchedule: [] });
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      const tryAt = async (hours: number, code: number): Promise<void> => {
        instance.jump(hours * HOUR);
        await instance.advance(15_000);
        instance.respond = status(code);
        await app.dispatch(instance, { type: "a", data: 1 });
        await instance.rest();
      };
      const isDisabled = async (): Promise<unknown> => (await endpointRow(instance, id))["disabled"];
      await tryAt(0, 500);
      await tryAt(100, 200);
      await tryAt(1, 500);
      await tryAt(119, 500);
      assert.equal(await isDisabled(), false);
      await tryAt(1, 500);
      assert.equal(await isDisabled(), true);
      const patch = { token: "admin", json: { disabled: false } };
      await instance.ask(`PATCH /api/entities/WebhookEndpoint/${id}`, patch);
      await tryAt(1, 500);
      assert.equal(await isDisabled(), false, "enabling it again starts with a clean record");
    });
  });
});

describe("who hears of an event", () => {
  it("endpoints of the application that subscribe to the type, by name, by prefix or to all", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const to = (name: string, fields: object): Promise<unknown> =>
        createEndpoint(instance, { url: `https://${name}.example.com/`, ...fields });
      await to("all", {});
      await to("text", { eventTypes: '["invoice.paid"]' });
      await to("prefix", { eventTypes: ["order.created", "invoice.*"] });
      await to("star", { eventTypes: ["*"] });
      await to("deep", { eventTypes: ["invoice.paid.late"] });
      await to("near", { eventTypes: ["invoice_x.*", "invoic.*"] });
      await to("disabled", { disabled: true });
      await to("stranger", { applicationId: "org_b" });
      const { scheduled } = await app.dispatch(instance, { type: "invoice.paid", data: null });
      await instance.rest();
      const hosts = instance.sent.map(({ url }) => url.split(/[/.]/)[2] ?? "").toSorted();
      assert.deepEqual(hosts, ["all", "prefix", "star", "text"]);
      assert.equal(scheduled, 4);
    });
  });

  it("nobody when there is no endpoint, which is no error", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      assert.equal((await app.dispatch(instance, { type: "a", data: 1 })).scheduled, 0);
    });
  });

  it("customers read their own attempts, and nobody changes one", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      const [row] = await attemptsOf(instance);
      const path = `/api/entities/WebhookAttempt/${row?.id}`;
      const [own, stranger] = [await tokenOf(instance), await tokenOf(instance, "org_b")];
      assert.equal((await instance.ask(`GET ${path}`, { token: own })).status, 200);
      assert.equal((await instance.ask(`GET ${path}`, { token: stranger })).status, 404);
      for (const token of [own, "admin"]) {
        const answers = [
          await instance.ask(`PATCH ${path}`, { token, json: { status: "succeeded" } }),
          await instance.ask(`DELETE ${path}`, { token }),
          await instance.ask("POST /api/entities/WebhookAttempt", { token, json: {} }),
        ];
        for (const answer of answers) assert.deepEqual([answer.status, answer.code], [403, "READ_ONLY"]);
      }
    });
  });
});
