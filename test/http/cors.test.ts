// Who may read answers from a page of another origin: everyone in dev, the configured origins in production.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createCors, isPreflight } from "../../src/http/cors.ts";
import { action } from "../../src/functions/define.ts";
import { type AppOptions, withApp } from "../plugins/app-harness.ts";

const ORIGIN = "https://app.example.com";
const PREFLIGHT = { origin: ORIGIN, "access-control-request-method": "POST" };
const SERVE: AppOptions = { mode: "serve", env: { PYLON_CORS_ORIGIN: `${ORIGIN}, https://b.example.com` } };

describe("the headers for an origin", () => {
  it("allow any origin, without credentials, when any is allowed", () => {
    const cors = createCors({ origins: ["*"] });
    assert.equal(cors(ORIGIN)["access-control-allow-origin"], "*");
    assert.equal(cors(ORIGIN)["access-control-allow-credentials"], undefined);
    assert.deepEqual(cors(null), {});
  });

  it("name an allowed origin and vary by it, also for a request without one", () => {
    const cors = createCors({ origins: [ORIGIN] });
    assert.equal(cors(ORIGIN)["access-control-allow-origin"], ORIGIN);
    assert.equal(cors(ORIGIN)["vary"], "Origin");
    for (const other of [
      "https://evil.example",
      "https://app.example.com.evil.example",
      "http://app.example.com",
      null,
    ]) {
      assert.deepEqual(cors(other), { vary: "Origin" });
    }
    assert.equal(cors("null")["access-control-allow-origin"], undefined);
  });

  it("say nothing when nobody is allowed", () => {
    const cors = createCors({ origins: [] });
    assert.deepEqual([cors(ORIGIN), cors(null)], [{}, {}]);
  });
});

describe("a preflight", () => {
  it("is an OPTIONS request with an origin and a method, and nothing else is", () => {
    const request = (method: string, headers: Record<string, string>): Request =>
      new Request("http://pylon.test/", { method, headers });
    assert.equal(isPreflight(request("OPTIONS", PREFLIGHT)), true);
    assert.equal(isPreflight(request("GET", PREFLIGHT)), false);
    assert.equal(isPreflight(request("OPTIONS", { origin: ORIGIN })), false);
    assert.equal(isPreflight(request("OPTIONS", { "access-control-request-method": "POST" })), false);
  });

  for (const [name, options, allowed] of [
    ["dev", { mode: "dev" }, "*"],
    ["serve", SERVE, ORIGIN],
  ] as const) {
    it(`allows in ${name} what the API takes`, async () => {
      await withApp(options, async (app) => {
        const answer = await app.ask("OPTIONS /api/entities/Order", { headers: PREFLIGHT });
        assert.deepEqual([answer.status, answer.text], [204, ""]);
        assert.equal(answer.headers.get("access-control-allow-origin"), allowed);
        const methods = (answer.headers.get("access-control-allow-methods") ?? "").split(", ");
        for (const method of ["GET", "POST", "PATCH", "PUT", "DELETE"]) assert.ok(methods.includes(method), method);
        const headers = (answer.headers.get("access-control-allow-headers") ?? "").toLowerCase().split(", ");
        for (const header of [
          "content-type",
          "authorization",
          "x-api-key",
          "idempotency-key",
          "x-filename",
          "x-request-id",
        ]) {
          assert.ok(headers.includes(header), header);
        }
        assert.match(answer.headers.get("access-control-max-age") ?? "", /^\d+$/);
      });
    });
  }

  it("allows nothing in serve to another origin, nor to any when none is configured", async () => {
    for (const options of [SERVE, { mode: "serve" } as const]) {
      await withApp(options, async (app) => {
        const headers = { ...PREFLIGHT, origin: "https://evil.example" };
        const answer = await app.ask("OPTIONS /api/entities/Order", { headers });
        assert.equal(answer.headers.get("access-control-allow-origin"), null);
      });
    }
  });

  it("does not run the action that it asks about; an OPTIONS request of another kind does", async () => {
    let runs = 0;
    const hook = action({
      args: {},
      handler: (ctx) => {
        runs += 1;
        return Promise.resolve(ctx.request?.method ?? null);
      },
    });
    await withApp({ mode: "dev", functions: { hook } }, async (app) => {
      const preflight = await app.ask("OPTIONS /api/webhooks/hook", { headers: PREFLIGHT });
      assert.deepEqual([preflight.status, runs], [204, 0]);
      const validation = await app.ask("OPTIONS /api/webhooks/hook", { headers: { "webhook-request-origin": "x" } });
      assert.deepEqual([validation.status, validation.text, runs], [200, '"OPTIONS"', 1]);
    });
  });
});

describe("an answer to another origin", () => {
  it("can be read with its request id, its Retry-After and its tag, errors included", async () => {
    await withApp(SERVE, async (app) => {
      for (const target of ["GET /health", "GET /nothing", "GET /api/entities/Order", "POST /api/entities/Order"]) {
        const answer = await app.ask(target, { headers: { origin: ORIGIN } });
        assert.equal(answer.headers.get("access-control-allow-origin"), ORIGIN, target);
        const exposed = (answer.headers.get("access-control-expose-headers") ?? "").split(", ");
        for (const name of ["X-Request-Id", "ETag", "Retry-After", "Idempotency-Replayed"]) {
          assert.ok(exposed.includes(name), name);
        }
      }
    });
  });
});
