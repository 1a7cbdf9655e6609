// The border between an application and the process around it: whose context code runs in, and what is left when the
// application is disposed of.

import assert from "node:assert/strict";
import { afterEach, describe, expect, test } from "bun:test";
import { AsyncLocalStorage } from "node:async_hooks";
import { SYSTEM } from "../../src/core/identity.ts";
import { isObject } from "../../src/core/json.ts";
import type { FunctionDefinition } from "../../src/functions/define.ts";
import type { LoadedApp } from "../../src/platform/load-app-bun.ts";
import { type Harness, openFunctions } from "../functions/functions-harness.ts";
import { type AppFolder, createAppFolder } from "./app-folder.ts";

const folders: AppFolder[] = [];
const harnesses: Harness[] = [];

afterEach(async () => {
  for (const harness of harnesses.splice(0)) await harness.close();
  for (const made of folders.splice(0)) await made.remove();
});

async function folder(files: Readonly<Record<string, string>>, fixture?: string): Promise<AppFolder> {
  const made = await createAppFolder(fixture);
  folders.push(made);
  made.write({ ...(fixture === undefined ? { "app.ts": "export default {};" } : {}), ...files });
  return made;
}

async function start(app: LoadedApp): Promise<Harness> {
  expect(app.problems).toEqual([]);
  const harness = await openFunctions(Object.fromEntries(app.functions));
  harnesses.push(harness);
  return harness;
}

function handlerOf(app: LoadedApp, name: string): FunctionDefinition["handler"] {
  const definition = app.functions.get(name);
  if (!definition) throw new Error(JSON.stringify(app.problems));
  return (ctx, args) => definition.handler(ctx, args);
}

const fn = (kind: string, body: string): string =>
  `import { ${kind} } from "@pylonsync/functions";\nimport * as sdk from "@pylonsync/sdk";\n` +
  `export default ${kind}({ async handler(ctx, args) { ${body} } });`;

/** By then the store's writer has gone to rest: the next write is the one that wakes it. */
const quiet = async (turns = 5): Promise<void> => {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  for (let hop = 0; hop < 20; hop++) await Promise.resolve();
};

const isOutside = (): boolean => Bun.ModuleGraph.current === undefined;

describe("what application code calls of ours", () => {
  test("runs outside of its graph, with the stores of its call", async () => {
    const storage = new AsyncLocalStorage<string>();
    const made = await folder({
      "functions/fn.ts": fn(
        "query",
        "return [sdk.look(), await ctx.db.look(), Bun.ModuleGraph.current !== undefined];",
      ),
    });
    const look = (): unknown => [isOutside(), storage.getStore()];
    const app = await made.load({ sdkExports: { look } });
    const handler = handlerOf(app, "fn");
    const call = (store: string): unknown => storage.run(store, () => handler({ db: { look } } as never, {}));
    const wanted = (store: string): unknown => [[true, store], [true, store], true];
    expect(await Promise.all([call("one"), call("two")])).toEqual([wanted("one"), wanted("two")]);
  });

  test("gets back its own objects, and callbacks that return to the graph", async () => {
    const made = await folder({
      "functions/fn.ts": fn("query", "return sdk.take(ctx, () => Bun.ModuleGraph.current !== undefined);"),
    });
    let taken: unknown;
    const take = (ctx: unknown, callback: () => boolean): unknown => {
      taken = ctx;
      return [isOutside(), callback()];
    };
    const app = await made.load({ sdkExports: Object.freeze({ take }) });
    const ctx = Object.freeze({ auth: Object.freeze({ hasRole: () => true }) });
    expect(await handlerOf(app, "fn")(ctx as never, {})).toEqual([true, true]);
    expect(taken).toBe(ctx);
  });

  test("looks like any object: spread, destructured, listed, with its own `this`", async () => {
    const made = await folder({
      "functions/fn.ts": fn(
        "query",
        "const { auth } = ctx; const copy = { ...auth }; " +
          'return [Object.keys(ctx), "auth" in ctx, copy.hasRole("a"), auth.roles, structuredClone(ctx.env), JSON.stringify(auth)];',
      ),
    });
    const app = await made.load();
    const auth = {
      roles: ["a"],
      hasRole(role: string) {
        return (this as { roles?: string[] } | undefined)?.roles?.includes(role) ?? "unbound";
      },
    };
    expect(await handlerOf(app, "fn")({ auth, env: { A: "1" } } as never, {})).toEqual([
      ["auth", "env"],
      true,
      true,
      ["a"],
      { A: "1" },
      '{"roles":["a"]}',
    ]);
  });
});

describe("functions of a loaded application", () => {
  test("run against real data, and their data outlives the application", async () => {
    const made = await folder({}, "loader");
    const app = await made.load();
    const harness = await start(app);
    expect(await harness.call("placeOrder", { total: 3 })).toMatchObject({ status: "placed" });
    expect(await harness.orders()).toEqual([{ total: 3, code: null }]);
  });

  test("that are disposed of in the middle of a write leave a store that goes on", async () => {
    const made = await folder({
      "functions/write.ts": fn(
        "action",
        'await sdk.quiet(); void ctx.db.insert("Order", { total: 1 }); await sdk.quiet(0); sdk.entered(); await new Promise(() => {});',
      ),
      "functions/hold.ts": fn(
        "mutation",
        'await ctx.db.insert("Order", { total: 2 }); sdk.entered(); await new Promise(() => {});',
      ),
    });
    for (const name of ["write", "hold"]) {
      const entered = Promise.withResolvers<void>();
      const app = await made.load({ sdkExports: { entered: () => entered.resolve(), quiet } });
      const harness = await start(app);
      const running = harness.call(name).catch((error: unknown) => error);
      await entered.promise;
      app.dispose();
      expect(await running).toMatchObject({ code: "FN_ABORTED", status: 503 });
      // The next writer gets its turn: what the store had begun was not the graph's.
      const scope = { actor: SYSTEM, policies: false, requestId: null };
      await harness.data.insert(scope, "Order", { total: 9 });
      const totals = (await harness.orders()).map(({ total }) => total);
      expect(totals).toEqual(name === "write" ? [1, 9] : [9]);
    }
  });

  test("can be waited for", async () => {
    const made = await folder({ "functions/fn.ts": fn("query", "await sdk.gate(); return 1;") });
    const gate = Promise.withResolvers<void>();
    const app = await made.load({ sdkExports: { gate: () => gate.promise } });
    await app.idle();
    const running = handlerOf(app, "fn")({} as never, {});
    let isIdle = false;
    const idle = app.idle().then(() => (isIdle = true));
    await Bun.sleep(0);
    expect(isIdle).toBe(false);
    gate.resolve();
    expect(await running).toBe(1);
    await idle;
  });

  test("fail when they are called after it is gone", async () => {
    const made = await folder({ "functions/fn.ts": fn("query", "return 1;") });
    const app = await made.load();
    app.dispose();
    await assert.rejects(
      Promise.try(() => handlerOf(app, "fn")({} as never, {})),
      { code: "FN_ABORTED" },
    );
  });
});

describe("what an application starts", () => {
  test("ends with it: its timers do not fire any more", async () => {
    const made = await folder({
      "app.ts": 'import { tick } from "@pylonsync/sdk";\nsetInterval(tick, 1);\nexport default {};',
    });
    const ticks: number[] = [];
    const app = await made.load({ sdkExports: { tick: () => ticks.push(1) } });
    while (ticks.length === 0) await Bun.sleep(1);
    app.dispose();
    const before = ticks.length;
    await Bun.sleep(20);
    expect(ticks).toHaveLength(before);
  });

  test("and throws is told, and ends nothing", async () => {
    const made = await folder({
      "functions/fn.ts": fn(
        "query",
        'void Promise.reject(new Error("floating")); setTimeout(() => { throw new Error("timer"); }, 0);',
      ),
    });
    const told: string[] = [];
    const app = await made.load({}, { onUncaught: (error) => told.push((error as Error).message) });
    await handlerOf(app, "fn")({} as never, {});
    while (told.length < 2) await Bun.sleep(1);
    expect(told.toSorted()).toEqual(["floating", "timer"]);
  });

  test("fetches through the fetch it was given, and nothing else of ours is in reach", async () => {
    const made = await folder({
      "node_modules/dep/package.json": '{"name":"dep","main":"dep.js"}',
      "node_modules/dep/dep.js": 'exports.get = () => fetch("https://dep");',
      "functions/fn.ts": `import { get } from "dep";\n${fn("query", 'return [await fetch("https://own"), await get(), typeof Pylon];')}`,
    });
    const guarded = async (input: unknown): Promise<unknown> => `guarded ${String(input)} ${isOutside()}`;
    const app = await made.load();
    app.bindFetch(guarded as never);
    expect(await handlerOf(app, "fn")({} as never, {})).toEqual([
      "guarded https://own true",
      "guarded https://dep true",
      "undefined",
    ]);
    expect(fetch).not.toBe(guarded as never);
  });
});

describe("functions in a plugin's configuration", () => {
  test("enter the graph, with what they are given shielded", async () => {
    const made = await folder({}, "loader");
    const app = await made.load();
    const [stripe] = app.plugins;
    const on =
      isObject(stripe?.config) && isObject(stripe.config.on) ? stripe.config.on["checkout.session.completed"] : null;
    if (typeof on !== "function") throw new Error("There is no handler");
    const seen: unknown[] = [];
    const ctx = {
      db: {
        insert: async (...args: unknown[]) => {
          seen.push(isOutside(), args);
          return "id";
        },
      },
    };
    expect(await on(ctx, { data: { total: 7 } })).toEqual({ id: "id", seen: 1 });
    expect(seen).toEqual([true, ["Order", { total: 7 }]]);
  });
});
