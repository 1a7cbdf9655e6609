// The embedding tests once more, in Deno.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DENO = `node_modules/deno/deno${process.platform === "win32" ? ".exe" : ""}`;

it("an instance can be embedded in a Deno program", { timeout: 60_000 }, async () => {
  const child = spawn(`${ROOT}${DENO}`, ["test", "-A", "--no-check", "test/embedding/embedding.test.ts"], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 45_000,
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => output.push(String(chunk)));
  const exitCode = await new Promise((resolve, reject) => {
    child.on("close", resolve);
    child.on("error", reject);
  });
  assert.equal(exitCode, 0, output.join(""));
  assert.match(output.join(""), /\([1-9]\d* steps\) \| 0 failed/);
});
