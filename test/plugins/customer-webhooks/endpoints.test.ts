// Endpoints: who may have them, what may be written into them, and that their secrets are shown where they must be and
// nowhere else.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readFile } from "node:fs/promises";
import type { WriteHooks } from "../../../src/data/change.ts";
import type { Plugin } from "../../../src/plugin/plugin.ts";
import { z } from "zod";
import { type TestApp, withApp } from "../app-harness.ts";
import { createEndpoint, customers, endpointRow, refused, TENANT, tokenOf, URL_A, verify } from "./customers.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const KEY = "00".repeat(31) + "ff";
const PATH = "/api/entities/WebhookEndpoint";

async function secretOf(app: TestApp, id: string): Promise<unknown> {
  const answer = await app.ask(`GET /api/webhook-endpoints/${id}/secret`, { token: "admin" });
  assert.equal(answer.status, 200, answer.text);
  return answer.json["secret"];
}

describe("an endpoint", () => {
  it("belongs to its tenant: others neither see nor change it, and it cannot be given away", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const [own, stranger] = [await tokenOf(instance), await tokenOf(instance, "org_b")];
      const json = { applicationId: TENANT, url: URL_A };
      const created = await instance.ask(`POST ${PATH}`, { token: own, json });
      assert.equal(created.status, 201, created.text);
      const row = `${PATH}/${String(created.json["id"])}`;
      assert.equal((await instance.ask(`GET ${row}`, { token: own })).status, 200);
      assert.equal((await instance.ask(`PATCH ${row}`, { token: own, json: { disabled: true } })).status, 200);
      for (const target of [`GET ${row}`, `DELETE ${row}`, `PATCH ${row}`]) {
        const answer = await instance.ask(target, { token: stranger, ...(target[0] === "P" ? { json: {} } : {}) });
        refused(answer, 404, "NOT_FOUND");
      }
      refused(await instance.ask(`POST ${PATH}`, { token: stranger, json }), 403, "POLICY_DENIED");
      refused(await instance.ask(`POST ${PATH}`, { json }), 401, "AUTH_REQUIRED");
      const away = await instance.ask(`PATCH ${row}`, { token: own, json: { applicationId: "org_b" } });
      refused(away, 403, "POLICY_DENIED");
      assert.equal((await instance.ask(`DELETE ${row}`, { token: own })).status, 200);
    });
  });

  it("is filled with defaults, and its application is the caller's own when none is given", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const token = await tokenOf(instance);
      const { json } = await instance.ask(`POST ${PATH}`, { token, json: { url: URL_A } });
      const { id, secret, ...rest } = json;
      assert.deepEqual(rest, {
        applicationId: TENANT,
        url: URL_A,
        eventTypes: [],
        headers: {},
        disabled: false,
        maxPerSecond: null,
        maxConcurrent: null,
        ordered: false,
        createdAt: new Date(instance.now()).toISOString(),
      });
      assert.match(String(secret), /^whsec_[A-Za-z0-9+/]{32}$/);
      assert.deepEqual(await endpointRow(instance, String(id)), { ...json, secret: null });
      const text = { eventTypes: '["a"]', headers: '{"X-A":"1"}' };
      const patched = await instance.ask(`PATCH ${PATH}/${String(id)}`, { token, json: text });
      assert.deepEqual([patched.json["eventTypes"], patched.json["headers"]], [["a"], { "X-A": "1" }]);
      // A client that reads a row, changes it and writes all of it back.
      const { id: _id, ...all } = await endpointRow(instance, String(id));
      const back = await instance.ask(`PATCH ${PATH}/${String(id)}`, { token, json: all });
      assert.equal(back.status, 200, back.text);
      assert.equal(await secretOf(instance, String(id)), secret);
    });
  });

  const bad: readonly (readonly [string, object, string])[] = [
    ["a URL of another scheme", { url: "ftp://a.example.com/" }, "url"],
    ["a URL without a host", { url: "https:///" }, "url"],
    ["no URL", { url: "hooks" }, "url"],
    ["a URL with user information", { url: "https://me:secret@a.example.com/" }, "url"],
    ["a URL with a line break", { url: "https://a.example.com/\n" }, "url"],
    ["a URL of 2,049 characters", { url: `https://a.example.com/${"x".repeat(2_027)}` }, "url"],
    ["a reserved header", { headers: { Host: "a" } }, "headers.Host"],
    ["the delivery's content type", { headers: { "Content-Type": "text/plain" } }, "headers.Content-Type"],
    ["a header of its own signature", { headers: { "Webhook-Signature": "v1,x" } }, "headers.Webhook-Signature"],
    ["a header of Svix's", { headers: { "svix-id": "x" } }, "headers.svix-id"],
    ["a header with a line break", { headers: { "X-A": "a\r\nB: c" } }, "headers.X-A"],
    ["a header that is no token", { headers: { "X A": "a" } }, "headers.X A"],
    ["a header twice", { headers: { "X-A": "a", "x-a": "b" } }, "headers.x-a"],
    ["a header that is no text", { headers: { "X-A": 1 } }, "headers.X-A"],
    ["headers that are a list", { headers: ["a"] }, "headers"],
    ["event types that are an object", { eventTypes: { a: 1 } }, "eventTypes"],
    ["text that is no JSON", { eventTypes: "invoice.paid" }, "eventTypes"],
    ["an event type that is none", { eventTypes: ["a", "b c"] }, "eventTypes.1"],
    ["a star in the middle", { eventTypes: ["a.*.b"] }, "eventTypes.0"],
    ["a rate of nothing", { maxPerSecond: 0 }, "maxPerSecond"],
    ["no places", { maxConcurrent: 0 }, "maxConcurrent"],
    ["too many places", { maxConcurrent: 101 }, "maxConcurrent"],
    ["a secret without its padding", { secret: SECRET.slice(0, -1) }, "secret"],
    ["an empty secret", { secret: "" }, "secret"],
    ["a secret that only verifies", { secret: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=" }, "secret"],
    ["a secret that is no text", { secret: 1 }, "secret"],
    ["an unknown field", { surprise: 1 }, "surprise"],
  ];
  for (const [what, fields, path] of bad) {
    it(`with ${what} is refused when it is written`, async () => {
      const app = customers();
      await withApp(app.options, async (instance) => {
        const json = { applicationId: TENANT, url: URL_A, ...fields };
        const answer = await instance.ask(`POST ${PATH}`, { token: "admin", json });
        refused(answer, 400, "VALIDATION_FAILED");
        const { details } = answer.json["error"] as { details: { path: string }[] };
        assert.deepEqual(
          details.map((problem) => problem.path),
          [path],
        );
        assert.doesNotMatch(answer.text, /whsec_M|whpk_1|me:secret/);
        const { id } = await createEndpoint(instance);
        refused(await instance.ask(`PATCH ${PATH}/${id}`, { token: "admin", json: fields }), 400, "VALIDATION_FAILED");
      });
    });
  }

  it("can be declared by the application, with fields and rules of its own", async () => {
    const declared = customers();
    const [endpoint, attempt] = (declared.options.entities ?? []).slice(-2) as [{ fields: object[] }, object];
    const note = { name: "note", type: "string", optional: true };
    const entities = [{ ...endpoint, fields: [...endpoint.fields, note] }, attempt];
    const policies = [
      {
        name: "owners",
        entity: "WebhookEndpoint",
        allow: "auth.hasRole('owner') and auth.tenantId == data.applicationId",
      },
    ];
    await withApp({ ...declared.options, entities, policies }, async (instance) => {
      const { id, row } = await createEndpoint(instance, { note: "ours" });
      assert.equal(row["note"], "ours");
      const token = await tokenOf(instance);
      refused(await instance.ask(`GET ${PATH}/${id}`, { token }), 404, "NOT_FOUND");
      refused(await instance.ask(`GET /api/webhook-endpoints/${id}/secret`, { token }), 404, "NOT_FOUND");
      refused(
        await instance.ask("POST /api/webhook-events", { token, json: { type: "a", data: 1 } }),
        404,
        "NOT_FOUND",
      );
      // Attempts keep the plugin's own rule.
      assert.equal((await instance.ask("GET /api/entities/WebhookAttempt", { token })).status, 200);
    });
  });

  it("that the application declares without what deliveries need stops start-up, naming the field", async () => {
    const declared = customers();
    const broken = { name: "WebhookEndpoint", fields: [{ name: "url", type: "string" }] };
    await assert.rejects(
      withApp({ ...declared.options, entities: [broken], policies: [] }, async () => undefined),
      /WebhookEndpoint needs the field applicationId of type string/,
    );
  });
});

describe("a secret", () => {
  it("is shown by the creation and to who manages the endpoint, and is in no row, list, log or OpenAPI example", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const token = await tokenOf(instance);
      const { id } = await createEndpoint(instance, { secret: SECRET });
      assert.equal((await instance.ask(`GET /api/webhook-endpoints/${id}/secret`, { token })).json["secret"], SECRET);
      const stranger = await tokenOf(instance, "org_b");
      refused(await instance.ask(`GET /api/webhook-endpoints/${id}/secret`, { token: stranger }), 404, "NOT_FOUND");
      refused(await instance.ask(`GET /api/webhook-endpoints/${id}/secret`), 401, "AUTH_REQUIRED");
      refused(await instance.ask("GET /api/webhook-endpoints/nothing/secret", { token }), 404, "NOT_FOUND");
      const shown = [
        await instance.ask(`GET ${PATH}/${id}`, { token }),
        await instance.ask(`GET ${PATH}`, { token }),
        await instance.ask(`GET ${PATH}?secret=${encodeURIComponent(SECRET)}`, { token: "admin" }),
        await instance.ask(`PATCH ${PATH}/${id}`, { token, json: { secret: SECRET } }),
        await instance.ask("GET /api/openapi.json"),
      ];
      for (const answer of shown) assert.ok(answer.status === 200 && !answer.text.includes(SECRET), answer.text);
      assert.deepEqual(shown[2]?.json["data"], []);
      assert.ok(!JSON.stringify(instance.logged).includes(SECRET));
    });
  });

  it("is not kept for an Idempotency-Key, and is seen by no hook of another plugin", async () => {
    const seen: unknown[] = [];
    const watch: WriteHooks = {
      before: (draft) => void seen.push(structuredClone(draft.data)),
      within: (change) => void seen.push(structuredClone({ ...change, actor: null })),
      after: (change) => void seen.push(structuredClone({ ...change, actor: null })),
    };
    const watcher: Plugin = { name: "watcher", config: z.strictObject({}), setup: () => ({ hooks: watch }) };
    const app = customers({}, { extra: [watcher], plugins: [{ name: "watcher" }] });
    await withApp(app.options, async (instance) => {
      const json = { applicationId: TENANT, url: URL_A, secret: SECRET };
      const ask = { token: "admin", json, headers: { "idempotency-key": "k" } };
      const first = await instance.ask(`POST ${PATH}`, ask);
      assert.equal(first.json["secret"], SECRET);
      const again = await instance.ask(`POST ${PATH}`, ask);
      assert.deepEqual([again.json["id"], again.json["secret"]], [first.json["id"], null]);
      assert.ok(seen.length >= 3);
      assert.ok(!JSON.stringify(seen).includes(SECRET));
    });
  });

  it("is encrypted on disk when there is a key, in every file, and readable after the key was added", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const plain = await createEndpoint(instance, { secret: SECRET });
      await instance.restart({ env: { PYLON_SECRET_KEY: KEY } });
      assert.equal(await secretOf(instance, plain.id), SECRET);
      const other = `whsec_${btoa("another secret of 24 by!")}`;
      const sealed = await createEndpoint(instance, { secret: other });
      assert.equal(await secretOf(instance, sealed.id), other);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      const verdicts = await Promise.all(instance.sent.map((sent) => verify(sent, [SECRET, other])));
      assert.deepEqual(verdicts, [true, true]);
      const files = await Promise.all(
        ["", "-wal"].map((end) => readFile(instance.databasePath + end, "latin1").catch(() => "")),
      );
      assert.ok(
        files.some((file) => file.includes(SECRET)),
        "the one that was stored without a key",
      );
      for (const file of files) assert.ok(!file.includes(other));
    });
  });

  it("that cannot be opened is a coded failure of the attempt and of the route, and retried", async () => {
    const app = customers({ retrySchedule: [60] });
    await withApp({ ...app.options, env: { PYLON_SECRET_KEY: KEY } }, async (instance) => {
      const { id } = await createEndpoint(instance);
      await instance.restart({ env: { PYLON_SECRET_KEY: "ff".repeat(32) } });
      const answer = await instance.ask(`GET /api/webhook-endpoints/${id}/secret`, { token: "admin" });
      refused(answer, 500, "SECRET_UNREADABLE");
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      assert.equal(instance.sent.length, 0);
      await instance.restart({ env: { PYLON_SECRET_KEY: KEY } });
      await instance.advance(100_000);
      assert.equal(instance.sent.length, 1);
    });
  });

  it("that cannot be opened keeps no other from signing, and can be rotated away from at once", async () => {
    const app = customers({ retrySchedule: [60] });
    await withApp({ ...app.options, env: { PYLON_SECRET_KEY: KEY } }, async (instance) => {
      const { id, secret: lost } = await createEndpoint(instance);
      const other = await createEndpoint(instance, { url: "https://b.example.com/", eventTypes: ["b"] });
      const warnings = (): unknown[] => instance.logged.filter(({ event }) => event === "webhooks.secrets_unreadable");
      assert.deepEqual(warnings(), []);
      await instance.restart({ env: { PYLON_SECRET_KEY: "ff".repeat(32) } });
      await instance.until(() => warnings().length > 0);
      assert.equal(warnings().length, 1, "at the start, before anything is sent");
      await app.dispatch(instance, { type: "b", data: 1 });
      await instance.rest();
      assert.equal(instance.sent.length, 0);
      const rotated = await instance.ask(`POST /api/webhook-endpoints/${id}/rotate-secret`, {
        token: "admin",
        json: {},
      });
      assert.equal(rotated.status, 200, rotated.text);
      await instance.advance(67_000);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      assert.deepEqual(
        instance.sent.map(({ url }) => url),
        [URL_A, URL_A],
      );
      for (const sent of instance.sent) {
        assert.equal(await verify(sent, String(rotated.json["secret"])), true);
        assert.equal(await verify(sent, lost), "INVALID_SIGNATURE");
      }
      refused(
        await instance.ask(`GET /api/webhook-endpoints/${other.id}/secret`, { token: "admin" }),
        500,
        "SECRET_UNREADABLE",
      );
      assert.equal(warnings().length, 1);
    });
  });

  it("needs a key of 32 bytes, or start-up stops", async () => {
    const app = customers();
    for (const bad of ["short", "zz".repeat(32), btoa("31 bytes".padEnd(31))]) {
      const opening = withApp({ ...app.options, env: { PYLON_SECRET_KEY: bad } }, async () => undefined);
      await assert.rejects(opening, (error: Error) => {
        assert.match(error.message, /^PYLON_SECRET_KEY: Expected 32 bytes/);
        assert.ok(!error.message.includes(bad));
        return true;
      });
    }
  });
});

describe("rotation", () => {
  const rotate = (app: TestApp, id: string, json: object, token = "admin"): ReturnType<TestApp["ask"]> =>
    app.ask(`POST /api/webhook-endpoints/${id}/rotate-secret`, { token, json });

  it("signs with both until the grace ends, the old one first, and with the new one alone after that", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id, secret: old } = await createEndpoint(instance);
      const token = await tokenOf(instance);
      const answer = await rotate(instance, id, { graceSecs: 60 }, token);
      assert.equal(answer.status, 200, answer.text);
      const fresh = String(answer.json["secret"]);
      assert.match(fresh, /^whsec_[A-Za-z0-9+/]{32}$/);
      assert.notEqual(fresh, old);
      assert.equal(await secretOf(instance, id), fresh);
      const send = async (): Promise<void> => {
        await app.dispatch(instance, { type: "a", data: 1 });
        await instance.rest();
      };
      await send();
      const [first] = instance.sent;
      assert.equal(first?.headers["webhook-signature"]?.split(" ").length, 2);
      for (const secret of [old, fresh]) assert.equal(await verify(first, secret), true);
      await instance.advance(60_001);
      await send();
      assert.equal(await verify(instance.sent[1], fresh), true);
      assert.equal(await verify(instance.sent[1], old), "INVALID_SIGNATURE");
    });
  });

  it("takes a given secret, also an asymmetric one, and no grace at all", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id, secret: old } = await createEndpoint(instance);
      const whsk = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
      assert.deepEqual((await rotate(instance, id, { secret: whsk, graceSecs: 0 })).json, { secret: whsk });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      assert.match(instance.sent[0]?.headers["webhook-signature"] ?? "", /^v1a,\S+$/);
      assert.equal(await verify(instance.sent[0], "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="), true);
      assert.equal(await verify(instance.sent[0], old), "INVALID_SIGNATURE");
    });
  });

  it("needs no body", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id, secret } = await createEndpoint(instance);
      const answer = await instance.ask(`POST /api/webhook-endpoints/${id}/rotate-secret`, { token: "admin" });
      assert.equal(answer.status, 200, answer.text);
      assert.notEqual(answer.json["secret"], secret);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      for (const one of [secret, String(answer.json["secret"])])
        assert.equal(await verify(instance.sent[0], one), true);
    });
  });

  it("happens once with an Idempotency-Key, whose answer is not kept: it holds the secret", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      const ask = (json: object): ReturnType<TestApp["ask"]> =>
        instance.ask(`POST /api/webhook-endpoints/${id}/rotate-secret`, {
          token: "admin",
          json,
          headers: { "idempotency-key": "k" },
        });
      const first = await ask({});
      assert.equal(first.status, 200, first.text);
      refused(await ask({}), 409, "IDEMPOTENCY_ANSWER_SECRET");
      refused(await ask({ graceSecs: 5 }), 422, "IDEMPOTENCY_MISMATCH");
      assert.equal(await secretOf(instance, id), first.json["secret"]);
      const kept = await instance.store.reader.find("_pylon_idempotency", { limit: 10 });
      assert.equal(kept.length, 1);
      assert.ok(!JSON.stringify(kept).includes(String(first.json["secret"])));
    });
  });

  it("to the secret that signs already signs once", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id, secret } = await createEndpoint(instance);
      assert.equal((await rotate(instance, id, { secret })).status, 200);
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      assert.equal(instance.sent[0]?.headers["webhook-signature"]?.split(" ").length, 1);
      assert.equal(await verify(instance.sent[0], secret), true);
    });
  });

  it("is bounded, refuses what cannot sign, and is for who manages the endpoint", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      for (let n = 0; n < 10; n++) assert.equal((await rotate(instance, id, {})).status, 200);
      refused(await rotate(instance, id, {}), 409, "TOO_MANY_SECRETS");
      assert.equal((await rotate(instance, id, { graceSecs: 0 })).status, 200);
      refused(await rotate(instance, id, { secret: "whsec_%" }), 400, "VALIDATION_FAILED");
      refused(await rotate(instance, id, { graceSecs: -1 }), 400, "VALIDATION_FAILED");
      refused(await rotate(instance, id, {}, await tokenOf(instance, "org_b")), 404, "NOT_FOUND");
      refused(await rotate(instance, "nothing", {}), 404, "NOT_FOUND");
    });
  });

  it("without a grace leaves one secret however often it happens, also where many have piled up", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id } = await createEndpoint(instance);
      const table = "_pylon_webhook_secrets";
      const [current] = await instance.store.reader.find(table, { limit: 1 });
      assert.ok(current);
      // As versions before left them: expired, and ahead of the current one.
      await instance.store.write(async (tx) => {
        for (let n = 0; n < 250; n++) await tx.insert(table, { ...current, id: `0${1000 + n}`, expiresAt: n });
      });
      const send = async (secret: string): Promise<void> => {
        await app.dispatch(instance, { type: "a", data: 1 });
        await instance.rest();
        assert.equal(instance.sent.at(-1)?.headers["webhook-signature"]?.split(" ").length, 1);
        assert.equal(await verify(instance.sent.at(-1), secret), true);
      };
      await send(String(await secretOf(instance, id)));
      for (let n = 0; n < 120; n++) {
        const answer = await rotate(instance, id, { graceSecs: 0 });
        assert.equal(answer.json["secret"], await secretOf(instance, id), `rotation ${n}`);
      }
      await send(String(await secretOf(instance, id)));
      assert.equal(await instance.store.reader.count(table, []), 1);
      await instance.store.write(async (tx) => {
        for (let n = 0; n < 250; n++) await tx.insert(table, { ...current, id: `0${1000 + n}`, expiresAt: null });
      });
      await instance.ask(`DELETE ${PATH}/${id}`, { token: "admin" });
      assert.equal(await instance.store.reader.count(table, []), 0);
    });
  });

  it("by a PATCH of the secret takes effect at once", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const { id, secret: old } = await createEndpoint(instance);
      await instance.ask(`PATCH ${PATH}/${id}`, { token: "admin", json: { secret: SECRET } });
      await app.dispatch(instance, { type: "a", data: 1 });
      await instance.rest();
      assert.equal(await verify(instance.sent[0], SECRET), true);
      assert.equal(await verify(instance.sent[0], old), "INVALID_SIGNATURE");
    });
  });

  it("leaves nothing behind once the endpoint is deleted or the grace has ended", async () => {
    const app = customers();
    await withApp(app.options, async (instance) => {
      const [one, two] = [await createEndpoint(instance), await createEndpoint(instance)];
      await rotate(instance, one.id, {});
      await rotate(instance, two.id, { graceSecs: 1 });
      await instance.ask(`DELETE ${PATH}/${one.id}`, { token: "admin" });
      await instance.advance(700_000);
      assert.equal(await instance.store.reader.count("_pylon_webhook_secrets", []), 1);
    });
  });
});
