// `bun run bench [name…] [--json]`: runs the benchmarks on the compiled binary and prints their figures. Ratios come from
// one run on one machine; nothing here fails a build.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { auditBench } from "./audit.bench.ts";
import { BINARY } from "./bench-app.ts";
import { cacheBench } from "./cache.bench.ts";
import { customerWebhooksBench } from "./customer-webhooks.bench.ts";
import { drainBench } from "./drain.bench.ts";
import { renderFigure, type Figure } from "./figure.ts";
import { flagsBench } from "./flags.bench.ts";
import { insertBench } from "./insert.bench.ts";
import { latencyBench } from "./latency.bench.ts";
import { postgresBench } from "./postgres.bench.ts";
import { sleepingBench } from "./sleeping.bench.ts";
import { startBench } from "./start.bench.ts";

const BENCHES: Readonly<Record<string, () => Promise<Figure[]>>> = {
  audit: auditBench,
  insert: insertBench,
  drain: drainBench,
  latency: latencyBench,
  sleeping: sleepingBench,
  postgres: postgresBench,
  start: startBench,
  flags: flagsBench,
  cache: cacheBench,
  customers: customerWebhooksBench,
};

const names = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const json = process.argv.includes("--json");
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}. Known: ${Object.keys(BENCHES).join(", ")}`);
  process.exit(2);
}
if (!existsSync(BINARY)) {
  const build = Bun.spawnSync([process.execPath, "run", join(import.meta.dir, "..", "..", "build.ts")], {
    stdout: "ignore",
    stderr: "inherit",
  });
  if (build.exitCode !== 0) process.exit(1);
}
for (const [name, bench] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name)) continue;
  if (!json && process.stdout.isTTY) process.stdout.write(`… ${name}\r`);
  for (const figure of await bench()) console.log(json ? JSON.stringify(figure) : renderFigure(figure));
}
