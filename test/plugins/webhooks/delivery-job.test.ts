// Attempts and what follows: when a delivery is tried again, when it is given up, and what is left of it then.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { hangingBody, platformError } from "../../net/fake-dialer.ts";
import { START, type TestApp, withApp } from "../app-harness.ts";
import { bodyOf, deadLetters, HOOK_URL, listDeliveries, status, theDelivery, webhooks } from "./deliveries.ts";

/** Milliseconds from the write to each attempt. */
function attemptTimes(app: TestApp): number[] {
  return app.sent.map(({ at }) => at - START);
}

function assertBetween(actual: number | undefined, low: number, high: number): void {
  assert.ok(actual !== undefined && actual >= low && actual <= high, `${actual} is not in [${low}, ${high}]`);
}

describe("a delivery that fails", () => {
  it("is tried on the seed's schedule with the same bytes and id, and then is dead", async () => {
    const retry = { max_attempts: 5, backoff_secs: 30 };
    const plugins = [webhooks({ secret_env: "SECRET", retry })];
    await withApp({ plugins, env: { SECRET: "s3cret" } }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      await app.advance(3_600_000);
      const times = attemptTimes(app);
      assert.equal(times.length, 5);
      for (const [index, base] of [30_000, 60_000, 120_000, 240_000].entries()) {
        const gap = (times[index + 1] ?? 0) - (times[index] ?? 0);
        // Up to 10 ms of virtual time pass while outcomes wait for company.
        assertBetween(gap, base, base * 1.1 + 10);
      }
      assert.equal(new Set(app.sent.map(({ body }) => body)).size, 1);
      assert.equal(new Set(app.sent.map(({ headers }) => headers["x-pylon-signature"])).size, 1);
      const delivery = await theDelivery(app);
      assert.deepEqual([delivery.status, delivery.attempts, delivery.lastStatus], ["dead", 5, 500]);
      assert.equal(delivery.nextAttemptAt, null);
    });
  });

  it("leaves a dead letter with exactly the contract's fields", async () => {
    const plugins = [webhooks({ name: "orders", retry: { max_attempts: 2, backoff_secs: 1 } })];
    await withApp({ plugins }, async (app) => {
      app.respond = status(404);
      const row = await app.insert("Order", { total: 7, meta: { deep: [1] } });
      await app.advance(10_000);
      const [letter, ...more] = await deadLetters(app);
      assert.deepEqual(more, []);
      const { id, failedAt, ...rest } = letter ?? {};
      assert.equal(typeof id, "string");
      assertBetween(Date.parse(String(failedAt)), START + 1_000, START + 1_200);
      assert.deepEqual(rest, {
        deliveryId: bodyOf(app.sent[0]).delivery_id,
        hook: "orders",
        url: HOOK_URL,
        entity: "Order",
        rowId: row.id,
        event: "insert",
        payload: bodyOf(app.sent[0]),
        attempts: 2,
        lastStatus: 404,
        lastError: "HTTP 404",
        status: "dead",
        createdAt: new Date(START).toISOString(),
      });
    });
  });

  it("leaves a dead letter even when the row is nested as deep as a field may be", async () => {
    const plugins = [webhooks({ retry: { max_attempts: 1 } })];
    await withApp({ plugins }, async (app) => {
      app.respond = status(500);
      let meta: unknown = 1;
      for (let depth = 0; depth < 64; depth++) meta = [meta];
      await app.insert("Order", { total: 1, meta });
      await app.advance(120_000);
      assert.equal(app.sent.length, 1);
      assert.equal((await theDelivery(app)).status, "dead");
      const [letter] = await deadLetters(app);
      assert.equal(letter?.["payload"], app.sent[0]?.body);
      assert.deepEqual(
        app.logged.filter(({ level }) => level === "error"),
        [],
      );
    });
  });

  it("is not an entity that anyone else can write or read", async () => {
    await withApp({ plugins: [webhooks({})] }, async (app) => {
      const written = await app.ask("POST /api/entities/WebhookDelivery", { token: "admin", json: {} });
      assert.equal(written.code, "READ_ONLY");
      const read = await app.ask("GET /api/entities/WebhookDelivery");
      assert.equal(read.status, 401);
    });
  });

  it("succeeds on a later attempt when the receiver has recovered", async () => {
    await withApp({ plugins: [webhooks({ retry: { backoff_secs: 0.25 } })] }, async (app) => {
      let failures = 2;
      app.respond = () => new Response(null, { status: failures-- > 0 ? 500 : 204 });
      await app.insert("Order", { total: 1 });
      await app.advance(5_000);
      const [first = 0, second = 0, third = 0, ...more] = attemptTimes(app);
      assert.deepEqual(more, []);
      assertBetween(second - first, 250, 285);
      assertBetween(third - second, 500, 560);
      const delivery = await theDelivery(app);
      assert.deepEqual(
        [delivery.status, delivery.attempts, delivery.lastStatus, delivery.lastError],
        ["succeeded", 3, 204, null],
      );
      assert.deepEqual(await deadLetters(app), []);
    });
  });
});

describe("Retry-After", () => {
  const cases = [
    { name: "seconds on 503", code: 503, value: "120", low: 120_000, high: 120_010 },
    { name: "a date on 429", code: 429, value: new Date(START + 90_000).toUTCString(), low: 89_000, high: 90_010 },
    { name: "less than the backoff", code: 503, value: "1", low: 10_000, high: 11_010 },
    { name: "more than a day", code: 429, value: "999999", low: 86_400_000, high: 86_400_010 },
    { name: "on another status", code: 500, value: "120", low: 10_000, high: 11_010 },
  ];
  for (const { name, code, value, low, high } of cases) {
    it(name, async () => {
      await withApp({ plugins: [webhooks({ retry: { backoff_secs: 10 } })] }, async (app) => {
        app.respond = status(code, { "retry-after": value });
        await app.insert("Order", { total: 1 });
        await app.rest();
        const { nextAttemptAt, status: state } = await theDelivery(app);
        assert.equal(state, "failed");
        assertBetween(Date.parse(String(nextAttemptAt)) - START, low, high);
      });
    });
  }
});

describe("a receiver that asked for time", () => {
  it("is left alone until then, and gets the same bytes after it", async () => {
    await withApp({ plugins: [webhooks({ retry: { backoff_secs: 10 } })] }, async (app) => {
      app.respond = status(503, { "retry-after": "120" });
      await app.insert("Order", { total: 1 });
      await app.rest();
      app.respond = status(200);
      await app.advance(119_900);
      assert.equal(app.sent.length, 1);
      await app.advance(200);
      assert.equal(app.sent.length, 2);
      assert.equal(app.sent[1]?.body, app.sent[0]?.body);
      assert.equal((await theDelivery(app)).status, "succeeded");
    });
  });
});

describe("an answer that is cut off", () => {
  it("delivers when its status is 2xx, and counts as a failure of its status otherwise", async () => {
    await withApp({ plugins: [webhooks({ retry: { backoff_secs: 10 } })] }, async (app) => {
      const cut = (code: number) => (): Response => {
        const pull = (controller: ReadableStreamDefaultController): void =>
          controller.error(platformError("ECONNRESET"));
        return new Response(new ReadableStream({ pull }), { status: code, headers: { "retry-after": "120" } });
      };
      app.respond = cut(503);
      await app.insert("Order", { total: 1 });
      await app.rest();
      const failed = await theDelivery(app);
      assert.deepEqual([failed.status, failed.lastStatus, failed.lastError], ["failed", 503, "HTTP 503"]);
      assertBetween(Date.parse(String(failed.nextAttemptAt)) - START, 120_000, 120_010);
      app.respond = cut(200);
      await app.advance(120_100);
      const { status: state, lastStatus } = await theDelivery(app);
      assert.deepEqual([state, lastStatus, app.sent.length], ["succeeded", 200, 2]);
    });
  });

  it("delivers when its status is 2xx and the body is not over after 15 s", async () => {
    await withApp({ plugins: [webhooks({})] }, async (app) => {
      app.respond = () => new Response(hangingBody("x").body, { status: 202 });
      await app.insert("Order", { total: 1 });
      await app.advance(15_000);
      const { status: state, lastStatus, attempts } = await theDelivery(app);
      assert.deepEqual([state, lastStatus, attempts], ["succeeded", 202, 1]);
    });
  });
});

describe("what counts as a failure", () => {
  it("a redirect, which is not followed", async () => {
    await withApp({ plugins: [webhooks({ retry: { max_attempts: 1 } })] }, async (app) => {
      app.respond = status(302, { location: "https://elsewhere.example.com/" });
      await app.insert("Order", { total: 1 });
      await app.rest();
      assert.deepEqual(
        app.sent.map(({ url }) => url),
        [HOOK_URL],
      );
      const delivery = await theDelivery(app);
      assert.deepEqual([delivery.status, delivery.lastStatus, delivery.lastError], ["dead", 302, "HTTP 302"]);
    });
  });

  it("a connection that is refused, whose reason names neither the URL nor its secrets", async () => {
    const plugins = [webhooks({ url: "https://hooks.example.com/?token=hidden", retry: { max_attempts: 2 } })];
    await withApp({ plugins }, async (app) => {
      app.respond = () => platformError("ECONNREFUSED");
      await app.insert("Order", { total: 1 });
      await app.rest();
      const { status: state, lastError, lastStatus } = await theDelivery(app);
      assert.deepEqual([state, lastStatus], ["failed", null]);
      assert.match(String(lastError), /^NET_CONNECT: /);
      assert.ok(!String(lastError).includes("hidden"));
    });
  });

  it("a receiver that does not answer within 15 s", async () => {
    await withApp({ plugins: [webhooks({ retry: { max_attempts: 1 } })] }, async (app) => {
      app.respond = () => new Promise(() => undefined);
      await app.insert("Order", { total: 1 });
      await app.advance(14_900);
      assert.equal((await theDelivery(app)).status, "pending");
      await app.advance(200);
      const { status: state, lastError } = await theDelivery(app);
      assert.equal(state, "dead");
      assert.match(String(lastError), /^NET_TIMEOUT: /);
    });
  });
});

describe("a target that the guard refuses", () => {
  it("is dead at once when the URL is an address", async () => {
    await withApp({ plugins: [webhooks({ url: "http://169.254.169.254/latest/meta-data" })] }, async (app) => {
      await app.insert("Order", { total: 1 });
      await app.rest();
      assert.deepEqual(app.sent, []);
      const { status: state, attempts, lastError } = await theDelivery(app);
      assert.deepEqual([state, attempts], ["dead", 1]);
      assert.match(String(lastError), /^NET_BLOCKED: /);
      assert.equal((await deadLetters(app)).length, 1);
    });
  });

  it("is tried again when it is a name, for a name may come to mean something else", async () => {
    const names: Record<string, readonly string[]> = { "hooks.example.com": ["10.0.0.5"] };
    await withApp({ plugins: [webhooks({ retry: { backoff_secs: 60 } })], names }, async (app) => {
      await app.insert("Order", { total: 1 });
      await app.rest();
      assert.deepEqual(app.sent, []);
      const { status: state, lastError } = await theDelivery(app);
      assert.equal(state, "failed");
      assert.match(String(lastError), /^NET_BLOCKED: /);
      names["hooks.example.com"] = ["93.184.216.34"];
      await app.advance(70_000);
      assert.equal((await theDelivery(app)).status, "succeeded");
    });
  });
});

describe("deliveries of one row", () => {
  it("wait for the one before while it fails, and then go in commit order; other rows do not wait", async () => {
    const plugins = [webhooks({ events: ["insert", "update", "delete"], retry: { backoff_secs: 1 } })];
    await withApp({ plugins }, async (app) => {
      let failures = 2;
      const { id: stuck } = await app.insert("Order", { total: 0 });
      app.respond = (sent) => {
        const fails = bodyOf(sent).row_id === stuck && failures-- > 0;
        return new Response(null, { status: fails ? 500 : 200 });
      };
      for (const total of [1, 2]) {
        await app.ask(`PATCH /api/entities/Order/${stuck}`, { token: "admin", json: { total } });
      }
      const { id: other } = await app.insert("Order", { total: 10 });
      await app.rest();
      assert.deepEqual(
        app.sent.map((sent) => [bodyOf(sent).row_id === other, bodyOf(sent).data["total"]]),
        [
          [false, 0],
          [true, 10],
        ],
      );
      await app.ask(`DELETE /api/entities/Order/${stuck}`, { token: "admin" });
      await app.advance(10_000);
      const answered = app.sent.map(bodyOf).filter(({ row_id: rowId }) => rowId === stuck);
      assert.deepEqual(
        answered.map(({ event, data }) => `${event} ${String(data["total"])}`),
        ["insert 0", "insert 0", "insert 0", "update 1", "update 2", "delete 2"],
      );
    });
  });

  it("go on when the one before is given up", async () => {
    const plugins = [webhooks({ events: ["insert", "update"], retry: { max_attempts: 2, backoff_secs: 1 } })];
    await withApp({ plugins }, async (app) => {
      app.respond = (sent) => new Response(null, { status: bodyOf(sent).event === "insert" ? 500 : 200 });
      const { id } = await app.insert("Order", { total: 0 });
      await app.ask(`PATCH /api/entities/Order/${id}`, { token: "admin", json: { total: 1 } });
      await app.advance(10_000);
      assert.equal(app.sent.map((sent) => bodyOf(sent).event).join(), "insert,insert,update");
      const { data } = await listDeliveries(app);
      assert.equal(data.map((delivery) => delivery.status).join(), "succeeded,dead");
    });
  });

  it("to one hook do not wait for those to another", async () => {
    const plugins = [webhooks({ name: "slow" }, { name: "fast", url: "https://fast.example.com/" })];
    await withApp({ plugins }, async (app) => {
      app.respond = ({ url }) => (url === HOOK_URL ? new Promise(() => undefined) : new Response(null));
      for (let total = 0; total < 20; total++) await app.insert("Order", { total });
      await app.rest();
      assert.equal(app.sent.filter(({ url }) => url !== HOOK_URL).length, 20);
    });
  });
});
