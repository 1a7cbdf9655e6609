// Loading an application from inside a compiled executable, built with the flags of the product and started somewhere else.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createTempDir, type TempDir } from "../support/temp-dir.ts";
import { createAppFolder } from "./app-folder.ts";

const FLAGS = [
  "--compile",
  "--minify",
  "--compile-autoload-package-json",
  "--compile-autoload-tsconfig",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-dotenv",
];

let temp: TempDir;

async function run(command: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: 30_000 });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect({ code: await child.exited, stderr: child.exitCode === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

beforeAll(async () => {
  temp = await createTempDir();
  const main = join(import.meta.dir, "load-app-child.ts");
  await run([process.execPath, "build", main, ...FLAGS, "--outfile", join(temp.path, "loads")], temp.path);
});

afterAll(() => temp.remove());

test("a compiled executable loads, isolates and reloads an application", async () => {
  const folder = await createAppFolder("loader");
  folder.write({
    "functions/instance.ts":
      'import { query } from "@pylonsync/functions";\nimport { instance } from "@pylonsync/sdk";\nexport default query({ handler: () => instance() });\n',
  });
  const imports = { plain: { query: "function" }, area: "area of function", corners: 4, count: 1, isMain: false };
  expect(JSON.parse(await run([join(temp.path, "loads"), folder.dir], temp.path))).toEqual({
    problems: [[], ["functions/torn.ts:1:19"]],
    plugins: ["stripe"],
    imports: { ...imports, data: { from: "json" } },
    instances: ["first", "second"],
    reloaded: { ...imports, data: { from: "a reload" } },
  });
  await folder.remove();
});
