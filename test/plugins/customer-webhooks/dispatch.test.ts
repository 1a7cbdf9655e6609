// Dispatching: part of the caller's transaction, once per id and application, and nothing that does not fit gets in.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isPylonError } from "../../../src/core/errors.ts";
import { SYSTEM } from "../../../src/core/identity.ts";
import { action, type FunctionDefinition, mutation, query } from "../../../src/functions/define.ts";
import { mergeManifests } from "../../../src/manifest/merge.ts";
import { declareWebhooks } from "../../../src/plugins/customer-webhooks/declare-webhooks.ts";
import { dispatch } from "../../../src/plugins/customer-webhooks/dispatch.ts";
import { MAX_INLINE } from "../../../src/plugins/customer-webhooks/fan-out.ts";
import type { WebhooksOptions } from "../../../src/plugins/customer-webhooks/webhooks-config.ts";
import { webhooksDeclaring } from "../../../src/plugins.ts";
import { v } from "../../../src/functions/validators.ts";
import { type AppOptions, type TestApp, withApp } from "../app-harness.ts";
import {
  attemptsOf,
  bodyOf,
  createEndpoint,
  customers,
  memberOf,
  refused,
  TENANT,
  tokenOf,
  URL_A,
} from "./customers.ts";

const SYSTEM_SCOPE = { policies: false, requestId: null, internal: true } as const;

function coded(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal((error as { code?: unknown }).code, code, String(error));
    return true;
  };
}

/** Many endpoints at once, through the write path. */
async function createMany(app: TestApp, count: number, fields: object = {}): Promise<void> {
  await app.pylon.data.write({ ...SYSTEM_SCOPE, actor: SYSTEM }, async (writer) => {
    for (let n = 0; n < count; n++) {
      await writer.insert("WebhookEndpoint", { applicationId: TENANT, url: `${URL_A}/${n}`, ...fields });
    }
  });
}

describe("dispatch in a mutation", () => {
  it("commits with it", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance, { ordered: true });
      const events = [
        { type: "order.created", data: { n: 1 } },
        { type: "order.paid", data: 2 },
      ];
      const result = await instance.pylon.call("place", { events, fails: false }, memberOf(TENANT));
      await instance.rest();
      assert.deepEqual(
        instance.sent.map((sent) => bodyOf(sent)["type"]),
        ["order.created", "order.paid"],
      );
      const { sent } = result as unknown as { sent: { eventId: string; scheduled: number }[] };
      assert.deepEqual(
        sent.map(({ scheduled }) => scheduled),
        [1, 1],
      );
      assert.deepEqual(
        instance.sent.map((one) => one.headers["webhook-id"]),
        sent.map(({ eventId }) => eventId),
      );
    });
  });

  it("leaves nothing behind when it rolls back: no event, no attempt, no delivery, and the id is free", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      const events = [{ type: "order.created", data: 1, id: "evt_1" }];
      const failing = instance.pylon.call("place", { events, fails: true }, memberOf(TENANT));
      await assert.rejects(failing, coded("NO_STOCK"));
      await instance.rest();
      assert.deepEqual(instance.sent, []);
      assert.deepEqual(await attemptsOf(instance), []);
      const { sent } = (await instance.pylon.call("place", { events, fails: false }, memberOf(TENANT))) as never as {
        sent: unknown;
      };
      assert.deepEqual(sent, [{ eventId: "evt_1", scheduled: 1 }]);
    });
  });

  it("works with a copy of ctx, from the nested mutation's own ctx, and not in a query or without a ctx", async () => {
    const declared = customers();
    const hooksConfig = declared.config;
    const event = { type: "a", data: 1 };
    const functions = {
      ...declared.options.functions,
      copied: action({ handler: (ctx) => dispatch({ ...ctx, mine: true }, hooksConfig, event) }),
      nested: action({ handler: (ctx) => ctx.runMutation("inner") }),
      inner: mutation({ handler: (ctx) => dispatch(ctx, hooksConfig, event) }),
      reading: query({ handler: (ctx) => dispatch(ctx, hooksConfig, event) }),
      without: action({ handler: () => dispatch({}, hooksConfig, event) }),
      foreign: action({ handler: (ctx) => dispatch(ctx, { ...hooksConfig, retrySchedule: [1] }, event) }),
    };
    await withApp({ ...declared.options, functions }, async (instance) => {
      await createEndpoint(instance);
      const call = (name: string): Promise<unknown> => instance.pylon.call(name, {}, memberOf(TENANT));
      assert.equal(((await call("copied")) as { scheduled: number }).scheduled, 1);
      assert.equal(((await call("nested")) as { scheduled: number }).scheduled, 1);
      await assert.rejects(call("reading"), coded("FN_READ_ONLY"));
      for (const name of ["without", "foreign"]) await assert.rejects(call(name), coded("HANDLER_ERROR"));
      await instance.rest();
      assert.equal(instance.sent.length, 2);
    });
  });

  it("belongs to the instance that runs it, also when functions of two instances are nested", async () => {
    const first = customers();
    const second = customers();
    await withApp(first.options, async (inner) => {
      const { config } = second;
      const outer = action({
        async handler(ctx) {
          await inner.pylon.call("send", { event: { type: "inner", data: 1 } }, memberOf(TENANT));
          await dispatch(ctx, config, { type: "outer", data: 1 });
        },
      });
      await withApp({ ...second.options, functions: { ...second.options.functions, outer } }, async (instance) => {
        for (const one of [inner, instance]) await createEndpoint(one);
        await instance.pylon.call("outer", {}, memberOf(TENANT));
        for (const one of [inner, instance]) await one.rest();
        assert.deepEqual(
          inner.sent.map((sent) => bodyOf(sent)["type"]),
          ["inner"],
        );
        assert.deepEqual(
          instance.sent.map((sent) => bodyOf(sent)["type"]),
          ["outer"],
        );
      });
    });
  });
});

describe("an event's id", () => {
  it("is dispatched once in an application, also at the same time, and is another event in another one", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      await createEndpoint(instance, { applicationId: "org_b", url: "https://b.example.com/" });
      const event = { type: "a", data: 1, id: "order-1" };
      const results = await Promise.all(Array.from({ length: 8 }, () => app.dispatch(instance, event)));
      assert.equal(results.filter(({ scheduled }) => scheduled === 1).length, 1);
      assert.equal(results.filter(({ scheduled }) => scheduled === 0).length, 7);
      assert.deepEqual(new Set(results.map(({ eventId }) => eventId)), new Set(["order-1"]));
      assert.equal((await app.dispatch(instance, event, "org_b")).scheduled, 1);
      await instance.rest();
      assert.deepEqual(instance.sent.map(({ url }) => url).toSorted(), [URL_A, "https://b.example.com/"]);
    });
  });

  it("cannot be made to mean another application's event", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      assert.deepEqual(await app.dispatch(instance, { type: "a", data: 1, id: "x", applicationId: "a/b" }, null), {
        eventId: "x",
        scheduled: 0,
      });
      await createEndpoint(instance, { applicationId: "a%2Fb" });
      const { scheduled } = await app.dispatch(instance, { type: "a", data: 1, id: "x", applicationId: "a%2Fb" }, null);
      assert.equal(scheduled, 1);
    });
  });
});

describe("what does not fit", () => {
  const bad: readonly (readonly [string, unknown, string])[] = [
    ["no type", { data: 1 }, "EVENT_INVALID"],
    ["a malformed type", { type: "invoice paid", data: 1 }, "EVENT_INVALID"],
    ["a type with an empty segment", { type: "invoice..paid", data: 1 }, "EVENT_INVALID"],
    ["a full stop in the id", { type: "a", data: 1, id: "a.b" }, "EVENT_INVALID"],
    ["an id of 129 characters", { type: "a", data: 1, id: "x".repeat(129) }, "EVENT_INVALID"],
    ["a time that is none", { type: "a", data: 1, occurredAt: "yesterday" }, "EVENT_INVALID"],
    ["an unknown key", { type: "a", data: 1, application: "org_a" }, "EVENT_INVALID"],
    ["an application id that is none", { type: "a", data: 1, applicationId: "" }, "EVENT_INVALID"],
    ["a megabyte", { type: "a", data: "x".repeat(1_048_576) }, "EVENT_TOO_LARGE"],
    ["a text", "invoice.paid", "EVENT_INVALID"],
  ];
  for (const [what, event, code] of bad) {
    it(`${what} is refused with ${code}`, async () => {
      const app = customers();
      await withApp(app.options, async (instance) => {
        await assert.rejects(app.dispatch(instance, event as object), coded(code));
      });
    });
  }

  it("any JSON value is data, and an absent one is null", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance, { ordered: true });
      const values = [null, false, 0, "", [], {}, "☃ é 日本 \u2028", { deep: [{ a: 1.5 }] }];
      for (const data of values) await app.dispatch(instance, { type: "a", data });
      await app.dispatch(instance, { type: "a" });
      await instance.rest();
      assert.deepEqual(
        instance.sent.map((sent) => bodyOf(sent)["data"]),
        [...values, null],
      );
    });
  });

  it("nobody knows the application of a caller without a tenant", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await assert.rejects(app.dispatch(instance, { type: "a", data: 1 }, null), coded("NO_APPLICATION"));
      const json = { type: "a", data: 1 };
      refused(await instance.ask("POST /api/webhook-events", { token: "admin", json }), 400, "NO_APPLICATION");
    });
  });
});

/** An application whose manifest names the plugin, with `code` for its `webhooks()`. */
function inBoth(listed: object, code: WebhooksOptions | undefined): AppOptions {
  const plugins: { name: string; config: unknown }[] = [];
  if (code) webhooksDeclaring((name, config) => plugins.push({ name, config }))(code);
  const merged = mergeManifests({ plugins: [{ name: "customer_webhooks", config: listed }] }, { plugins });
  return { plugins: (merged as { plugins: { name: string; config: unknown }[] }).plugins };
}

describe("a plugin that the manifest names", () => {
  const ORDERED = { eventTypes: { a: {}, b: {} }, retrySchedule: [1, 2] };

  it("takes any config with its settings from dispatch, and no other", async () => {
    const send = (config: unknown): FunctionDefinition =>
      action({ handler: (ctx) => dispatch(ctx, config as never, { type: "a", data: 1 }) });
    const functions = {
      same: send(declareWebhooks({ retrySchedule: [1, 2], eventTypes: { b: {}, a: {} } }).config),
      listed: send(ORDERED),
      defaults: send(declareWebhooks().config),
      nothing: send(undefined),
    };
    await withApp({ ...inBoth(ORDERED, undefined), functions }, async (instance) => {
      await createEndpoint(instance);
      const call = (name: string): Promise<unknown> => instance.pylon.call(name, {}, memberOf(TENANT));
      for (const name of ["same", "listed"]) assert.equal(((await call(name)) as { scheduled: number }).scheduled, 1);
      for (const name of ["defaults", "nothing"]) await assert.rejects(call(name), coded("HANDLER_ERROR"));
      const failed = instance.logged.filter(({ event }) => event === "function.failed");
      assert.deepEqual(
        failed.map(({ fields }) => fields["code"]),
        ["WEBHOOKS_CONFIG_FOREIGN", "WEBHOOKS_CONFIG_FOREIGN"],
      );
      assert.match(String(failed[0]?.fields["hint"]), /give webhooks\(\) the same settings/);
    });
    const defaults = { defaults: functions.defaults };
    await withApp({ ...inBoth({}, undefined), functions: defaults }, async (instance) => {
      await createEndpoint(instance);
      const sent = await instance.pylon.call("defaults", {}, memberOf(TENANT));
      assert.equal((sent as unknown as { scheduled: number }).scheduled, 1);
    });
  });

  it("may say what webhooks() says, or leave the settings to it, and stops the start where the two differ", async () => {
    await withApp(inBoth(ORDERED, { retrySchedule: [1, 2], eventTypes: { b: {}, a: {} } }), async () => undefined);
    await withApp(inBoth({}, ORDERED), async (instance) => {
      const json = { type: "c", data: 1, applicationId: TENANT };
      refused(await instance.ask("POST /api/webhook-events", { token: "admin", json }), 400, "EVENT_TYPE_UNKNOWN");
    });
    for (const code of [{}, { ...ORDERED, replayToleranceSecs: 1 }]) {
      await assert.rejects(
        withApp(inBoth(ORDERED, code), async () => undefined),
        (error: unknown) => {
          assert.ok(isPylonError(error, "PLUGIN_INVALID"), String(error));
          assert.match(error.message, /^plugins\.0\.config: The settings here and those of webhooks\(\)/);
          return true;
        },
      );
    }
    await assert.rejects(
      withApp(inBoth({ retrySchedule: ["x"] }, {}), async () => undefined),
      /retrySchedule\.0: Expected a number/,
    );
  });
});

describe("an application", () => {
  it("declares its webhooks once", () => {
    const declare = webhooksDeclaring(() => undefined);
    declare({});
    assert.throws(() => declare({}), coded("WEBHOOKS_DECLARED_TWICE"));
  });
});

describe("a catalogue of event types", () => {
  const catalogue = {
    eventTypes: {
      "invoice.paid": {
        description: "Money came in",
        schema: { type: "object", properties: { amount: { type: "integer" } }, required: ["amount"] },
      },
      "invoice.sent": { schema: v.object({ to: v.string() }) as never },
      "free.form": {},
    },
  };

  it("lets in only what it names, with payloads that fit", async () => {
    const app = customers(catalogue);
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance, { eventTypes: ["invoice.*"] });
      assert.equal((await app.dispatch(instance, { type: "invoice.paid", data: { amount: 3 } })).scheduled, 1);
      assert.equal((await app.dispatch(instance, { type: "invoice.sent", data: { to: "ada" } })).scheduled, 1);
      assert.equal((await app.dispatch(instance, { type: "free.form", data: [1] })).scheduled, 0);
      const refuse = (event: object, code: string): Promise<void> =>
        assert.rejects(app.dispatch(instance, event), coded(code));
      await refuse({ type: "invoice.lost", data: {} }, "EVENT_TYPE_UNKNOWN");
      await refuse({ type: "invoice.paid", data: { amount: "3" } }, "EVENT_INVALID");
      await refuse({ type: "invoice.paid", data: null }, "EVENT_INVALID");
      await refuse({ type: "invoice.sent", data: { to: 1 } }, "EVENT_INVALID");
      const json = { type: "invoice.paid", data: { amount: 1.5 }, applicationId: TENANT };
      const answer = await instance.ask("POST /api/webhook-events", { token: "admin", json });
      refused(answer, 400, "EVENT_INVALID");
      assert.match(answer.text, /"path":"data.amount"/);
    });
  });

  it("keeps endpoints from subscribing to what does not exist", async () => {
    const app = customers(catalogue);
    await withApp(app.options, async (instance) => {
      const json = { applicationId: TENANT, url: URL_A, eventTypes: ["invoice.paid", "invoice.lost", "webhook.test"] };
      const answer = await instance.ask("POST /api/entities/WebhookEndpoint", { token: "admin", json });
      refused(answer, 400, "VALIDATION_FAILED");
      assert.match(answer.text, /"path":"eventTypes.1"/);
      assert.doesNotMatch(answer.text, /eventTypes.2/);
    });
  });

  it("is in the OpenAPI document as webhooks", async () => {
    const app = customers({ ...catalogue, replayToleranceSecs: 120 });
    await withApp(app.options, async (instance) => {
      const { webhooks } = (await instance.ask("GET /api/openapi.json")).json as {
        webhooks: Record<
          string,
          { post: { summary: string; parameters: { name: string; description: string }[]; requestBody: unknown } }
        >;
      };
      assert.deepEqual(Object.keys(webhooks), Object.keys(catalogue.eventTypes));
      const paid = webhooks["invoice.paid"]?.post;
      assert.equal(paid?.summary, "Money came in");
      const names = paid?.parameters.map(({ name }) => name);
      assert.ok(names?.includes("webhook-signature") && names.includes("svix-id"));
      assert.match(JSON.stringify(paid?.parameters), /more than 120 seconds/);
      assert.match(JSON.stringify(paid?.requestBody), /"data":\{"type":"object","properties":\{"amount"/);
    });
  });

  it("with a schema that cannot be checked is refused where it is declared", () => {
    const eventTypes = { a: { schema: { type: "nonsense" } } };
    assert.throws(() => customers({ eventTypes }), coded("CONFIG_INVALID"));
    assert.throws(() => customers({ eventTypes: { "a b": {} } }), coded("CONFIG_INVALID"));
    assert.throws(() => customers({ retrySchedule: [86_400 * 29, 86_400 * 2] }), coded("CONFIG_INVALID"));
    assert.throws(() => customers({ surprise: 1 } as never), coded("CONFIG_INVALID"));
  });
});

describe("POST /api/webhook-events", () => {
  it("dispatches for a member's own tenant, and other applications do not exist for them", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      const token = await tokenOf(instance);
      const post = (json: object, as: string = token): ReturnType<TestApp["ask"]> =>
        instance.ask("POST /api/webhook-events", { token: as, json });
      const answer = await post({ type: "a", data: 1, id: "e1" });
      assert.deepEqual([answer.status, answer.json], [202, { eventId: "e1", scheduled: 1 }]);
      assert.deepEqual((await post({ type: "a", data: 1, id: "e1" })).json, { eventId: "e1", scheduled: 0 });
      refused(await post({ type: "a", data: 1, applicationId: "org_b" }), 404, "NOT_FOUND");
      assert.equal((await post({ type: "a", data: 1, applicationId: TENANT }, "admin")).status, 202);
      refused(await post({ type: "a", data: 1, id: "x.y" }), 400, "EVENT_INVALID");
      const anonymous = await instance.ask("POST /api/webhook-events", { json: { type: "a", data: 1 } });
      refused(anonymous, 401, "AUTH_REQUIRED");
    });
  });

  it("honours Idempotency-Key in the event's own transaction", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance);
      const token = await tokenOf(instance);
      const ask = { token, json: { type: "a", data: 1 }, headers: { "idempotency-key": "k1" } };
      const [one, two] = [
        await instance.ask("POST /api/webhook-events", ask),
        await instance.ask("POST /api/webhook-events", ask),
      ];
      assert.deepEqual(one.json, two.json);
      await instance.rest();
      assert.equal(instance.sent.length, 1);
    });
  });
});

describe("many endpoints", () => {
  it("are served in the background, each once, and nothing overtakes", async () => {
    const app = customers();
    const count = MAX_INLINE * 6 + 1;
    await withApp({ ...app.options, started: false }, async (instance) => {
      await createMany(instance, count);
      await createMany(instance, 3, { disabled: true });
      const { scheduled } = await app.dispatch(instance, { type: "a", data: 1 });
      assert.equal(scheduled, count);
      assert.deepEqual(await attemptsOf(instance), [], "no delivery is written in the caller's transaction");
      instance.pylon.start();
      await instance.until(() => instance.sent.length >= count);
      assert.equal(new Set(instance.sent.map(({ url }) => url)).size, count);
      assert.equal(instance.sent.length, count);
    });
  });

  it("of few endpoints behind one that is in the background count those that want it", async () => {
    const app = customers();
    await withApp({ ...app.options, started: false }, async (instance) => {
      const first = await createEndpoint(instance, { eventTypes: ["a"] });
      await createEndpoint(instance, { eventTypes: ["b"] });
      await createMany(instance, MAX_INLINE);
      assert.equal((await app.dispatch(instance, { type: "a", data: 1 })).scheduled, MAX_INLINE + 2);
      await instance.store.write(async (tx) => {
        const rows = await tx.find("WebhookEndpoint", { limit: 200 });
        for (const { id } of rows.slice(2)) await tx.update("WebhookEndpoint", id, { disabled: true });
      });
      assert.equal((await app.dispatch(instance, { type: "a", data: 2 })).scheduled, 1);
      instance.pylon.start();
      await instance.until(() => instance.sent.length >= 2);
      const rows = await attemptsOf(instance, `&endpointId=${first.id}`);
      assert.equal(rows.length, 2);
    });
  });

  it("get an event once also when the fan-out is run again", async () => {
    const app = customers();
    const count = MAX_INLINE * 6;
    await withApp({ ...app.options, started: false }, async (instance) => {
      await createMany(instance, count);
      await app.dispatch(instance, { type: "a", data: 1, id: "e1" });
      instance.pylon.start();
      await instance.until(() => instance.sent.length >= count);
      // What a process that was killed before its last settlement leaves in the store: all of it is run again.
      await instance.store.write(async (tx) => {
        const lane = "customer-webhook-fanout:org_a";
        const now = instance.now();
        await tx.requeueJob(`${lane}/e1`, now);
        await tx.claimJobs({ lane, limit: 1, owner: "a process that was killed", now, leaseUntil: now });
        await tx.expireLeases(now, 10);
      });
      await instance.advance(15_000);
      assert.equal((await instance.store.reader.getJob("customer-webhook-fanout:org_a/e1"))?.state, "done");
      assert.equal(await instance.store.reader.count("WebhookAttempt", []), count);
      assert.equal(instance.sent.length, count);
    });
  });

  it("in strict order get a small application's later event behind an earlier large one", async () => {
    const app = customers();
    await withApp({ ...app.options, started: false }, async (instance) => {
      await createMany(instance, MAX_INLINE + 1, { ordered: true });
      await app.dispatch(instance, { type: "first", data: 1 });
      const rows = await instance.store.reader.find("WebhookEndpoint", { limit: 200 });
      for (const { id } of rows.slice(2)) {
        await instance.ask(`PATCH /api/entities/WebhookEndpoint/${id}`, { token: "admin", json: { disabled: true } });
      }
      await app.dispatch(instance, { type: "second", data: 1 });
      instance.pylon.start();
      await instance.until(() => instance.sent.length >= 4);
      for (const { url } of rows.slice(0, 2)) {
        const types = instance.sent.filter((sent) => sent.url === url).map((sent) => bodyOf(sent)["type"]);
        assert.deepEqual(types, ["first", "second"]);
      }
    });
  });
});
