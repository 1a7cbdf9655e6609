// Loading an application's folder: what is found, what is said of a folder that is wrong, and how it is left again.

import assert from "node:assert/strict";
import { afterEach, describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { isObject } from "../../src/core/json.ts";
import type { LoadedApp } from "../../src/platform/load-app-bun.ts";
import { createLateExports } from "../../src/sdk/late-exports.ts";
import { createTempDir } from "../support/temp-dir.ts";
import { type AppFolder, createAppFolder } from "./app-folder.ts";
import { BROKEN_APP, MISSING_IMPORTS } from "./broken-app.ts";

const folders: AppFolder[] = [];

async function folder(name?: string): Promise<AppFolder> {
  const made = await createAppFolder(name);
  folders.push(made);
  return made;
}

afterEach(async () => {
  for (const made of folders.splice(0)) await made.remove();
});

async function run(app: LoadedApp, name: string, ctx: object = {}, args: object = {}): Promise<unknown> {
  const definition = app.functions.get(name);
  if (!definition) throw new Error(`No function "${name}": ${JSON.stringify(app.problems)}`);
  return definition.handler(ctx as never, args);
}

const FN = 'import { query } from "@pylonsync/functions";\n';

describe("an application that is well", () => {
  test("is found with all of its parts", async () => {
    const app = await (await folder("loader")).load();
    expect(app.problems).toEqual([]);
    expect([...app.functions].map(([name, { kind }]) => [name, kind])).toEqual([
      ["count", "query"],
      ["imports", "query"],
      ["placeOrder", "mutation"],
    ]);
    expect(app.manifests.map(({ file }) => file)).toEqual(["app.ts", "pylon.manifest.json"]);
    const [own] = app.manifests;
    expect(isObject(own?.value) && own.value.name).toBe("loader");
  });

  test("counts a plugin once, whether it is listed, only defined, or both", async () => {
    const app = await (await folder("loader")).load();
    const listed = app.manifests.flatMap(({ value }) => (isObject(value) ? (value.plugins as { name: string }[]) : []));
    expect(listed.map(({ name }) => name)).toEqual(["webhooks", "audit_log"]);
    expect(app.plugins.map(({ name }) => name)).toEqual(["stripe"]);
  });

  test("imports files, tsconfig paths, JSON, packages with exports and CommonJS, and Pylon's own modules", async () => {
    const app = await (await folder("loader")).load();
    expect(await run(app, "imports")).toEqual({
      plain: { query: "function" },
      area: "area of function",
      corners: 4,
      data: { from: "json" },
      count: 1,
      isMain: false,
    });
    // Modules of one load are shared by its functions.
    expect(await run(app, "count")).toBe(2);
  });

  test("may be reached through a symbolic link, and lie in a folder with an odd name", async () => {
    const made = await folder();
    made.write({
      "a b#%41ä/app.ts": "export default {};",
      "a b#%41ä/functions/fn.ts": `${FN}export default query({ handler: () => 1 +; });`,
    });
    symlinkSync(join(made.dir, "a b#%41ä"), join(made.dir, "link"));
    const app = await made.load({}, { dir: join(made.dir, "link") });
    expect(app.problems.map(({ file, line }) => [file, line])).toEqual([["functions/fn.ts", 2]]);
    expect(app.manifests).toHaveLength(1);
  });

  test("needs no functions, or no app.ts", async () => {
    const made = await folder();
    made.write({ "pylon.manifest.json": '{"manifest_version":1}' });
    expect(await made.load()).toMatchObject({ problems: [], manifests: [{ value: { manifest_version: 1 } }] });
    made.delete("pylon.manifest.json");
    made.write({ "app.mjs": "export default {}" });
    expect(await made.load()).toMatchObject({ problems: [], manifests: [{ file: "app.mjs" }] });
  });
});

describe("an application that is not well", () => {
  test("gets every problem of every file at once, each once and in its place", async () => {
    const made = await folder();
    made.write(Object.fromEntries(Object.entries(BROKEN_APP).map(([file, { text }]) => [file, text])));
    const { problems, functions } = await made.load();
    const found = problems.map(({ file, line, column }) => `${file} ${line === null ? null : `${line}:${column}`}`);
    const wanted = Object.entries(BROKEN_APP).flatMap(([file, { at }]) => (at === undefined ? [] : [`${file} ${at}`]));
    expect(found.toSorted()).toEqual(wanted.toSorted());
    expect([...functions.keys()]).toEqual(["good", "twice"]);
    for (const { message } of problems) expect(message).toMatch(/\S/);
  });

  test("gets all missing imports of a file, types left out", async () => {
    const made = await folder();
    // With a node_modules folder Bun does not fetch what is missing.
    made.write({
      "app.ts": "export default {};",
      "node_modules/x/package.json": "{}",
      "functions/missing.ts": MISSING_IMPORTS,
    });
    const { problems } = await made.load();
    expect(problems.map(({ file, line, column }) => [file, line, column])).toEqual([
      ["functions/missing.ts", 2, 22],
      ["functions/missing.ts", 3, 22],
      ["functions/missing.ts", 4, 22],
    ]);
    expect(problems[2]?.message).toContain("no-such-package-of-pylon");
  });

  test("is told when there is nothing, or two of a thing", async () => {
    const made = await folder();
    expect((await made.load()).problems.map(({ file }) => file)).toEqual(["."]);
    const nowhere = await made.load({}, { dir: join(made.dir, "nowhere") });
    expect(nowhere.problems.map(({ file }) => file)).toEqual(["."]);
    made.write({ "app.ts": "export default {};", "app.js": "export default {};" });
    expect((await made.load()).problems.map(({ file }) => file)).toEqual(["app.js"]);
    made.delete("app.js");
    made.write({ "app.ts": "export const app = {};" });
    expect((await made.load()).problems.map(({ file }) => file)).toEqual(["app.ts"]);
  });

  test("does not hang on a top-level await that never ends", async () => {
    const made = await folder();
    made.write({ "app.ts": "export default {};", "functions/hang.ts": "await new Promise(() => {});" });
    const { problems } = await made.load({}, { timeoutMs: 50 });
    expect(problems.map(({ file }) => file)).toEqual(["functions/hang.ts"]);
  });

  test("is refused in a folder that Bun cannot name", async () => {
    const made = await folder();
    made.write({ "what?/app.ts": "export default {};" });
    const { problems } = await made.load({}, { dir: join(made.dir, "what?") });
    expect(problems.map(({ file }) => file)).toEqual(["."]);
  });

  test("hears about plugins that are defined too late", async () => {
    const made = await folder();
    made.write({
      "app.ts": "export default {};",
      "functions/late.ts": `${FN}import { definePlugin } from "@pylonsync/sdk";\nexport default query({ handler: () => definePlugin("cache", {}) });`,
    });
    const app = await made.load();
    await assert.rejects(run(app, "late"), { code: "SDK_LOADED" });
  });
});

describe("a reload", () => {
  test("sees every change, in files that are imported too", async () => {
    const made = await folder();
    const value = async (): Promise<unknown> => {
      const app = await made.load();
      return app.problems.length > 0 ? "problems" : run(app, "fn");
    };
    made.write({
      "app.ts": "export default {};",
      "lib/deep.ts": "export const deep = 1;",
      "lib/mid.ts": 'export * from "./deep";',
      "functions/fn.ts": `${FN}import { deep } from "../lib/mid";\nexport default query({ handler: () => deep });`,
    });
    expect(await value()).toBe(1);
    made.write({ "lib/deep.ts": "export const deep = 2;" });
    expect(await value()).toBe(2);
    made.write({ "lib/deep.ts": "export const deep = ;" });
    expect(await value()).toBe("problems");
    made.write({ "lib/deep.ts": 'export { deep } from "./new/added";' });
    expect(await value()).toBe("problems");
    made.write({ "lib/new/added.ts": "export const deep = 4;" });
    expect(await value()).toBe(4);
    made.delete("lib/new/added.ts");
    made.write({ "lib/new/added.js": "export const deep = 5;" });
    expect(await value()).toBe(5);
    made.delete("functions/fn.ts");
    made.write({ "functions/fn.mjs": `${FN}export default query({ handler: () => 6 });` });
    expect(await value()).toBe(6);
  });

  test("sees another version of a package", async () => {
    const made = await folder("loader");
    const corners = async (): Promise<unknown> =>
      ((await run(await made.load(), "imports")) as { corners: number }).corners;
    expect(await corners()).toBe(4);
    made.write({ "node_modules/shapes/lib/corners.js": "export const corners = 5;" });
    expect(await corners()).toBe(5);
  });
});

describe("two instances of one application", () => {
  test("have modules of their own, and their own Pylon", async () => {
    const made = await folder();
    made.write({
      "app.ts": "export default {};",
      "lib/state.ts": 'import { name } from "@pylonsync/sdk";\nexport const state = { name: name(), calls: 0 };',
      "functions/fn.ts": `${FN}import { state } from "../lib/state";
        export default query({ async handler() {
          state.calls += 1;
          const { name } = await import("@pylonsync/sdk");
          const { late } = await import("../lib/late");
          return [state.name, state.calls, name(), late()];
        } });`,
      "lib/late.ts": 'import { name } from "@pylonsync/sdk";\nexport const late = () => name();',
    });
    const [a, b] = await Promise.all([
      made.load({ sdkExports: { name: () => "a" } }),
      made.load({ sdkExports: { name: () => "b" } }),
    ]);
    expect(await Promise.all([run(a, "fn"), run(b, "fn")])).toEqual([
      ["a", 1, "a", "a"],
      ["b", 1, "b", "b"],
    ]);
    b.dispose();
    expect(await run(a, "fn")).toEqual(["a", 2, "a", "a"]);
  });

  test("bind their late exports apart", async () => {
    const made = await folder();
    made.write({
      "app.ts": "export default {};",
      "functions/fn.ts": `${FN}import { cache } from "@pylonsync/sdk";\nexport default query({ handler: () => cache.get("k") });`,
    });
    const [late, other] = [createLateExports(["cache"]), createLateExports(["cache"])];
    const app = await made.load({ sdkExports: late.exports });
    await made.load({ sdkExports: other.exports });
    await assert.rejects(run(app, "fn"), { code: "SDK_NOT_READY" });
    other.bind({ cache: { get: () => "other" } });
    late.bind({ cache: { get: (key: string) => `mine:${key}` } });
    expect(await run(app, "fn")).toBe("mine:k");
  });

  test("cannot be imported from outside of one", async () => {
    await (await folder("loader")).load();
    const temp = await createTempDir();
    const stray = join(temp.path, "stray.ts");
    await Bun.write(stray, 'import "@pylonsync/sdk";');
    await assert.rejects(import(stray), /outside/);
    await temp.remove();
  });
});
