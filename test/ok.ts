// The gate: everything that has to hold before a change is one. Runs the cheap checks first, stops at the first that
// fails and shows what it said, and ends with a table of what ran and how long it took.

import { existsSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

interface Step {
  readonly name: string;
  /** A program of node_modules/.bin and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Its output is worth seeing while it runs. */
  readonly live?: boolean;
}

const STEPS: readonly Step[] = [
  { name: "format", command: ["oxfmt", "--check", "."] },
  { name: "lint", command: ["oxlint", "--deny-warnings", "--type-aware"] },
  { name: "types, Web-only rooms", command: ["tsc", "-p", "src/tsconfig.json"] },
  { name: "types, everything", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "types, Deno", command: ["deno", "check", "--quiet", "src/mod.ts"] },
  // In another order each time: a test that leans on the one before it is found here.
  { name: "tests", command: ["bun", "test/run.ts", "--randomize", ...process.argv.slice(2)], live: true },
];

async function runStep({ name, command: [program, ...args], live }: Step): Promise<boolean> {
  console.log(`… ${name}`);
  const output = live ? "inherit" : "pipe";
  const run = Bun.spawn([join(ROOT, "node_modules/.bin", program), ...args], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: output,
    stderr: output,
  });
  const streams = [run.stdout, run.stderr].filter((stream) => stream instanceof ReadableStream);
  const texts = await Promise.all(streams.map((stream) => new Response(stream).text()));
  const passed = (await run.exited) === 0;
  if (!passed) console.log(texts.join(""));
  return passed;
}

if (!existsSync(join(ROOT, "node_modules/.bin"))) throw new Error("Nothing is installed: run npm run setup");

const rows: string[] = [];
for (const step of STEPS) {
  const startedMs = performance.now();
  const passed = await runStep(step);
  rows.push(
    `${passed ? "✓" : "✗"} ${step.name.padEnd(24)}${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s`,
  );
  if (!passed) {
    process.exitCode = 1;
    break;
  }
}
for (const { name } of STEPS.slice(rows.length)) rows.push(`- ${name}`);
console.log(`\n${rows.join("\n")}`);
