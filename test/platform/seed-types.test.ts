// The documentation's own TypeScript, checked by the compiler against the shapes that application code is given.

import { expect, test } from "bun:test";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

test("every TypeScript block of the documentation compiles under strict", async () => {
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  const project = join(ROOT, "fixtures/apps/seeds/tsconfig.json");
  const child = Bun.spawn([process.execPath, compiler, "-p", project], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  expect({ output: await new Response(child.stdout).text(), code: await child.exited }).toEqual({
    output: "",
    code: 0,
  });
});
