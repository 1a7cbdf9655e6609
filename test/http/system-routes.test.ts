// What a process tells operators about itself: alive, ready, its counters, and its OpenAPI document.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { query } from "../../src/functions/define.ts";
import { storeError } from "../../src/store/store-errors.ts";
import { PROBE_TIMEOUT_MS } from "../../src/http/system-routes.ts";
import { ADMIN_TOKEN } from "../auth/auth-harness.ts";
import { codeOf, fieldsOf, withStack } from "./assembled-stack.ts";

const never = (): Promise<void> => new Promise(() => undefined);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("GET /health", () => {
  it("answers the version and whole seconds since the start", () =>
    withStack({}, async (stack) => {
      await stack.clock.advance(61_900);
      const health = await stack.ask("GET /health");
      assert.equal(health.status, 200);
      assert.deepEqual(health.json, { status: "ok", version: "9.8.7", uptime_secs: 61 });
      assert.equal(health.headers.get("cache-control"), "no-store");
      assert.ok(health.headers.get("x-request-id"));
    }));

  it("is about the process, whatever the clock on the wall says", () =>
    withStack({}, async (stack) => {
      stack.clock.jump(-86_400_000);
      assert.equal(fieldsOf(await stack.ask("GET /health"))["uptime_secs"], 0);
    }));
});

describe("GET /readyz", () => {
  it("answers ready when the store answers", () =>
    withStack({}, async (stack) => {
      const ready = await stack.ask("GET /readyz");
      assert.equal(ready.status, 200);
      assert.deepEqual(ready.json, { ready: true });
      assert.equal(stack.clock.pending, 0, "a probe that answered leaves no timer");
    }));

  it("answers 503 once the store is closed", () =>
    withStack({}, async (stack) => {
      await stack.store.close();
      const ready = await stack.ask("GET /readyz");
      assert.equal(ready.status, 503);
      assert.deepEqual(ready.json, { ready: false, reasons: ["store: STORE_CLOSED"] });
    }));

  it("names every reason, and repeats no text that was not meant for strangers", () => {
    const probes = {
      busy: () => Promise.reject(storeError("STORE_BUSY", { message: "hunter2 holds the lock" })),
      driver: () => Promise.reject(new Error("connect postgres://admin:hunter2@10.0.0.1")),
      broken: () => {
        throw new Error("hunter2");
      },
      fine: () => Promise.resolve(),
    };
    return withStack({ system: { probes } }, async (stack) => {
      const ready = await stack.ask("GET /readyz");
      assert.equal(ready.status, 503);
      const { reasons } = fieldsOf(ready);
      assert.deepEqual(reasons, ["busy: STORE_BUSY", "driver: INTERNAL", "broken: INTERNAL"]);
      assert.equal(ready.text.includes("hunter2"), false);
    });
  });

  it("waits two seconds for a probe and no longer", () =>
    withStack({ system: { probes: { stuck: never } } }, async (stack) => {
      let answered = false;
      const asking = stack.ask("GET /readyz").finally(() => {
        answered = true;
      });
      await stack.clock.advance(PROBE_TIMEOUT_MS - 1);
      assert.equal(answered, false);
      await stack.clock.advance(1);
      const ready = await asking;
      assert.equal(ready.status, 503);
      assert.deepEqual(fieldsOf(ready)["reasons"], [`stuck: no answer in ${PROBE_TIMEOUT_MS} ms`]);
    }));

  it("asks once for callers at the same time, and again for the next", async () => {
    const asked: (() => void)[] = [];
    const slow = (): Promise<void> => new Promise((resolve) => asked.push(resolve));
    await withStack({ system: { probes: { slow } } }, async (stack) => {
      const both = Promise.all([stack.ask("GET /readyz"), stack.ask("GET /readyz")]);
      await until(() => asked.length > 0);
      await stack.clock.advance(0);
      asked[0]?.();
      for (const { status } of await both) assert.equal(status, 200);
      assert.equal(asked.length, 1);
      const next = stack.ask("GET /readyz");
      await until(() => asked.length > 1);
      asked[1]?.();
      assert.equal((await next).status, 200);
    });
  });
});

describe("GET /metrics", () => {
  const gauges = [{ name: "pylon_jobs", help: "Jobs", type: "gauge" as const, read: () => ({ 'state="ready"': 3 }) }];

  it("answers Prometheus' text to anyone", () =>
    withStack({ gauges }, async (stack) => {
      await stack.ask("GET /health");
      const metrics = await stack.ask("GET /metrics");
      assert.equal(metrics.status, 200);
      assert.equal(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
      assert.match(metrics.text, /^pylon_http_requests_total\{method="GET",route="\/health",status="200"\} 1$/m);
      assert.match(metrics.text, /^pylon_jobs\{state="ready"\} 3$/m);
      assert.ok(metrics.text.endsWith("\n"));
    }));

  it("can be kept for admins", () =>
    withStack({ system: { metricsAccess: "admin" } }, async (stack) => {
      assert.equal(codeOf(await stack.ask("GET /metrics")), "AUTH_REQUIRED");
      assert.equal((await stack.ask("GET /metrics", { token: ADMIN_TOKEN })).status, 200);
    }));
});

describe("GET /api/openapi.json", () => {
  const system = { appVersion: "1.2.3", publicUrl: "https://shop.example" };

  it("answers the document, which lists itself", () =>
    withStack({ system }, async (stack) => {
      const answer = await stack.ask("GET /api/openapi.json");
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("content-type"), "application/json");
      const { openapi, info, servers, paths } = fieldsOf(answer);
      assert.match(openapi as string, /^3\.1\./);
      assert.deepEqual(info, { title: "shop", version: "1.2.3" });
      assert.deepEqual(servers, [{ url: "https://shop.example" }]);
      for (const path of ["/health", "/readyz", "/metrics", "/api/openapi.json", "/api/auth/me"]) {
        assert.ok(Object.hasOwn(paths as object, path), path);
      }
    }));

  it("follows the functions as they change", () =>
    withStack({ definitions: { before: query({ handler: () => 1 }) } }, async (stack) => {
      const paths = async (): Promise<string[]> => {
        const all = Object.keys(fieldsOf(await stack.ask("GET /api/openapi.json"))["paths"] as object);
        return all.filter((path) => path.startsWith("/api/fn/"));
      };
      assert.deepEqual(await paths(), ["/api/fn/before"]);
      stack.functions.replace(new Map([["after", query({ handler: () => 1 })]]));
      assert.deepEqual(await paths(), ["/api/fn/after"]);
    }));
});
