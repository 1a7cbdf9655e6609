// A write that is sent again with its Idempotency-Key: done once, answered the same, whatever comes between.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";

import { createVirtualClock } from "../../src/core/clock.ts";
import { ANONYMOUS, type Identity } from "../../src/core/identity.ts";
import { createSystemTables } from "../../src/data/migration.ts";
import { action, mutation } from "../../src/functions/define.ts";
import { v } from "../../src/functions/validators.ts";
import { createIdempotency, type IdempotentRequest, idempotencyTable } from "../../src/http/idempotency.ts";
import { definePluginType, type Plugin } from "../../src/plugin/plugin.ts";
import type { RouteAnswer } from "../../src/plugin/route.ts";
import type { Store } from "../../src/store/store.ts";
import { type Answer, type Ask, type TestApp, withApp } from "../plugins/app-harness.ts";
import { customers } from "../plugins/customer-webhooks/customers.ts";
import { webhooks } from "../plugins/webhooks/deliveries.ts";
import { openTempSqlite } from "../store/open-temp-sqlite.ts";

const DAY_MS = 86_400_000;
const CREATE = "POST /api/entities/Order";

function keyed(key: string, ask: Ask): Ask {
  return { token: "admin", ...ask, headers: { ...ask.headers, "idempotency-key": key } };
}

async function countOrders(app: TestApp): Promise<number> {
  return app.store.reader.count("Order", []);
}

function isReplay(answer: Answer): boolean {
  return answer.headers.get("idempotency-replayed") === "true";
}

/** A plugin whose `within` hook fails as long as it is told to: behind the row, inside its transaction. */
function failingPlugin(state: { isFailing: boolean }): Plugin {
  return definePluginType({
    name: "failing",
    config: z.unknown(),
    setup: () => ({
      hooks: {
        within: () => {
          if (state.isFailing) throw new Error("the last thing before the commit");
        },
      },
    }),
  });
}

describe("an Idempotency-Key", () => {
  it("is honoured by every route that writes", async () => {
    const declared = customers();
    const plugins = [
      ...(declared.options.plugins ?? []),
      webhooks({}),
      { name: "feature_flags", config: { flags: { a: { enabled: true } } } },
      { name: "audit_log", config: { entities: ["Order"] } },
    ];
    await withApp({ ...declared.options, plugins }, async (app) => {
      const { json } = await app.ask("GET /api/openapi.json");
      const without: string[] = [];
      for (const [path, operations] of Object.entries(json["paths"] as Record<string, Record<string, unknown>>)) {
        for (const [method, operation] of Object.entries(operations)) {
          if (!/^(?:post|put|patch|delete)$/.test(method) || path.startsWith("/api/webhooks/")) continue;
          if (!JSON.stringify(operation).includes("#/components/parameters/IdempotencyKey"))
            without.push(`${method} ${path}`);
        }
      }
      assert.deepEqual(without.toSorted(), [
        // Whoever signs in again gets another session; the last two only ask.
        "delete /api/auth/session",
        "post /api/auth/magic/send",
        "post /api/auth/magic/verify",
        "post /api/auth/session",
        "post /ofrep/v1/evaluate/flags",
        "post /ofrep/v1/evaluate/flags/{key}",
      ]);
    });
  });

  it("does not keep an answer that holds a secret, and says so", async () => {
    await withApp({}, async (app) => {
      const target = "POST /api/auth/api-keys";
      for (const json of [
        { name: "a", user_id: "usr_1" },
        { name: "b", user_id: "usr_1", roles: ["r"] },
      ]) {
        const first = await app.ask(target, keyed(json.name, { json }));
        assert.equal(first.status, 201, first.text);
        const again = await app.ask(target, keyed(json.name, { json }));
        assert.deepEqual([again.status, again.code], [409, "IDEMPOTENCY_ANSWER_SECRET"]);
        const kept = JSON.stringify(await app.store.reader.find("_pylon_idempotency", { limit: 10 }));
        assert.ok(!kept.includes(String(first.json["key"])));
      }
    });
  });
});

describe("a request that is sent again", () => {
  it("is answered with the first answer, byte for byte, and is not done again", async () => {
    await withApp({ plugins: [webhooks({ events: ["insert", "update", "delete"] })] }, async (app) => {
      const { id } = await app.insert("Order", { total: 1 });
      const row = `/api/entities/Order/${id}`;
      const steps = [{ op: "insert", entity: "Order", data: { total: 9 } }];
      const requests: readonly (readonly [string, Ask, number])[] = [
        [CREATE, { json: { total: 2, note: "é" } }, 201],
        [`PATCH ${row}`, { json: { total: 3 } }, 200],
        ["POST /api/transact", { json: steps }, 200],
        [`DELETE ${row}`, {}, 200],
      ];
      for (const [target, ask, expected] of requests) {
        const first = await app.ask(target, keyed(`key of ${target}`.replaceAll(" ", "-"), ask));
        assert.deepEqual([first.status, isReplay(first)], [expected, false], first.text);
        await app.rest();
        const sent = app.sent.length;
        const again = await app.ask(target, keyed(`key of ${target}`.replaceAll(" ", "-"), ask));
        assert.deepEqual([again.status, again.text, isReplay(again)], [expected, first.text, true], target);
        assert.notEqual(again.headers.get("x-request-id"), first.headers.get("x-request-id"));
        await app.rest();
        assert.equal(app.sent.length, sent, target);
      }
      assert.equal(await countOrders(app), 2);
    });
  });

  it("without a key is done again", async () => {
    await withApp({}, async (app) => {
      const ids = [await app.insert("Order", { total: 1 }), await app.insert("Order", { total: 1 })];
      assert.notEqual(ids[0]?.id, ids[1]?.id);
    });
  });

  it("with another body, path or method is 422, and nothing is written", async () => {
    await withApp({}, async (app) => {
      const { json } = await app.ask(CREATE, keyed("k", { json: { total: 1 } }));
      const row = `/api/entities/Order/${String(json["id"])}`;
      for (const [target, ask] of [
        [CREATE, { json: { total: 2 } }],
        [CREATE, { body: '{"total": 1}', headers: { "content-type": "application/json" } }],
        ["POST /api/entities/Customer", { json: { total: 1 } }],
        [`PATCH ${row}`, { json: { total: 1 } }],
        [`DELETE ${row}`, {}],
      ] as const) {
        const answer = await app.ask(target, keyed("k", ask));
        assert.deepEqual([answer.status, answer.code], [422, "IDEMPOTENCY_MISMATCH"], target);
      }
      assert.equal(await countOrders(app), 1);
    });
  });

  it("twenty times at once is done once, and all are answered the same", async () => {
    await withApp({ plugins: [webhooks({})] }, async (app) => {
      const ask = keyed("k", { json: { total: 1 } });
      const answers = await Promise.all(Array.from({ length: 20 }, () => app.ask(CREATE, ask)));
      assert.deepEqual(
        answers.map(({ status, text }) => `${status} ${text}`),
        answers.map(() => `201 ${answers[0]?.text}`),
      );
      assert.equal(answers.filter((answer) => !isReplay(answer)).length, 1);
      assert.equal(await countOrders(app), 1);
      await app.rest();
      assert.equal(app.sent.length, 1);
    });
  });

  it("twenty times at once with different bodies is done once, and the others are told", async () => {
    await withApp({}, async (app) => {
      const asks = Array.from({ length: 20 }, (_, total) => app.ask(CREATE, keyed("k", { json: { total } })));
      const statuses = (await Promise.all(asks)).map(({ status }) => status);
      assert.deepEqual([statuses.filter((s) => s === 201).length, statuses.filter((s) => s === 422).length], [1, 19]);
      assert.equal(await countOrders(app), 1);
    });
  });

  it("by somebody else is somebody else's request", async () => {
    const policies = [{ name: "p", entity: "Order", allow: "true" }];
    await withApp({ policies }, async (app) => {
      const tokens = ["admin"];
      for (const userId of ["u1", "u2"]) {
        const { json } = await app.ask("POST /api/auth/session", { token: "admin", json: { user_id: userId } });
        tokens.push(String(json["token"]));
      }
      const ids = new Set<unknown>();
      for (const token of tokens) {
        const answer = await app.ask(CREATE, keyed("k", { token, json: { total: 1 } }));
        assert.deepEqual([answer.status, isReplay(answer)], [201, false]);
        ids.add(answer.json["id"]);
      }
      const anonymous = await app.ask(CREATE, { json: { total: 1 }, headers: { "idempotency-key": "k" } });
      assert.deepEqual([anonymous.status, isReplay(anonymous)], [201, false]);
      ids.add(anonymous.json["id"]);
      assert.equal(ids.size, 4);
    });
  });

  it("by one who signed in again is still theirs", async () => {
    const policies = [{ name: "p", entity: "Order", allow: "true" }];
    await withApp({ policies }, async (app) => {
      const replies: Answer[] = [];
      for (let session = 0; session < 2; session++) {
        const { json } = await app.ask("POST /api/auth/session", { token: "admin", json: { user_id: "u1" } });
        replies.push(await app.ask(CREATE, keyed("k", { token: String(json["token"]), json: { total: 1 } })));
      }
      assert.deepEqual(replies.map(isReplay), [false, true]);
    });
  });

  it("is remembered over a restart and for a day, and then is forgotten and swept away", async () => {
    await withApp({}, async (app) => {
      const ask = keyed("k", { json: { total: 1 } });
      const first = await app.ask(CREATE, ask);
      await app.restart();
      app.jump(DAY_MS - 60_000);
      const late = await app.ask(CREATE, ask);
      assert.deepEqual([late.text, isReplay(late)], [first.text, true]);
      await app.ask(CREATE, keyed("other", { json: { total: 1 } }));
      app.jump(61_000);
      const next = await app.ask(CREATE, ask);
      assert.deepEqual([next.status, isReplay(next)], [201, false]);
      assert.notEqual(next.json["id"], first.json["id"]);
      assert.equal(await countOrders(app), 3);
      assert.equal(isReplay(await app.ask(CREATE, ask)), true);
      assert.equal(await app.store.reader.count(idempotencyTable.name, []), 2);
      app.jump(DAY_MS);
      await app.advance(700_000);
      assert.equal(await app.store.reader.count(idempotencyTable.name, []), 0);
    });
  });
});

describe("a request that fails", () => {
  it("is not remembered: its cause may go away", async () => {
    await withApp({}, async (app) => {
      const { id } = await app.insert("Order", { total: 1, ref: "taken" });
      const ask = keyed("k", { json: { total: 2, ref: "taken" } });
      assert.equal((await app.ask(CREATE, ask)).code, "CONFLICT");
      await app.ask(`DELETE /api/entities/Order/${id}`, { token: "admin" });
      const again = await app.ask(CREATE, ask);
      assert.deepEqual([again.status, isReplay(again)], [201, false]);
      assert.equal((await app.ask(CREATE, keyed("k2", { json: { total: "x" } }))).code, "VALIDATION_FAILED");
      assert.equal((await app.ask(CREATE, keyed("k2", { json: { total: 3 } }))).status, 201);
    });
  });

  it("leaves neither row nor memory when it fails last of all, so that the next one does the work", async () => {
    const state = { isFailing: true };
    await withApp({ extra: [failingPlugin(state)], plugins: [{ name: "failing" }] }, async (app) => {
      const ask = keyed("k", { json: { total: 1 } });
      const failed = await app.ask(CREATE, ask);
      assert.deepEqual([failed.status, failed.code], [500, "INTERNAL"]);
      assert.ok(!failed.text.includes("last thing"));
      assert.equal(await countOrders(app), 0);
      assert.equal(await app.store.reader.count(idempotencyTable.name, []), 0);
      state.isFailing = false;
      const done = await app.ask(CREATE, ask);
      assert.deepEqual([done.status, isReplay(done)], [201, false]);
      assert.equal(await countOrders(app), 1);
      assert.equal(await app.store.reader.count(idempotencyTable.name, []), 1);
    });
  });

  it("is refused when its key is none", async () => {
    await withApp({}, async (app) => {
      for (const key of ["", "a b", "k".repeat(256), "é"]) {
        const answer = await app.ask(CREATE, keyed(key, { json: { total: 1 } }));
        assert.deepEqual([answer.status, answer.code], [400, "VALIDATION_FAILED"], key);
      }
      assert.equal((await app.ask(CREATE, keyed("k".repeat(255), { json: { total: 1 } }))).status, 201);
      assert.equal(await countOrders(app), 1);
    });
  });
});

describe("a function that is called again", () => {
  it("takes effect once, also when it is called twenty times at once", async () => {
    const place = mutation({
      args: { total: v.int() },
      handler: async (ctx, args) => ({ id: await ctx.db.insert("Order", { total: args.total }) }),
    });
    await withApp({ functions: { place }, plugins: [webhooks({})] }, async (app) => {
      const ask = keyed("k", { json: { total: 1 } });
      const answers = await Promise.all(Array.from({ length: 20 }, () => app.ask("POST /api/fn/place", ask)));
      assert.deepEqual(
        answers.map(({ status, text }) => `${status} ${text}`),
        answers.map(() => `200 ${answers[0]?.text}`),
      );
      assert.equal(answers.filter((answer) => !isReplay(answer)).length, 1);
      assert.equal(await countOrders(app), 1);
      await app.rest();
      assert.equal(app.sent.length, 1);
    });
  });

  it("runs once at a time when it is an action, which has no transaction to commit its answer in", async () => {
    let runs = 0;
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const slow = action({
      args: {},
      handler: async () => {
        runs += 1;
        await opened;
        return runs;
      },
    });
    await withApp({ functions: { slow } }, async (app) => {
      const ask = keyed("k", { json: {} });
      const first = app.ask("POST /api/fn/slow", ask);
      while (runs === 0) await app.rest();
      const answers = await Promise.all(Array.from({ length: 20 }, () => app.ask("POST /api/fn/slow", ask)));
      for (const answer of answers) {
        assert.deepEqual([answer.status, answer.code], [409, "IDEMPOTENCY_IN_PROGRESS"]);
        assert.equal(answer.headers.get("retry-after"), "1");
      }
      open();
      assert.equal((await first).text, "1");
      const again = await app.ask("POST /api/fn/slow", ask);
      assert.deepEqual([again.text, isReplay(again), runs], ["1", true, 1]);
    });
  });

  it("runs again when it failed", async () => {
    let runs = 0;
    const flaky = mutation({
      args: {},
      handler: (ctx) => {
        runs += 1;
        if (runs === 1) throw ctx.error("NOT_NOW", "Later");
        return Promise.resolve(runs);
      },
    });
    await withApp({ functions: { flaky } }, async (app) => {
      assert.equal((await app.ask("POST /api/fn/flaky", keyed("k", { json: {} }))).code, "NOT_NOW");
      assert.equal((await app.ask("POST /api/fn/flaky", keyed("k", { json: {} }))).text, "2");
    });
  });
});

interface Kept {
  readonly store: Store;
  readonly clock: ReturnType<typeof createVirtualClock>;
  readonly run: (
    handle: (
      receipt: Parameters<Parameters<ReturnType<typeof createIdempotency>["run"]>[1]>[0],
    ) => Promise<RouteAnswer>,
    request?: Partial<IdempotentRequest>,
  ) => Promise<RouteAnswer>;
}

async function withMemory(run: (kept: Kept) => Promise<void>): Promise<void> {
  const { store, cleanup } = await openTempSqlite();
  try {
    await createSystemTables(store, [idempotencyTable]);
    const clock = createVirtualClock();
    const idempotency = createIdempotency({ store, clock, longestMs: 30_000 });
    const request: IdempotentRequest = { key: "k", identity: ANONYMOUS, method: "POST", path: "/x", bodyText: "{}" };
    await run({ store, clock, run: (handle, changes) => idempotency.run({ ...request, ...changes }, handle) });
  } finally {
    await cleanup();
  }
}

const ANSWER: RouteAnswer = { status: 200, json: { done: true } };

describe("a reservation", () => {
  it("that its process left behind is free again after a minute", async () => {
    await withMemory(async ({ clock, run }) => {
      const reserved = Promise.withResolvers<void>();
      void run(async (receipt) => {
        await receipt.reserve();
        reserved.resolve();
        return new Promise<never>(() => undefined);
      });
      await reserved.promise;
      const tryAgain = (): Promise<RouteAnswer> =>
        run(async (receipt) => {
          await receipt.reserve();
          return ANSWER;
        });
      clock.jump(59_000);
      await assert.rejects(tryAgain(), { code: "IDEMPOTENCY_IN_PROGRESS" });
      clock.jump(2_000);
      assert.deepEqual(await tryAgain(), ANSWER);
    });
  });

  it("is given up when its request fails, and the failure is told even if that cannot be written down", async () => {
    await withMemory(async ({ store, run }) => {
      const failing = run(async (receipt) => {
        await receipt.reserve();
        throw new Error("the handler's own");
      });
      await assert.rejects(failing, /the handler's own/);
      assert.equal(await store.reader.count(idempotencyTable.name, []), 0);
      const closing = run(async (receipt) => {
        await receipt.reserve();
        await store.close();
        throw new Error("the handler's own");
      });
      await assert.rejects(closing, /the handler's own/);
    });
  });

  it("remembers answers without a body, and no failure of this side", async () => {
    await withMemory(async ({ run }) => {
      const answer = (given: RouteAnswer) => (): Promise<RouteAnswer> =>
        run(
          async (receipt) => {
            await receipt.reserve();
            return given;
          },
          { key: `k${given.status}` },
        );
      const empty = answer({ status: 204 });
      await empty();
      assert.deepEqual(await empty(), { status: 204, json: undefined, headers: { "idempotency-replayed": "true" } });
      const failure = answer({ status: 503, json: {} });
      await failure();
      assert.equal((await failure()).headers, undefined);
    });
  });
});

describe("a key", () => {
  it("belongs to one caller: kind, user and tenant", async () => {
    await withMemory(async ({ run }) => {
      const callers: readonly Partial<Identity>[] = [
        {},
        { kind: "user", userId: "u1" },
        { kind: "api_key", userId: "u1" },
        { kind: "user", userId: "u2" },
        { kind: "user", userId: "u1", tenantId: "t1" },
        { kind: "admin", isAdmin: true },
      ];
      let runs = 0;
      for (const caller of callers) {
        const handle = async (receipt: { reserve(): Promise<void> }): Promise<RouteAnswer> => {
          await receipt.reserve();
          runs += 1;
          return ANSWER;
        };
        const identity = { ...ANONYMOUS, ...caller };
        await run(handle, { identity });
        await run(handle, { identity });
      }
      assert.equal(runs, callers.length);
    });
  });
});
