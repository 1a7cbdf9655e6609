// Deliveries over real connections: what a receiver on this machine gets, byte for byte, and what a hook that hangs does to
// another one.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { describe, it } from "node:test";

import { createSystemClock } from "../../../src/core/clock.ts";
import { createDenoDialer } from "../../../src/platform/dial-deno.ts";
import { listenHttp, readText } from "../../net/loopback-server.ts";
import { type AppOptions, type TestApp, withApp } from "../app-harness.ts";
import { type DeliveryBody, type HookInput, listDeliveries, theDelivery, webhooks } from "./deliveries.ts";

const PATIENCE_MS = 10_000;

/** Waits until `holds`; a delivery that does not come fails the test. */
async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `${what}: not within ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** An instance with real time and real connections. */
function withNetwork(hooks: readonly HookInput[], run: (app: TestApp) => Promise<void>): Promise<void> {
  const guard = { name: "net_guard", config: { allow_hosts: ["127.0.0.1"] } };
  const options: AppOptions = {
    plugins: [webhooks(...hooks), guard],
    env: { WEBHOOK_SECRET: "s3cret-ключ" },
    clock: createSystemClock(),
    dialer: createDenoDialer(),
  };
  return withApp(options, run);
}

interface Arrival {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe("a receiver on this machine", () => {
  it("gets the bytes that were signed, with their length and type", async () => {
    const arrivals: Arrival[] = [];
    await using server = await listenHttp(async (request, response) => {
      const { method, url, headers } = request;
      arrivals.push({ method, url, headers, body: await readText(request) });
      response.end();
    });
    const url = `http://127.0.0.1:${server.port}/order-changed?a=%2F`;
    await withNetwork([{ url, secret_env: "WEBHOOK_SECRET", headers: { "X-Team": "a, b" } }], async (app) => {
      await app.insert("Order", { total: 5, note: "☃ 日本" });
      await until(() => arrivals.length === 1, "the delivery");
      const [arrival] = arrivals;
      assert.ok(arrival);
      assert.deepEqual([arrival.method, arrival.url], ["POST", "/order-changed?a=%2F"]);
      assert.equal(arrival.headers["content-type"], "application/json");
      assert.equal(arrival.headers["content-length"], String(new TextEncoder().encode(arrival.body).length));
      assert.equal(arrival.headers["x-team"], "a, b");
      const expected = createHmac("sha256", "s3cret-ключ").update(arrival.body).digest("hex");
      assert.equal(arrival.headers["x-pylon-signature"], `sha256=${expected}`);
      assert.equal((JSON.parse(arrival.body) as DeliveryBody).data["note"], "☃ 日本");
      await until(async () => (await theDelivery(app)).status === "succeeded", "its end");
    });
  });

  it("gets a delivery once, however long its answer is", async () => {
    let arrivals = 0;
    await using server = await listenHttp((request, response) => {
      arrivals += 1;
      request.resume();
      response.end("x".repeat(200_000));
    });
    await withNetwork([{ url: `http://127.0.0.1:${server.port}/` }], async (app) => {
      await app.insert("Order", { total: 1 });
      await until(async () => (await theDelivery(app)).status === "succeeded", "its end");
      assert.equal(arrivals, 1);
    });
  });

  it("is not asked for a second place by a redirect", async () => {
    const asked: (string | undefined)[] = [];
    await using server = await listenHttp((request, response) => {
      asked.push(request.url);
      response.writeHead(307, { location: "/second" }).end();
    });
    await withNetwork([{ url: `http://127.0.0.1:${server.port}/first`, retry: { max_attempts: 1 } }], async (app) => {
      await app.insert("Order", { total: 1 });
      await until(async () => (await theDelivery(app)).status === "dead", "its end");
      assert.deepEqual(asked, ["/first"]);
      assert.equal((await theDelivery(app)).lastStatus, 307);
    });
  });

  it("that hangs does not delay another hook, even with more waiting than it may have at once", async () => {
    await using hanging = await listenHttp((request) => void request.resume());
    let arrivals = 0;
    await using fast = await listenHttp((request, response) => {
      arrivals += 1;
      request.resume();
      response.end();
    });
    const hooks = [
      { name: "hanging", url: `http://127.0.0.1:${hanging.port}/` },
      { name: "fast", url: `http://127.0.0.1:${fast.port}/` },
    ];
    await withNetwork(hooks, async (app) => {
      const startedAt = Date.now();
      for (let total = 0; total < 150; total++) await app.insert("Order", { total });
      await until(() => arrivals === 150, "all of the fast hook");
      assert.ok(Date.now() - startedAt < 9_000);
      const { data } = await listDeliveries(app, "?limit=200&status=succeeded");
      assert.ok(data.every(({ hook }) => hook === "fast"));
    });
  });
});
