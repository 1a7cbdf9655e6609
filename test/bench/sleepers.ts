// One process with a queue of sleeping jobs: fills it, then measures what claiming due ones beside them costs.
// Usage: sleepers.ts FOLDER SLEEPING

import { join } from "node:path";
import { createSystemClock } from "../../src/core/clock.ts";
import { createJobEngine } from "../../src/jobs/job-engine.ts";
import { sqlitePlatform } from "../../src/platform/sqlite-platform.ts";
import { openSqliteStore } from "../../src/store/sqlite/open-sqlite-store.ts";
import type { Tx } from "../../src/store/store.ts";

const [folder = "", sleepingText = "0"] = process.argv.slice(2);
const SLEEPING = Number(sleepingText);
const CLAIMED = 20_000;
const BATCH = 100;
const HOUR_MS = 3_600_000;

const store = openSqliteStore({ path: join(folder, `sleepers-${SLEEPING}.db`), platform: sqlitePlatform });
const id = (prefix: string, index: number): string => `${prefix}_${String(index).padStart(10, "0")}`;

async function enqueue(prefix: string, count: number, dueAt: (index: number) => number): Promise<void> {
  for (let start = 0; start < count; start += 5_000) {
    await store.write(async (tx: Tx) => {
      for (let index = start; index < Math.min(count, start + 5_000); index++) {
        const now = Date.now();
        const job = {
          id: id(prefix, index),
          kind: "sleep",
          lane: `sleep:${index % 10}`,
          payload: "{}",
          createdAt: now,
        };
        await tx.enqueueJob({ ...job, dueAt: dueAt(index) });
      }
    });
  }
}

await enqueue("sleeping", SLEEPING, (index) => Date.now() + HOUR_MS + index);
await enqueue("due", CLAIMED, () => Date.now());

const costs: number[] = [];
for (let round = 0; round < CLAIMED / BATCH; round++) {
  await store.write(async (tx: Tx) => {
    const startedMs = performance.now();
    const claim = { lane: `sleep:${round % 10}`, limit: BATCH, owner: "bench", now: Date.now() };
    const jobs = await tx.claimJobs({ ...claim, leaseUntil: Date.now() + HOUR_MS });
    costs.push(((performance.now() - startedMs) * 1_000) / jobs.length);
  });
}
const engine = createJobEngine({
  store,
  clock: createSystemClock(),
  handlers: [{ kind: "sleep", laneConcurrency: 32, run: () => Promise.resolve({ kind: "done" }) }],
  owner: "engine",
  defer: (task) => setImmediate(task),
  log: () => undefined,
});
engine.start();
await Bun.sleep(1_000);
Bun.gc(true);
const rssMiB = process.memoryUsage.rss() / 2 ** 20;
await engine.stop({ drainMs: 1_000 });
await store.close();
costs.sort((a, b) => a - b);
console.log(`result ${JSON.stringify({ medianUs: costs[Math.floor(costs.length / 2)], rssMiB })}`);
process.exit(0);
