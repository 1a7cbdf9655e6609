// `npm run demo` does what the README says of it, and says so.

import { expect, test } from "bun:test";
import { join } from "node:path";

const DEMO = join(import.meta.dir, "..", "demo", "demo.ts");

test("the demo shows a delivery, a retry and a rollback, and exits 0", async () => {
  const demo = Bun.spawn([process.execPath, DEMO], { stdout: "pipe", stderr: "pipe" });
  const [shown, complaints] = [await new Response(demo.stdout).text(), await new Response(demo.stderr).text()];
  expect(complaints).toBe("");
  expect(await demo.exited).toBe(0);
  expect(shown.match(/attempt \d .*signature ✓/g)).toHaveLength(4);
  expect(shown).toContain("→ 400 OUT_OF_STOCK");
  expect(shown).toContain("the next webhook that arrives is of the order after it");
});
