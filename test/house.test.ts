// Holds the house to its plan: rooms, direction, cycles, dead modules, platform names, sizes, names, error codes and the
// architecture page. Each rule is first shown to fail on a house that breaks it, so that its silence means something.

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { ROOMS } from "./house-rooms.ts";
import * as rules from "./house-rules.ts";
import type { House, Rule } from "./house-rules.ts";
import { scanSource } from "./house-scan.ts";

const ROOT = join(import.meta.dir, "..");
const ARCHITECTURE = "docs/ARCHITECTURE.md";

async function readHouse(): Promise<House> {
  const paths = ["build.ts"];
  for (const folder of ["src", "test"]) {
    for (const path of new Bun.Glob("**/*.{ts,tsx}").scanSync(join(ROOT, folder))) {
      paths.push(`${folder}/${path.replaceAll("\\", "/")}`);
    }
  }
  const scanned = paths.toSorted().map(async (path) => {
    return [path, scanSource(await Bun.file(join(ROOT, path)).text())] as const;
  });
  return new Map(await Promise.all(scanned));
}

/** A house of the given files; each opens with a comment unless it brings one. */
function build(files: Readonly<Record<string, string>>): House {
  return new Map(Object.entries(files).map(([path, text]) => [path, scanSource(`// What it does.\n${text}`)]));
}

const house = await readHouse();
const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `export const n${i} = ${i};`).join("\n");

interface Case {
  readonly rule: Rule;
  /** A house that is fine. */
  readonly good: Readonly<Record<string, string>>;
  /** Houses with exactly one problem each. */
  readonly bad: readonly Readonly<Record<string, string>>[];
}

const CASES: Readonly<Record<string, Case>> = {
  "every file has a room": {
    rule: rules.everyFileHasARoom,
    good: { "src/core/ids.ts": "", "src/plugins/stripe/stripe-plugin.ts": "", "src/main.ts": "", "test/any/x.ts": "" },
    bad: [{ "src/attic/x.ts": "" }, { "src/plugins/loose.ts": "" }, { "src/loose.ts": "" }],
  },
  "imports exist": {
    rule: rules.importsExist,
    good: { "src/core/a.ts": `import "./b.ts";`, "src/core/b.ts": `import data from "./data.json";` },
    bad: [
      { "src/core/a.ts": `import type { B } from "./b.ts";` },
      { "src/core/a.ts": `new URL("./w.ts", import.meta.url)` },
    ],
  },
  "imports point down": {
    rule: rules.importsPointDown,
    good: {
      "src/core/ids.ts": "",
      "src/store/sqlite/a.ts": `import "../store.ts"; import "../../core/ids.ts";`,
      "src/store/store.ts": "",
      "src/plugins/stripe/a.ts": `import "./b.ts"; import "../../store/store.ts";`,
      "src/plugins/stripe/b.ts": "",
      "src/pylon.ts": `import "./plugins/stripe/a.ts"; import "./http/app.ts";`,
      "src/cli/serve.ts": `import "../pylon.ts";`,
      "src/main.ts": `import "./platform/bun.ts"; await import("./cli/serve.ts");`,
      "test/core/ids.test.ts": `import "../../src/core/ids.ts";`,
    },
    bad: [
      { "src/core/a.ts": `import type { Store } from "../store/store.ts";` },
      { "src/core/a.ts": `export type { Store } from "../store/store.ts";` },
      { "src/core/a.ts": `type S = import("../store/store.ts").Store;` },
      { "src/core/a.ts": `export const load = () => import("../store/store.ts");` },
      { "src/jobs/a.ts": `import "../manifest/lru.ts";` },
      { "src/plugins/stripe/a.ts": `import "../email/email-plugin.ts";` },
      { "src/plugins/stripe/a.ts": `import "../../sdk/sdk.ts";` },
      { "src/cli/serve.ts": `import "../platform/bun.ts";` },
      { "src/core/a.ts": `import "../../test/support/x.ts";` },
    ],
  },
  "no cycles": {
    rule: rules.noCycles,
    good: {
      "src/core/a.ts": `import "./b.ts"; import "./c.ts";`,
      "src/core/b.ts": `import "./c.ts";`,
      "src/core/c.ts": "",
    },
    bad: [
      { "src/core/a.ts": `import "./b.ts";`, "src/core/b.ts": `import type { A } from "./a.ts";` },
      { "src/core/a.ts": `import "./b.ts";`, "src/core/b.ts": `import "./c.ts";`, "src/core/c.ts": `import "./a.ts";` },
      { "test/x.ts": `import "./x.ts";` },
    ],
  },
  "everything is reached": {
    rule: rules.everythingIsReached,
    good: {
      "src/main.ts": `await import("./cli/serve.ts"); new Worker(new URL("./platform/backup-worker.ts", import.meta.url));`,
      "src/mod.ts": `export { createPylon } from "./pylon.ts";`,
      "src/pylon.ts": `import type { Id } from "./core/ids.ts";`,
      "src/core/ids.ts": "",
      "src/cli/serve.ts": "",
      "src/platform/backup-worker.ts": "",
    },
    bad: [
      { "src/core/ids.ts": "", "src/core/dead.ts": "" },
      { "src/main.ts": "", "src/core/dead.ts": "", "test/core/dead.test.ts": `import "../../src/core/dead.ts";` },
      { "src/main.ts": `// import "./core/dead.ts"`, "src/core/dead.ts": "" },
      { "src/main.ts": `const text = 'import "./core/dead.ts"';`, "src/core/dead.ts": "" },
    ],
  },
  "Web-only rooms stay Web-only": {
    rule: rules.webOnlyRoomsStayWebOnly,
    good: {
      "src/core/a.ts":
        `interface Job { process(): void; readonly global?: 1 } const x = job.process; const o = { process: 1 };` +
        "const s = `process ${1} Buffer`; // Bun\n const r = /process[/]Bun/; declare const b: ArrayBuffer;",
      "src/platform/bun.ts": `import "node:fs"; Bun.serve({}); process.exit();`,
    },
    bad: [
      { "src/core/a.ts": `import { readFile } from "node:fs";` },
      { "src/core/a.ts": `import type { Database } from "bun:sqlite";` },
      { "src/core/a.ts": `import { $ } from "bun";` },
      { "src/core/a.ts": `export const env = process.env;` },
      { "src/core/a.ts": `export const env = globalThis.process.env;` },
      { "src/core/a.ts": "export const text = `${Buffer.from([1])}`;" },
      { "src/core/a.ts": `setImmediate(() => {});` },
      { "src/core/a.ts": `const fs = require("fs");` },
      { "src/core/a.ts": `declare const Bun: { version: string };` },
    ],
  },
  "libraries stay in their rooms": {
    rule: rules.librariesStayInTheirRooms,
    good: {
      "src/http/app.ts": `import { Hono } from "hono"; import { cors } from "hono/cors"; import "@hono/zod-validator";`,
    },
    bad: [
      { "src/core/a.ts": `import { z } from "zod";` },
      { "src/http/app.ts": `import express from "express";` },
      { "src/http/app.ts": `import fs from "fs";` },
    ],
  },
  "names say what is inside": {
    rule: rules.namesSayWhatIsInside,
    good: { "src/core/clock.ts": "", "src/core/hash-index.ts": "" },
    bad: [{ "src/core/utils.ts": "" }, { "src/core/index.ts": "" }, { "test/core/helpers.test.ts": "" }],
  },
  "files stay small": {
    rule: rules.filesStaySmall,
    good: { "src/core/a.ts": `${lines(350)}\n\n${"// why\n".repeat(100)}/*\n\n\n*/` },
    bad: [
      { "src/core/a.ts": lines(351) },
      { "src/core/a.ts": `${lines(340)}\nexport const t = \`${"\n".repeat(10)}\`;` },
    ],
  },
  "error codes are unique": {
    rule: rules.errorCodesAreUnique,
    good: {
      "src/core/errors.ts": `defineErrors({ A: { status: 400, message: "{ A: }" }, B_2: { status: 500, message: "b" } });`,
      "src/store/store-errors.ts": `defineErrors({ C: { status: 400, message: "c" } }); storeError("C", { message: "x" });`,
    },
    bad: [
      {
        "src/core/errors.ts": `defineErrors({ A: { status: 400 } });`,
        "src/net/net-errors.ts": `defineErrors({ "A": {} });`,
      },
      { "src/core/errors.ts": `defineErrors({ notLoud: { status: 400 } });` },
    ],
  },
  "error tables are found": {
    rule: rules.errorTablesAreFound,
    good: { "src/core/errors.ts": `defineErrors({ A: {} });`, "src/net/net-errors.ts": `defineErrors({ B: {} });` },
    bad: [{ "src/net/guard.ts": `defineErrors({ B: {} });` }],
  },
};

describe("a rule finds what it is for", () => {
  for (const [name, { rule, good, bad }] of Object.entries(CASES)) {
    test(name, () => {
      expect(rule(build(good))).toEqual([]);
      for (const files of bad)
        expect({ files, problems: rule(build(files)) }).toMatchObject({ problems: [expect.any(String)] });
    });
  }

  test("files open with a comment", () => {
    const opened = ["// a", "/** a */", "#!/usr/bin/env bun\n// a"].map(
      (text, i) => [`src/core/a${i}.ts`, scanSource(text)] as const,
    );
    expect(rules.filesOpenWithAComment(new Map(opened))).toEqual([]);
    expect(
      rules.filesOpenWithAComment(new Map([["src/core/a.ts", scanSource(`import "./b.ts"; // late`)]])),
    ).toHaveLength(1);
  });
});

describe("the scanner reads", () => {
  const importsOf = (text: string): readonly string[] => scanSource(text).imports;

  test("every form of import, and nothing that only looks like one", () => {
    expect(
      importsOf(`
        import a, { type B } from "./1.ts";
        import * as c from './2.ts';
        import type { D } from "./3.ts"
        export * from "./4.ts";
        export { e as from } from "./5.ts";
        const f = await import("./6.ts"), g: typeof import("./7.ts") = f;
        import data from "./8.json" with { type: "json" };
        import "./9.ts";
        const here = import.meta.url; /* import "./no1.ts" */
        export const from = "./no2.ts", text = \`import "./no3.ts" \${ await import("./10.ts") } import "./no4.ts"\`;
        export function from2(from = "./no5.ts") { return a / 2 / "import './no6.ts'".length; }
        const re = /import "\\.\\/no7\\.ts"/g;
      `),
    ).toEqual(Array.from({ length: 10 }, (_, i) => (i === 7 ? "./8.json" : `./${i + 1}.ts`)));
  });

  test("every source of this repository to its end", () => {
    for (const [path, source] of house) expect({ path, lines: source.codeLines > 0 }).toEqual({ path, lines: true });
  });
});

describe("this house", () => {
  for (const [name, rule] of Object.entries(rules)) {
    if (name === "findPlace") continue;
    test(name, () => expect((rule as Rule)(house)).toEqual([]));
  }

  test("the compiler checks every Web-only room without platform types", async () => {
    const { include, compilerOptions } = (await Bun.file(join(ROOT, "src/tsconfig.json")).json()) as {
      include: string[];
      compilerOptions: { types: string[] };
    };
    const webOnly = ROOMS.filter((room) => room.webOnly).map((room) => room.name.replace("/*", ""));
    expect(include.toSorted()).toEqual(webOnly.toSorted());
    expect(compilerOptions.types).toEqual([]);
  });

  test("every folder of fixtures/ says where its data came from", () => {
    const silent = readdirSync(join(ROOT, "fixtures"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !existsSync(join(ROOT, "fixtures", entry.name, "README.md")))
      .map((entry) => `fixtures/${entry.name}: has no README.md; say where its data came from and how it was made`);
    expect(silent).toEqual([]);
  });

  test("the architecture page names every room", async () => {
    const page = await Bun.file(join(ROOT, ARCHITECTURE)).text();
    const missing = ROOMS.map((room) => (room.name.endsWith(".ts") ? room.name : `${room.name.replace("/*", "")}/`))
      .filter((name) => !page.includes(name))
      .map((name) => `${ARCHITECTURE}: says nothing about ${name}`);
    expect(missing).toEqual([]);
  });

  test("every path that the architecture page names exists", async () => {
    const page = await Bun.file(join(ROOT, ARCHITECTURE)).text();
    const missing = findNamedPaths(page)
      .filter((path) => !pathExists(path))
      .map((path) => `${ARCHITECTURE}: names ${path}, which does not exist; correct the page or the tree`);
    expect(missing).toEqual([]);
  });
});

/** Paths from the root in code spans and links: those that start with a folder or file of the root. */
function findNamedPaths(page: string): readonly string[] {
  const roots = /^(?:src|test|docs|fixtures|\.ci)\/|^build\.ts$/;
  const spans = Array.from(page.matchAll(/`([^`\s]+)`|\]\(([^)\s#]+)/g), ([, code, link]) => code ?? link ?? "");
  // A page in docs/ links relative to itself.
  const paths = spans.map((span) => (span.startsWith("../") ? span.slice(3) : span));
  // `<room>` and `NNN` stand for something else.
  return [...new Set(paths)].filter((path) => roots.test(path) && !/[<…]|NNN/.test(path));
}

function pathExists(path: string): boolean {
  if (!/[*{]/.test(path)) return existsSync(join(ROOT, path));
  return !new Bun.Glob(path).scanSync({ cwd: ROOT, onlyFiles: false, dot: true }).next().done;
}

test("the page's paths are found where they are named", () => {
  const page =
    "See `src/core/ids.ts`, `src/<room>/x.ts`, [a](../src/http/) and `hono` or ![b](docs/b.png#x).\n    src/not/in/a/span.ts";
  expect(findNamedPaths(page)).toEqual(["src/core/ids.ts", "src/http/", "docs/b.png"]);
  expect([pathExists("src/core/*.ts"), pathExists("src/core/*.rs"), pathExists("src/{core,store}/*.ts")]).toEqual([
    true,
    false,
    true,
  ]);
});
