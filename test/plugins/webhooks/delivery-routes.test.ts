// The administrator's view: what is listed under which status, page by page, and what sending again does.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { START, type TestApp, withApp } from "../app-harness.ts";
import {
  bodyOf,
  deadLetters,
  type Delivery,
  HOOK_URL,
  listDeliveries,
  status,
  theDelivery,
  webhooks,
} from "./deliveries.ts";

const ONCE = [webhooks({ name: "orders", retry: { max_attempts: 1 } })];
const LIST = "GET /api/admin/deliveries";

async function ids(app: TestApp, query: string): Promise<string> {
  const { data } = await listDeliveries(app, query);
  return data.map(({ rowId }) => rowId).join();
}

describe("the list of deliveries", () => {
  it("shows exactly the contract's fields", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      const row = await app.insert("Order", { total: 1 });
      await app.rest();
      const { data, next_cursor: next } = await listDeliveries(app);
      assert.equal(next, null);
      assert.deepEqual(data, [
        {
          deliveryId: bodyOf(app.sent[0]).delivery_id,
          hook: "orders",
          url: HOOK_URL,
          entity: "Order",
          rowId: row.id,
          event: "insert",
          status: "succeeded",
          attempts: 1,
          lastStatus: 200,
          lastError: null,
          nextAttemptAt: null,
          createdAt: new Date(START).toISOString(),
        },
      ]);
    });
  });

  it("finds each under its status and no other, also while an attempt is under way", async () => {
    const hanging = (): Promise<Response> => new Promise(() => undefined);
    const plugins = [webhooks({ events: ["insert", "update"], retry: { max_attempts: 3, backoff_secs: 1 } })];
    await withApp({ plugins }, async (app) => {
      const rows: Record<string, string> = {};
      const behaviours: Record<string, () => Response | Promise<Response>> = {
        succeeded: status(200),
        dead: status(500),
        retrying: status(500),
        "second attempt": status(500),
        "first attempt": hanging,
      };
      app.respond = (sent) => {
        const { note } = bodyOf(sent).data;
        return behaviours[String(note)]?.() ?? new Response(null);
      };
      const add = async (note: string): Promise<void> => {
        rows[note] = (await app.insert("Order", { total: 1, note })).id;
        await app.rest();
      };
      await add("succeeded");
      await add("dead");
      await app.advance(10_000);
      await add("second attempt");
      behaviours["second attempt"] = hanging;
      await app.advance(1_200);
      await add("retrying");
      await add("first attempt");
      // Behind one whose first attempt is under way, so it waits.
      const blocked = `/api/entities/Order/${rows["first attempt"]}`;
      await app.ask(`PATCH ${blocked}`, { token: "admin", json: { total: 2 } });
      assert.equal(await ids(app, "?status=succeeded"), rows["succeeded"]);
      assert.equal(await ids(app, "?status=dead"), rows["dead"]);
      assert.equal(await ids(app, "?status=failed"), `${rows["retrying"]},${rows["second attempt"]}`);
      assert.equal(await ids(app, "?status=pending"), `${rows["first attempt"]},${rows["first attempt"]}`);
      assert.equal((await listDeliveries(app)).data.length, 6);
      for (const name of ["succeeded", "dead", "failed", "pending"]) {
        const { data } = await listDeliveries(app, `?status=${name}`);
        assert.ok(data.every((delivery) => delivery.status === name));
        assert.ok(data.every(({ nextAttemptAt }) => (nextAttemptAt === null) === /succeeded|dead/.test(name)));
      }
    });
  });

  it("finds the few of a status behind many of another", async () => {
    const plugins = [webhooks({ retry: { backoff_secs: 3_600 } })];
    await withApp({ plugins, started: false }, async (app) => {
      const rows: string[] = [];
      const add = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) rows.unshift((await app.insert("Order", { total: i })).id);
      };
      app.respond = status(500);
      await add(3);
      await app.restart({ started: true });
      await app.rest();
      await app.restart({ started: false });
      await add(30);
      const failed = await listDeliveries(app, "?status=failed&limit=2");
      assert.equal(failed.data.map(({ rowId }) => rowId).join(), rows.slice(30, 32).join());
      const last = await listDeliveries(app, `?status=failed&limit=2&cursor=${failed.next_cursor}`);
      assert.deepEqual([last.data.map(({ rowId }) => rowId).join(), last.next_cursor], [rows[32], null]);
      assert.equal(await ids(app, "?status=pending&limit=200"), rows.slice(0, 30).join());
    });
  });

  for (const filter of ["", "&status=succeeded"]) {
    it(`pages newest first, without gap or repetition while more are added${filter}`, async () => {
      await withApp({ plugins: ONCE }, async (app) => {
        const rows: string[] = [];
        const add = async (): Promise<void> => {
          rows.unshift((await app.insert("Order", { total: rows.length })).id);
        };
        for (let count = 0; count < 7; count++) await add();
        await app.rest();
        const expected = rows.join();
        const seen: string[] = [];
        let cursor: string | null = "";
        while (cursor !== null) {
          const query: string = `?limit=3${filter}${cursor === "" ? "" : `&cursor=${cursor}`}`;
          const page = await listDeliveries(app, query);
          assert.ok(page.data.length <= 3);
          seen.push(...page.data.map(({ rowId }) => rowId));
          cursor = page.next_cursor;
          await add();
          await app.rest();
        }
        assert.equal(seen.join(), expected);
      });
    });
  }

  it("has no next page when the last row ends it", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      for (let total = 0; total < 4; total++) await app.insert("Order", { total });
      const first = await listDeliveries(app, "?limit=2");
      const second = await listDeliveries(app, `?limit=2&cursor=${first.next_cursor}`);
      assert.equal(second.data.length, 2);
      assert.equal(second.next_cursor, null);
    });
  });

  it("refuses what it does not understand", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      for (const query of ["status=lost", "limit=0", "limit=201", "state=dead", "status=dead&status=dead"]) {
        const answer = await app.ask(`${LIST}?${query}`, { token: "admin" });
        assert.equal(answer.code, "VALIDATION_FAILED", query);
        assert.equal(answer.status, 400);
      }
      for (const cursor of ["", "x", "0", "-1", "1.5", "1e3", "9".repeat(16), "9".repeat(400)]) {
        const answer = await app.ask(`${LIST}?cursor=${cursor}`, { token: "admin" });
        assert.deepEqual([answer.status, answer.code], [400, "INVALID_CURSOR"], cursor);
      }
    });
  });
});

describe("one delivery", () => {
  it("has its payload and every attempt in order", async () => {
    await withApp({ plugins: [webhooks({ retry: { max_attempts: 3, backoff_secs: 1 } })] }, async (app) => {
      const answers = [503, 404, 200];
      app.respond = () => new Response(null, { status: answers.shift() ?? 500 });
      await app.insert("Order", { total: 1 });
      await app.advance(10_000);
      const { deliveryId } = await theDelivery(app);
      const answer = await app.ask(`GET /api/admin/deliveries/${deliveryId}`, { token: "admin" });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.json["payload"], bodyOf(app.sent[0]));
      const log = answer.json["attempts_log"] as Record<string, unknown>[];
      assert.deepEqual(
        log.map(({ attempt, ok, status: code, error }) => [attempt, ok, code, error]),
        [
          [1, false, 503, "HTTP 503"],
          [2, false, 404, "HTTP 404"],
          [3, true, 200, null],
        ],
      );
      assert.deepEqual(
        log.map(({ startedAt }) => Date.parse(String(startedAt))),
        app.sent.map(({ at }) => at),
      );
      assert.ok(log.every(({ durationMs }) => Number.isInteger(durationMs)));
    });
  });

  it("is 404 when there is none, also for a job of another kind", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      const job = { id: "fn_1", kind: "function", lane: "function", payload: "{}", dueAt: 9e14, createdAt: 0 };
      await app.store.write((tx) => tx.enqueueJob(job));
      for (const id of ["wh_0", "fn_1", "%20", "a%2Fb"]) {
        assert.equal((await app.ask(`${LIST}/${id}`, { token: "admin" })).code, "NOT_FOUND", id);
        const retry = await app.ask(`POST /api/admin/deliveries/${id}/retry`, { token: "admin" });
        assert.deepEqual([retry.status, retry.code], [404, "NOT_FOUND"], id);
      }
    });
  });
});

describe("sending again", () => {
  async function retry(
    app: TestApp,
    { deliveryId }: Delivery,
  ): Promise<{ status: number; code: unknown; json: unknown }> {
    return app.ask(`POST /api/admin/deliveries/${deliveryId}/retry`, { token: "admin" });
  }

  it("delivers a dead one with the same bytes, and its dead letter is gone", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      await app.rest();
      const dead = await theDelivery(app);
      assert.equal((await deadLetters(app)).length, 1);
      app.respond = status(200);
      const answer = await retry(app, dead);
      assert.equal(answer.status, 202);
      assert.deepEqual(answer.json, { deliveryId: dead.deliveryId, status: "pending" });
      assert.deepEqual(await deadLetters(app), []);
      await app.rest();
      assert.equal(app.sent.length, 2);
      assert.equal(app.sent[1]?.body, app.sent[0]?.body);
      const again = await theDelivery(app);
      assert.deepEqual([again.deliveryId, again.status, again.attempts], [dead.deliveryId, "succeeded", 1]);
    });
  });

  it("starts the schedule anew, and one that fails again is dead again with one letter", async () => {
    await withApp({ plugins: [webhooks({ retry: { max_attempts: 2, backoff_secs: 1 } })] }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      for (let round = 1; round <= 3; round++) {
        await app.advance(5_000);
        assert.equal(app.sent.length, 2 * round);
        const delivery = await theDelivery(app);
        assert.deepEqual([delivery.status, delivery.attempts], ["dead", 2]);
        assert.equal((await deadLetters(app)).length, 1);
        assert.equal((await retry(app, delivery)).status, 202);
      }
      const { deliveryId } = await theDelivery(app);
      const { json } = await app.ask(`${LIST}/${deliveryId}`, { token: "admin" });
      assert.equal((json["attempts_log"] as unknown[]).length, 6);
    });
  });

  it("sends one that succeeded as well", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      await app.insert("Order", { total: 1 });
      await app.rest();
      assert.equal((await retry(app, await theDelivery(app))).status, 202);
      await app.rest();
      assert.equal(app.sent.length, 2);
      assert.equal(app.sent[1]?.body, app.sent[0]?.body);
    });
  });

  it("refuses one that is not finished, and says when it is tried", async () => {
    await withApp({ plugins: [webhooks({})] }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      const untried = await retry(app, await theDelivery(app));
      assert.deepEqual([untried.status, untried.code], [409, "DELIVERY_PENDING"]);
      await app.rest();
      const failed = await theDelivery(app);
      assert.equal(failed.status, "failed");
      const answer = await app.ask(`POST /api/admin/deliveries/${failed.deliveryId}/retry`, { token: "admin" });
      assert.deepEqual([answer.status, answer.code], [409, "DELIVERY_PENDING"]);
      assert.ok(answer.text.includes(String(failed.nextAttemptAt)));
      await app.rest();
      assert.equal(app.sent.length, 1);
    });
  });

  it("happens once when it is asked for twice at the same time", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      await app.rest();
      const dead = await theDelivery(app);
      app.respond = status(200);
      const answers = await Promise.all(Array.from({ length: 5 }, () => retry(app, dead)));
      assert.deepEqual(
        answers.map((answer) => answer.status).sort((a, b) => a - b),
        [202, 409, 409, 409, 409],
      );
      await app.rest();
      assert.equal(app.sent.length, 2);
    });
  });

  it("waits for what its row has under way since", async () => {
    await withApp(
      { plugins: [webhooks({ events: ["insert", "update"], retry: { max_attempts: 1 } })] },
      async (app) => {
        app.respond = (sent) => {
          const { event } = bodyOf(sent);
          return event === "insert" ? new Response(null, { status: 500 }) : new Promise(() => undefined);
        };
        const { id } = await app.insert("Order", { total: 1 });
        await app.rest();
        const dead = await theDelivery(app);
        await app.ask(`PATCH /api/entities/Order/${id}`, { token: "admin", json: { total: 2 } });
        await app.rest();
        assert.equal(app.sent.length, 2);
        assert.equal((await retry(app, dead)).status, 202);
        await app.rest();
        assert.equal(app.sent.length, 2);
        app.respond = status(200);
        await app.advance(15_100);
        assert.equal(app.sent.map((sent) => bodyOf(sent).event).join(), "insert,update,insert");
      },
    );
  });
});

describe("who may look", () => {
  it("the administrator alone: 401 for nobody, 403 for somebody", async () => {
    await withApp({ plugins: ONCE }, async (app) => {
      const session = await app.ask("POST /api/auth/session", { token: "admin", json: { user_id: "u1" } });
      const token = String(session.json["token"]);
      for (const target of [LIST, `${LIST}/wh_1`, "POST /api/admin/deliveries/wh_1/retry"]) {
        assert.deepEqual([(await app.ask(target)).status, (await app.ask(target)).code], [401, "AUTH_REQUIRED"]);
        const answer = await app.ask(target, { token });
        assert.deepEqual([answer.status, answer.code], [403, "ADMIN_ONLY"]);
        assert.equal((await app.ask(target, { token: "nonsense" })).code, "INVALID_TOKEN");
      }
    });
  });
});
