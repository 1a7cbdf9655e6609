// What a delivery is on the wire: which bytes, which headers, for which writes.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { createHmacSigner } from "../../../src/crypto/hmac.ts";
import { deliveryBody, signatureHeader } from "../../../src/plugins/webhooks/delivery.ts";
import { ANONYMOUS } from "../../../src/core/identity.ts";
import { withApp } from "../app-harness.ts";
import { bodyOf, HOOK_URL, listDeliveries, webhooks } from "./deliveries.ts";

interface Vectors {
  readonly header: string;
  readonly rows: readonly { readonly secret: string; readonly body: string; readonly signature: string }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../../../fixtures/vectors/pylon-signature.json", import.meta.url), "utf8"),
) as Vectors;

const ALL_EVENTS = ["insert", "update", "delete"];

describe("the body of a delivery", () => {
  it("has the keys of the seed in its order, and nothing else", async () => {
    await withApp({ plugins: [webhooks({})] }, async (app) => {
      const row = await app.insert("Order", { total: 12_345, meta: { b: [1, "é"], a: null } });
      await app.rest();
      const { body, url } = app.sent[0] ?? { body: "", url: "" };
      const { delivery_id: deliveryId } = JSON.parse(body) as { delivery_id: string };
      assert.match(deliveryId, /^wh_[0-9A-HJKMNP-TV-Z]{26}$/);
      assert.equal(url, HOOK_URL);
      assert.equal(
        body,
        `{"event":"insert","entity":"Order","row_id":"${row.id}","data":{"id":"${row.id}","total":12345,"note":null,` +
          `"meta":{"b":[1,"é"],"a":null},"paid":null,"placedAt":null,"ref":null},` +
          `"timestamp":"2026-04-28T10:32:00.000Z","delivery_id":"${deliveryId}"}`,
      );
    });
  });

  it("tells of an entity that another plugin brings: a flag that an administrator changes", async () => {
    const flags = { name: "feature_flags", config: { flags: { a: { enabled: true } } } };
    await withApp({ plugins: [webhooks({ entity: "FeatureFlag", events: ALL_EVENTS }), flags] }, async (app) => {
      await app.ask("PATCH /api/admin/flags/a", { token: "admin", json: { enabled: false } });
      await app.rest();
      const [body, ...more] = app.sent.map(bodyOf);
      assert.deepEqual(more, []);
      assert.deepEqual([body?.event, body?.entity], ["insert", "FeatureFlag"]);
      assert.deepEqual([body?.data["name"], body?.data["changes"]], ["a", { enabled: false }]);
    });
  });

  it("has the row as the API shows it: after an insert and an update, before a delete", async () => {
    await withApp({ plugins: [webhooks({ events: ALL_EVENTS })] }, async (app) => {
      const row = await app.insert("Order", { total: 1, paid: true, placedAt: "2026-01-02T03:04:05+02:00" });
      const target = `/api/entities/Order/${row.id}`;
      await app.ask(`PATCH ${target}`, { token: "admin", json: { total: 2, note: "ключ" } });
      const last = (await app.ask(`GET ${target}`, { token: "admin" })).json;
      await app.ask(`DELETE ${target}`, { token: "admin" });
      await app.rest();
      const bodies = app.sent.map(bodyOf);
      assert.deepEqual(
        bodies.map(({ event }) => event),
        ALL_EVENTS,
      );
      assert.deepEqual(
        bodies.map(({ data }) => data),
        [row, last, last],
      );
      assert.deepEqual(last["note"], "ключ");
      assert.equal(new Set(bodies.map(({ delivery_id: id }) => id)).size, 3);
      assert.ok(bodies.every(({ row_id: id }) => id === row.id));
    });
  });

  it("does not lose the digits of an integer beyond 2^53, nor the write", async () => {
    await withApp({ plugins: [webhooks({ events: ["update"] })] }, async (app) => {
      const { id } = await app.insert("Order", { total: 1 });
      await app.store.write((tx) => tx.update("Order", id, { total: 9_007_199_254_740_993n }));
      const answer = await app.ask(`PATCH /api/entities/Order/${id}`, { token: "admin", json: { note: "x" } });
      assert.equal(answer.status, 200, answer.text);
      await app.rest();
      assert.equal(bodyOf(app.sent[0]).data["total"], "9007199254740993");
    });
  });

  it("is built from a change alone", () => {
    const change = { op: "delete", entity: "Order", id: "o1", before: { id: "o1" }, after: null, draft: {} } as const;
    const body = deliveryBody({ ...change, actor: ANONYMOUS, requestId: null, at: 0 }, `{"id":"o1"}`, "wh_1");
    assert.equal(
      body,
      `{"event":"delete","entity":"Order","row_id":"o1","data":{"id":"o1"},"timestamp":"1970-01-01T00:00:00.000Z","delivery_id":"wh_1"}`,
    );
  });
});

describe("the signature", () => {
  it("is that of the published vectors", async () => {
    assert.equal(vectors.header.toLowerCase(), "x-pylon-signature");
    assert.ok(vectors.rows.length >= 2);
    for (const { secret, body, signature } of vectors.rows) {
      assert.equal(await signatureHeader(createHmacSigner(secret), body), signature);
    }
  });

  it("is sent over the very bytes of the body, with the secret of the hook", async () => {
    const secret = "ключ-🔑";
    const plugins = [webhooks({ secret_env: "WEBHOOK_SECRET" }, { url: "https://other.example.com/" })];
    await withApp({ plugins, env: { WEBHOOK_SECRET: secret } }, async (app) => {
      await app.insert("Order", { total: 1, note: "☃ é 日本" });
      await app.rest();
      const signed = app.sent.find(({ url }) => url === HOOK_URL);
      assert.ok(signed);
      const expected = createHmac("sha256", secret).update(signed.body, "utf8").digest("hex");
      assert.equal(signed.headers["x-pylon-signature"], `sha256=${expected}`);
      const unsigned = app.sent.find(({ url }) => url !== HOOK_URL);
      assert.ok(unsigned);
      assert.equal(unsigned.headers["x-pylon-signature"], undefined);
    });
  });
});

describe("the headers", () => {
  it("are the hook's, filled from the environment, beside the type of the body", async () => {
    const headers = { "X-Team": "a", Authorization: "Bearer ${INTERCOM_KEY}", "X-Two": "${A1}-${_b}-${A1}-$A1" };
    const env = { INTERCOM_KEY: "k-123", A1: "one", _b: "two" };
    await withApp({ plugins: [webhooks({ headers })], env }, async (app) => {
      await app.insert("Order", { total: 1 });
      await app.rest();
      const sent = app.sent[0]?.headers ?? {};
      assert.equal(sent["content-type"], "application/json");
      assert.equal(sent["authorization"], "Bearer k-123");
      assert.equal(sent["x-two"], "one-two-one-$A1");
      assert.equal(sent["x-team"], "a");
    });
  });
});

describe("which writes are delivered", () => {
  it("those to the hook's entity with one of its events", async () => {
    await withApp({ plugins: [webhooks({ events: ["update"] })] }, async (app) => {
      const order = await app.insert("Order", { total: 1 });
      await app.insert("Customer", { name: "Ada" });
      await app.ask(`PATCH /api/entities/Order/${order.id}`, { token: "admin", json: { total: 2 } });
      await app.ask(`DELETE /api/entities/Order/${order.id}`, { token: "admin" });
      await app.rest();
      assert.deepEqual(
        app.sent.map((sent) => bodyOf(sent).event),
        ["update"],
      );
    });
  });

  it("each hook that matches gets its own, with an id of its own", async () => {
    const plugins = [
      webhooks({ name: "a", events: ["insert", "insert"] }, { name: "b", url: "https://b.example.com/" }),
    ];
    await withApp({ plugins }, async (app) => {
      const { id } = await app.insert("Order", { total: 1 });
      await app.rest();
      const bodies = app.sent.map(bodyOf);
      assert.equal(bodies.length, 2);
      assert.equal(new Set(bodies.map(({ delivery_id: deliveryId }) => deliveryId)).size, 2);
      assert.deepEqual(
        bodies.map(({ row_id: rowId }) => rowId),
        [id, id],
      );
    });
  });

  it("one that is rolled back sends nothing, whoever rolls it back", async () => {
    await withApp({ plugins: [webhooks({ events: ALL_EVENTS })] }, async (app) => {
      await app.insert("Order", { total: 1, ref: "taken" });
      await app.rest();
      app.sent.length = 0;
      const conflict = { op: "insert", entity: "Order", data: { total: 3, ref: "taken" } };
      const fine = { op: "insert", entity: "Order", data: { total: 2 } };
      const transact = await app.ask("POST /api/transact", { token: "admin", json: [fine, conflict] });
      assert.equal(transact.code, "CONFLICT");
      const scope = { actor: ANONYMOUS, policies: false, requestId: null };
      const failed = app.pylon.data.write(scope, async (writer) => {
        await writer.insert("Order", { total: 4 });
        throw new Error("changed my mind");
      });
      await assert.rejects(failed, /changed my mind/);
      await app.advance(3_600_000);
      assert.deepEqual(app.sent, []);
      assert.equal((await listDeliveries(app)).data.length, 1);
    });
  });

  it("all writes of one transaction, in their order", async () => {
    await withApp({ plugins: [webhooks({ events: ALL_EVENTS })] }, async (app) => {
      const { id } = await app.insert("Order", { total: 0 });
      const steps = [1, 2, 3].map((total) => ({ op: "update", entity: "Order", id, data: { total } }));
      const answer = await app.ask("POST /api/transact", { token: "admin", json: steps });
      assert.equal(answer.status, 200, answer.text);
      await app.rest();
      assert.deepEqual(
        app.sent.map((sent) => bodyOf(sent).data["total"]),
        [0, 1, 2, 3],
      );
    });
  });
});
