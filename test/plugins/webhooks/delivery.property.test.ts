// For any row and any secret: the signature is that of the bytes, and the bytes say what the row is.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";

import { ANONYMOUS } from "../../../src/core/identity.ts";
import type { JsonObject } from "../../../src/core/json.ts";
import { createHmacSigner } from "../../../src/crypto/hmac.ts";
import { deliveryBody, deliveryOf, planDelivery, signatureHeader } from "../../../src/plugins/webhooks/delivery.ts";
import { resolveHooks, webhooksConfig } from "../../../src/plugins/webhooks/hook-config.ts";
import type { Job } from "../../../src/store/store.ts";

const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.string());
const secret = text.filter((value) => value !== "" && value.isWellFormed());

describe("the signature of a delivery", () => {
  it("is the HMAC-SHA256 of any body with any secret", async () => {
    await fc.assert(
      fc.asyncProperty(secret, text, async (key, body) => {
        const expected = createHmac("sha256", Buffer.from(key)).update(Buffer.from(body)).digest("hex");
        assert.equal(await signatureHeader(createHmacSigner(key), body), `sha256=${expected}`);
      }),
    );
  });

  it("is another one for another body or another secret", async () => {
    await fc.assert(
      fc.asyncProperty(secret, text, secret, text, async (key, body, otherKey, otherBody) => {
        // Keys longer than a block are hashed and shorter ones padded with zeros: both are the algorithm's own.
        fc.pre(!key.includes("\0") && !otherKey.includes("\0") && key.length < 16 && otherKey.length < 16);
        const isSame = key === otherKey && body.toWellFormed() === otherBody.toWellFormed();
        const one = await signatureHeader(createHmacSigner(key), body);
        const other = await signatureHeader(createHmacSigner(otherKey), otherBody);
        assert.equal(one === other, isSame);
      }),
    );
  });
});

describe("the body of a delivery", () => {
  it("says what the row is, whatever is in it, with the keys in their order", () => {
    fc.assert(
      fc.property(fc.dictionary(text, fc.jsonValue()), text, fc.integer({ min: 0, max: 8.64e15 }), (fields, id, at) => {
        const data = JSON.parse(JSON.stringify({ id, ...fields })) as JsonObject;
        const change = { op: "insert", entity: "Order", id, before: null, after: null, at } as const;
        const body = deliveryBody(
          { ...change, draft: {}, actor: ANONYMOUS, requestId: null },
          JSON.stringify(data),
          "wh_1",
        );
        const read = JSON.parse(body) as Record<string, unknown>;
        assert.equal(Object.keys(read).join(), "event,entity,row_id,data,timestamp,delivery_id");
        assert.deepEqual(read["data"], data);
        assert.equal(read["row_id"], id);
        assert.equal(Date.parse(String(read["timestamp"])), at);
      }),
    );
  });
});

describe("a stored delivery", () => {
  it("reads back as it was planned, whatever the configuration let through", () => {
    const url = fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), text);
    const name = fc.option(fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/), { nil: undefined });
    const event = fc.constantFrom("insert", "update", "delete");
    fc.assert(
      fc.property(url, name, event, fc.dictionary(text, fc.jsonValue()), (target, given, op, fields) => {
        const hook = { entity: "Order", events: [op], url: target, ...(given === undefined ? {} : { name: given }) };
        const config = webhooksConfig.safeParse({ hooks: [hook] });
        fc.pre(config.success);
        const [resolved] = resolveHooks(config.data, {});
        assert.ok(resolved);
        const data = JSON.parse(JSON.stringify(fields)) as JsonObject;
        const rows = { before: null, after: null, draft: {}, actor: ANONYMOUS, requestId: null };
        const change = { op, entity: "Order", id: "o1", at: 1, ...rows } as const;
        const planned = planDelivery(resolved, change, JSON.stringify(data), "wh_1");
        assert.deepEqual(deliveryOf(planned as Job), {
          hook: given ?? "hooks[0]",
          url: target,
          event: op,
          entity: "Order",
          body: deliveryBody(change, JSON.stringify(data), "wh_1"),
        });
      }),
    );
  });
});
