// What a call of a function does to the data, and what its caller hears of it.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createVirtualClock } from "../../src/core/clock.ts";
import { ADMIN, ANONYMOUS } from "../../src/core/identity.ts";
import { action, type FunctionDefinition, mutation, query } from "../../src/functions/define.ts";
import { v } from "../../src/functions/validators.ts";
import { CALLER, type Harness, type HarnessOptions, openFunctions } from "./functions-harness.ts";

const open: Harness[] = [];

async function start(
  definitions: Readonly<Record<string, FunctionDefinition>>,
  options: HarnessOptions = {},
): Promise<Harness> {
  const harness = await openFunctions(definitions, options);
  open.push(harness);
  return harness;
}

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

/** Resolves when `condition` holds; the test's own time limit ends one that never does. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const insertOrder = mutation({
  args: { total: v.int(), code: v.optional(v.string()) },
  handler: (ctx, args) => ctx.db.insert("Order", args),
});

describe("a query", () => {
  it("reads what is committed and answers JSON", async () => {
    const top = query({
      args: { over: v.int() },
      async handler(ctx, { over }) {
        const rows = await ctx.db.query("Order", { total: { $gt: over }, $order: { total: "desc" } });
        const page = await ctx.db.paginate("Order", { numItems: 1 });
        const found = await ctx.db.lookup("Order", "total", 3);
        return {
          totals: rows.map((row) => row.total),
          first: page.page.length,
          isDone: page.isDone,
          found: found.total,
        };
      },
    });
    const { call } = await start({ insertOrder, top });
    for (const total of [1, 2, 3]) await call("insertOrder", { total });
    assert.deepEqual(await call("top", { over: 1 }), { totals: [3, 2], first: 1, isDone: false, found: 3 });
  });

  it("knows who calls, and the environment", async () => {
    const who = query({
      handler: ({ auth, env }) => ({
        ...auth,
        editor: auth.hasRole("editor"),
        admin: auth.hasRole("admin"),
        key: env.KEY,
      }),
    });
    const { call } = await start({ who }, { env: { KEY: "value" } });
    assert.deepEqual(
      JSON.parse(JSON.stringify(await call("who").catch((error: unknown) => error))).code,
      "FN_RESULT_INVALID",
    );
    const plain = query({
      handler: ({ auth: { hasRole, ...auth }, env }) => ({ ...auth, editor: hasRole("editor"), key: env.KEY }),
    });
    const second = await start({ plain }, { env: { KEY: "value" } });
    assert.deepEqual(await second.call("plain"), {
      userId: "usr_1",
      email: "ada@example.com",
      roles: ["editor"],
      tenantId: "org_1",
      isAdmin: false,
      editor: true,
      key: "value",
    });
    assert.equal(
      ((await second.call("plain", {}, { actor: ADMIN, requestId: null })) as { isAdmin: boolean }).isAdmin,
      true,
    );
  });

  it("offers nothing to write with, not even to a plugin", async () => {
    const peek = query({ handler: (ctx) => Object.keys(ctx.db).toSorted() });
    const harness = await start({
      peek,
      sneak: query({
        handler: () => harness.storage.getStore()?.write((writer) => writer.insert("Note", { text: "x" })),
      }),
    });
    assert.deepEqual(await harness.call("peek"), ["get", "list", "lookup", "paginate", "query"]);
    await assert.rejects(harness.call("sneak"), { code: "FN_READ_ONLY" });
  });
});

describe("a mutation", () => {
  it("commits everything, and answers ids and whether rows existed", async () => {
    const all = mutation({
      async handler({ db }) {
        const id = await db.insert("Order", { total: 1 });
        const updated = [await db.update("Order", id, { total: 2 }), await db.update("Order", "none", { total: 2 })];
        const seen = await db.get("Order", id);
        const gone = await db.insert("Order", { total: 9 });
        return { updated, deleted: [await db.delete("Order", gone), await db.delete("Order", gone)], seen: seen.total };
      },
    });
    const { call, orders } = await start({ all });
    assert.deepEqual(await call("all"), { updated: [true, false], deleted: [true, false], seen: 2 });
    assert.deepEqual(await orders(), [{ total: 2, code: null }]);
  });

  it("rolls back whatever it wrote when it throws", async () => {
    const fail = mutation({
      async handler(ctx) {
        await ctx.db.insert("Order", { total: 1 });
        await ctx.scheduler.runAfter(0, "insertOrder", { total: 2 });
        throw ctx.error("SOLD_OUT", "Nothing is left");
      },
    });
    const { call, orders, store } = await start({ fail, insertOrder });
    await assert.rejects(call("fail"), { code: "SOLD_OUT", status: 400, message: "Nothing is left" });
    assert.deepEqual(await orders(), []);
    assert.deepEqual(await store.reader.listJobs({ kind: "function", states: ["ready"], limit: 10 }), []);
  });

  it("sees no other mutation between its reads and its writes", async () => {
    const increment = mutation({
      args: { id: v.id("Order") },
      async handler(ctx, { id }) {
        const row = await ctx.db.get("Order", id);
        await new Promise((resolve) => setTimeout(resolve, 1));
        await ctx.db.update("Order", id, { total: row.total + 1 });
      },
    });
    const { call, orders } = await start({ insertOrder, increment });
    const id = await call("insertOrder", { total: 0 });
    await Promise.all(Array.from({ length: 20 }, () => call("increment", { id })));
    assert.deepEqual(await orders(), [{ total: 20, code: null }]);
  });

  it("waits for writes that the handler did not await", async () => {
    const careless = mutation({
      handler: (ctx) => {
        for (const total of [1, 2, 3]) void ctx.db.insert("Order", { total });
      },
    });
    const { call, orders } = await start({ careless });
    assert.equal(await call("careless"), null);
    assert.equal((await orders()).length, 3);
  });

  it("goes on after a conflict that the handler caught", async () => {
    const tolerant = mutation({
      async handler(ctx) {
        await ctx.db.insert("Order", { total: 1, code: "a" });
        const conflict = await ctx.db
          .insert("Order", { total: 2, code: "a" })
          .catch((error: { code: string }) => error.code);
        await ctx.db.insert("Order", { total: 3, code: "b" });
        return conflict;
      },
    });
    const { call, orders } = await start({ tolerant });
    assert.equal(await call("tolerant"), "CONFLICT");
    assert.deepEqual(
      (await orders()).map(({ total }) => total),
      [1, 3],
    );
  });

  it("lends its transaction to whoever finds it through the storage", async () => {
    const harness: Harness = await start({
      lend: mutation({
        async handler(ctx) {
          await harness.storage.getStore()?.write((writer) => writer.insert("Note", { text: "with it" }));
          assert.equal((await ctx.db.list("Note")).length, 1);
          throw ctx.error("NO", "no");
        },
      }),
    });
    await assert.rejects(harness.call("lend"), { code: "NO" });
    assert.equal((await harness.data.read({ actor: ADMIN, policies: false, requestId: null }).list("Note")).length, 0);
  });
});

describe("an action", () => {
  it("commits each write by itself, and runs queries and mutations", async () => {
    const count = query({ handler: async (ctx) => (await ctx.db.list("Order")).length });
    const work = action({
      async handler(ctx) {
        const id = await ctx.db.insert("Order", { total: 1 });
        await ctx.db.update("Order", id, { total: 2 });
        const other = await ctx.runMutation("insertOrder", { total: 3 });
        assert.equal(await ctx.db.delete("Order", other), true);
        assert.equal(await ctx.runQuery("count"), 1);
        throw ctx.error("LATE", "too late to undo");
      },
    });
    const { call, orders } = await start({ work, count, insertOrder });
    await assert.rejects(call("work"), { code: "LATE" });
    assert.deepEqual(await orders(), [{ total: 2, code: null }]);
  });

  it("runs nested functions as its caller, and only of the kind it names", async () => {
    const who = query({ handler: ({ auth }) => ({ userId: auth.userId, isAdmin: auth.isAdmin }) });
    const outer = action({
      args: { name: v.string(), as: v.union(v.literal("runQuery"), v.literal("runMutation")) },
      handler: (ctx, { name, as }) => ctx[as](name),
    });
    const { call } = await start({ who, outer, insertOrder });
    const args = { name: "who", as: "runQuery" };
    assert.deepEqual(await call("outer", args), { userId: "usr_1", isAdmin: false });
    assert.deepEqual(await call("outer", args, { actor: ADMIN, requestId: null }), { userId: null, isAdmin: true });
    await assert.rejects(call("outer", { name: "who", as: "runMutation" }), { code: "FN_WRONG_KIND" });
    await assert.rejects(call("outer", { name: "outer", as: "runQuery" }), { code: "FN_WRONG_KIND" });
    await assert.rejects(call("outer", { name: "nope", as: "runQuery" }), { code: "FN_NOT_FOUND" });
    await assert.rejects(call("outer", { name: "insertOrder", as: "runMutation" }), { code: "VALIDATION_FAILED" });
  });

  it("answers a webhook with the request as it came", async () => {
    const hook = action({ handler: ({ request }) => request });
    const { functions } = await start({ hook, insertOrder });
    const request = { method: "POST", path: "/api/webhooks/hook?a=1", headers: { "x-sig": "1" }, rawBody: '{"a": 1}' };
    assert.deepEqual(await functions.callWebhook("hook", request, CALLER), request);
    assert.equal(await functions.call("hook", {}, CALLER), null);
    await assert.rejects(functions.callWebhook("insertOrder", request, CALLER), { code: "NOT_AN_ACTION", status: 400 });
    await assert.rejects(functions.callWebhook("nope", request, CALLER), { code: "FN_NOT_FOUND" });
  });
});

describe("what a caller hears", () => {
  it("the code of an error of the data, with its details", async () => {
    const bad = mutation({ handler: (ctx) => ctx.db.insert("Order", { total: "x" }) });
    const nowhere = query({ handler: (ctx) => ctx.db.list("Nope") });
    const { call, failures } = await start({ bad, nowhere, insertOrder });
    await assert.rejects(call("bad"), (error: { code: string; details: { path: string }[] }) => {
      return error.code === "VALIDATION_FAILED" && error.details[0]?.path === "total";
    });
    await call("insertOrder", { total: 1, code: "a" });
    await assert.rejects(call("insertOrder", { total: 1, code: "a" }), { code: "CONFLICT", status: 409 });
    await assert.rejects(call("nowhere"), { status: 404 });
    assert.deepEqual(failures, []);
  });

  it("nothing of any other error, which the log gets with the request", async () => {
    const secret = "hunter2";
    const thrown = [new Error(secret), secret, Object.assign(new Error(secret), { code: "EVIL", status: 200 }), null];
    for (const reason of thrown) {
      const leak = action({
        handler: () => {
          throw reason;
        },
      });
      const { call, failures, finished } = await start({ leak });
      await assert.rejects(call("leak"), (error: Error & { code: string; status: number }) => {
        assert.deepEqual([error.code, error.status], ["HANDLER_ERROR", 500]);
        assert.ok(!JSON.stringify([error.message, Object.entries(error), error.cause ?? null]).includes(secret));
        return true;
      });
      assert.equal(failures.length, 1);
      assert.deepEqual([failures[0]?.name, failures[0]?.requestId, failures[0]?.error], ["leak", "req_1", reason]);
      assert.deepEqual(
        finished.map(({ code }) => code),
        ["HANDLER_ERROR"],
      );
    }
  });

  it("logs a failure of a nested function once", async () => {
    const inner = query({
      handler: () => {
        throw new Error("inside");
      },
    });
    const outer = action({ handler: (ctx) => ctx.runQuery("inner") });
    const { call, failures } = await start({ inner, outer });
    await assert.rejects(call("outer"), { code: "HANDLER_ERROR" });
    assert.equal(failures.length, 1);
  });

  it("an unknown function, and arguments that do not fit", async () => {
    const { call } = await start({ insertOrder });
    for (const name of ["nope", "", "__proto__", "constructor"]) {
      await assert.rejects(call(name), { code: "FN_NOT_FOUND", status: 404 });
    }
    await assert.rejects(call("insertOrder", { total: 1.5, x: 1 }), (error: { details: { path: string }[] }) => {
      assert.deepEqual(
        error.details.map(({ path }) => path),
        ["x", "total"],
      );
      return true;
    });
    await assert.rejects(call("insertOrder", [1]), { code: "VALIDATION_FAILED", status: 400 });
  });

  it("JSON, whatever the handler returns", async () => {
    const cyclic: { self?: unknown } = {};
    cyclic.self = cyclic;
    const cases: [unknown, unknown][] = [
      [undefined, null],
      [{ a: undefined, b: [undefined] }, { b: [null] }],
      [new Date(0), "1970-01-01T00:00:00.000Z"],
      [2n ** 60n, "1152921504606846976"],
      ["text", "text"],
    ];
    for (const [returned, answered] of cases) {
      const { call } = await start({ fn: query({ handler: () => returned }) });
      assert.deepEqual(await call("fn"), answered);
    }
    for (const returned of [Number.NaN, () => 1, new Map(), Symbol("s"), cyclic, { deep: [{ bad: Infinity }] }]) {
      const { call } = await start({ fn: query({ handler: () => returned }) });
      await assert.rejects(call("fn"), { code: "FN_RESULT_INVALID", status: 500 });
    }
  });

  it("a mutation whose result is not JSON has changed nothing", async () => {
    const odd = mutation({
      async handler(ctx) {
        await ctx.db.insert("Order", { total: 1 });
        return () => 1;
      },
    });
    const { call, orders } = await start({ odd });
    await assert.rejects(call("odd"), { code: "FN_RESULT_INVALID" });
    assert.deepEqual(await orders(), []);
  });

  it("refuses ids and entities that are not text", async () => {
    const loose = query({ handler: (ctx) => ctx.db.get("Order", undefined as never) });
    const { call } = await start({ loose });
    await assert.rejects(call("loose"), { code: "VALIDATION_FAILED" });
  });

  it("ctx.error needs a code, and does nothing unless it is thrown", async () => {
    const calm = query({ handler: (ctx) => ctx.error("NOT_THROWN", "x").code });
    const blank = query({ handler: (ctx) => ctx.error("", "x").code });
    const { call } = await start({ calm, blank });
    assert.equal(await call("calm"), "NOT_THROWN");
    await assert.rejects(call("blank"), { code: "HANDLER_ERROR" });
  });
});

describe("the deadline", () => {
  it("rolls a mutation back, answers FN_TIMEOUT, and lets nothing through afterwards", async () => {
    const clock = createVirtualClock();
    const [begun, wake] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const late: unknown[] = [];
    const slow = mutation({
      async handler(ctx) {
        await ctx.db.insert("Order", { total: 1 });
        begun.resolve();
        await wake.promise;
        late.push(await ctx.db.insert("Order", { total: 2 }).catch((error: { code: string }) => error.code));
        late.push(await ctx.db.list("Order").catch((error: { code: string }) => error.code));
        late.push(await ctx.scheduler.runAfter(0, "slow").catch((error: { code: string }) => error.code));
      },
    });
    const { call, orders, functions } = await start({ slow, insertOrder }, { clock, timeoutMs: 30_000 });
    const calling = assert.rejects(call("slow"), { code: "FN_TIMEOUT", status: 504 });
    await begun.promise;
    await clock.advance(29_999);
    assert.equal(functions.running, 1);
    await clock.advance(1);
    await calling;
    assert.equal(functions.running, 0);
    await call("insertOrder", { total: 7 });
    wake.resolve();
    await until(() => late.length === 3);
    assert.deepEqual(late, ["FN_ENDED", "FN_ENDED", "FN_ENDED"]);
    assert.deepEqual(await orders(), [{ total: 7, code: null }]);
    assert.equal(clock.pending, 0);
  });

  it("covers the wait for the writer: what was answered FN_TIMEOUT never starts", async () => {
    const clock = createVirtualClock();
    const wake = Promise.withResolvers<void>();
    const harness = await start({ insertOrder }, { clock, timeoutMs: 1_000 });
    const holding = harness.store.write(() => wake.promise, { exclusive: true });
    const waiting = assert.rejects(harness.call("insertOrder", { total: 1 }), { code: "FN_TIMEOUT" });
    await clock.advance(1_000);
    await waiting;
    wake.resolve();
    await holding;
    await harness.call("insertOrder", { total: 2 });
    assert.deepEqual(await harness.orders(), [{ total: 2, code: null }]);
  });

  it("of an action ends what it runs", async () => {
    const clock = createVirtualClock();
    const wake = Promise.withResolvers<void>();
    let started = 0;
    const inner = mutation({
      async handler(ctx) {
        await ctx.db.insert("Order", { total: 1 });
        started += 1;
        await wake.promise;
      },
    });
    const outer = action({ handler: (ctx) => ctx.runMutation("inner") });
    const harness = await start({ inner, outer }, { clock, timeoutMs: 1_000 });
    const calling = assert.rejects(harness.call("outer"), { code: "FN_TIMEOUT" });
    await until(() => started === 1);
    await clock.advance(1_000);
    await calling;
    wake.resolve();
    assert.deepEqual(await harness.orders(), []);
  });
});

describe("the bound on running functions", () => {
  it("answers FN_BUSY beyond it, with a time to try again", async () => {
    const wake = Promise.withResolvers<void>();
    const wait = action({ handler: () => wake.promise });
    const nested = action({ handler: (ctx) => ctx.runQuery("one") });
    const one = query({ handler: () => 1 });
    const { call, functions } = await start({ wait, nested, one }, { maxRunning: 2 });
    const waiting = call("wait");
    assert.equal(await call("nested"), 1);
    const second = call("wait");
    assert.equal(functions.running, 2);
    await assert.rejects(call("one"), { code: "FN_BUSY", status: 503, retryAfterSecs: 1 });
    wake.resolve();
    await Promise.all([waiting, second]);
    assert.equal(await call("one"), 1);
  });
});

describe("the registry", () => {
  it("lists functions by name with the schema of their arguments", async () => {
    const { functions } = await start({ zeta: query({ handler: () => 1 }), insertOrder });
    const listed = functions.list();
    assert.deepEqual(
      listed.map(({ name, kind }) => [name, kind]),
      [
        ["insertOrder", "mutation"],
        ["zeta", "query"],
      ],
    );
    assert.deepEqual(listed[0]?.argsSchema["required"], ["total"]);
  });

  it("replaces functions for calls to come", async () => {
    const { call, functions } = await start({ fn: query({ handler: () => 1 }) });
    functions.replace(new Map([["other", query({ handler: () => 2 })]]));
    assert.equal(await call("other"), 2);
    await assert.rejects(call("fn"), { code: "FN_NOT_FOUND" });
  });

  it("runs a definition that has no name among them", async () => {
    const { functions, orders } = await start({});
    const definition = action({ handler: (ctx) => ctx.db.insert("Order", { total: 4 }) });
    await functions.run("stripe:on", definition, {}, { actor: ANONYMOUS, requestId: null });
    assert.deepEqual(await orders(), [{ total: 4, code: null }]);
  });
});
