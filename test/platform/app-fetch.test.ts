// The `fetch` of an application: whatever way its code and its packages name it, and nobody else's.

import assert from "node:assert/strict";
import { afterEach, describe, expect, test } from "bun:test";
import { platformFetch } from "../../src/net/platform-fetch.ts";
import type { LoadedApp } from "../../src/platform/load-app-bun.ts";
import { type AppFolder, createAppFolder } from "./app-folder.ts";

const folders: AppFolder[] = [];

afterEach(async () => {
  for (const made of folders.splice(0)) await made.remove();
});

const FILES = {
  "app.ts": "export default {};",
  "node_modules/esm/package.json": '{"name":"esm","type":"module","exports":"./index.js"}',
  "node_modules/esm/index.js": `const early = globalThis.fetch; export const own = (url) => fetch(url); export const captured = (url) => early(url);`,
  "node_modules/cjs/index.js": "const { fetch } = global; exports.get = (url) => fetch.call(undefined, url);",
  "functions/ask.ts": `
    import { action } from "@pylonsync/functions";
    import { own, captured } from "esm";
    const { get } = require("cjs");
    const text = async (asking) => (await asking).text();
    export default action({
      handler: async (ctx, url) => ({
        free: await text(fetch(url)),
        request: await text(fetch(new Request(url))),
        globalThis: await text(globalThis.fetch(url)),
        self: await text(self.fetch(url)),
        global: await text(global.fetch(url)),
        bun: await text(Bun.fetch(url)),
        made: await text(new Function("url", "return fetch(url)")(url)),
        later: await new Promise((done) => setTimeout(() => done(text(globalThis.fetch(url))), 1)),
        own: await text(own(url)),
        captured: await text(captured(url)),
        cjs: await text(get(url)),
        preconnect: fetch.preconnect(url) === undefined,
        bunIsWhole: Bun.escapeHTML("<") + typeof Bun.env + Bun.version.length,
      }),
    });`,
};

async function load(): Promise<LoadedApp> {
  const made = await createAppFolder();
  folders.push(made);
  made.write(FILES);
  const app = await made.load();
  expect(app.problems).toEqual([]);
  return app;
}

async function ask(app: LoadedApp, url: string): Promise<Record<string, unknown>> {
  return (await app.functions.get("ask")?.handler({} as never, url)) as Record<string, unknown>;
}

const answering =
  (text: string) =>
  (input: string | URL | Request): Promise<Response> =>
    Promise.resolve(new Response(`${text} ${input instanceof Request ? input.url : input.toString()}`));

describe("the fetch that an application is bound to", () => {
  test("is what its code and its packages have, by every name", async () => {
    const app = await load();
    app.bindFetch(answering("bound"));
    const { preconnect, bunIsWhole, ...texts } = await ask(app, "http://a.test/");
    expect([...new Set(Object.values(texts))]).toEqual(["bound http://a.test/"]);
    expect([preconnect, bunIsWhole]).toEqual([true, `&lt;object${Bun.version.length}`]);
  });

  test("is nobody else's: not another application's, not the process's, and not the next load's", async () => {
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("reached") });
    const url = server.url.href;
    const [one, two, free] = [await load(), await load(), await load()];
    one.bindFetch(answering("one"));
    two.bindFetch(answering("two"));
    const said = async (app: LoadedApp): Promise<unknown> => (await ask(app, url)).captured;
    expect(await Promise.all([one, two, free, one].map(said))).toEqual([
      `one ${url}`,
      `two ${url}`,
      "reached",
      `one ${url}`,
    ]);
    expect(await (await fetch(url)).text()).toBe("reached");
    expect(await (await platformFetch(url)).text()).toBe("reached");
    one.dispose();
    expect(await said(await load())).toBe("reached");
  });

  test("looks like the platform's", async () => {
    await load();
    expect([fetch.name, typeof fetch.preconnect, platformFetch === fetch]).toEqual(["fetch", "function", false]);
    await assert.rejects(fetch("not a url"), TypeError);
  });
});
