// Postgres as the store: (a) draining 50,000 committed deliveries with one process, against a bare loop of signed fetch POSTs
// and against SQLite, all to the same receiver; (b) claiming and settling with 1, 2 and 4 processes, which share the cores; (c)
// delivering with as many to a receiver that takes its time, where they do not. The server is on this
// machine and takes its share of the cores; it waits for its disk at every commit.

import postgres from "postgres";
import { withFolder } from "../support/child.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { openDatabaseServer } from "../../src/platform/postgres-platform.ts";
import { script, startReceiver } from "./bench-app.ts";
import { type Backlog, bestBareLoop, DELIVERIES, drainOnce, fill } from "./drain.bench.ts";
import { informative, judged, type Figure } from "./figure.ts";

const DURABLE = { fsync: "on", full_page_writes: "on", shared_buffers: "256MB" } as const;
const CLAIMS = 30_000;
const PROCESSES = [1, 2, 4] as const;
const ENQUEUE_BATCH = 1_000;
/** What a receiver on the other side of an ocean takes, and how much each process sends to it. */
const SLOW_MS = 100;
const SLOW_DELIVERIES = 1_500;

async function drainFigures(database: string): Promise<Figure[]> {
  const { receiver, port } = await startReceiver();
  const measure = async (backlog: Backlog): Promise<{ readonly filled: number; readonly drained: number }> => {
    const filled = await fill(backlog, port, DELIVERIES);
    return { filled, drained: await drainOnce(backlog, receiver) };
  };
  try {
    const postgres = await withFolder((folder) => measure({ folder, database }));
    const sqlite = await withFolder((folder) => measure({ folder }));
    const bare = await bestBareLoop(port);
    const perSecond = `${Math.round(postgres.drained)}/s`;
    const toBare = { name: "postgres drain", value: postgres.drained / bare.perSecond, unit: "× bare" };
    const toSqlite = { name: "postgres drain", value: postgres.drained / sqlite.drained, unit: "× SQLite" };
    const inserts = { name: "postgres insert", value: postgres.filled / sqlite.filled, unit: "× SQLite" };
    return [
      judged({ ...toBare, detail: `${perSecond} against ${Math.round(bare.perSecond)}/s (bare loop)` }, ">=", 0.2),
      informative({ ...toSqlite, detail: `${perSecond} against ${Math.round(sqlite.drained)}/s` }),
      informative({ ...inserts, detail: `${Math.round(postgres.filled)}/s against ${Math.round(sqlite.filled)}/s` }),
    ];
  } finally {
    await receiver.stop();
  }
}

/** Deliveries a second to a receiver that takes its time, which one process waits for most of its own. */
async function replicaFigures(database: string): Promise<Figure[]> {
  const { receiver, port } = await startReceiver(SLOW_MS);
  try {
    return await withFolder(async (folder) => {
      const backlog = { folder, database };
      const total = SLOW_DELIVERIES * PROCESSES.reduce((sum, processes) => sum + processes, 0) * 2;
      await fill(backlog, port, total);
      const rates: number[] = [];
      for (const processes of PROCESSES) {
        rates.push(await drainOnce(backlog, receiver, { processes, deliveries: SLOW_DELIVERIES * processes }));
      }
      return PROCESSES.map((processes, i) => {
        const rate = rates[i] ?? 0;
        const detail = `${(rate / (rates[0] ?? 1)).toFixed(2)} × one process; a receiver that takes ${SLOW_MS} ms`;
        return informative({ name: `postgres replicas, ${processes}`, value: rate, unit: "1/s", detail });
      });
    });
  } finally {
    await receiver.stop();
  }
}

async function enqueue(database: string, lane: string): Promise<void> {
  const store = await openDatabaseServer({ url: database, startWaitMs: 5_000 });
  for (let from = 0; from < CLAIMS; from += ENQUEUE_BATCH) {
    await store.write(async (tx) => {
      const jobs = Array.from({ length: ENQUEUE_BATCH }, (_, i) => `${lane}-${from + i}`);
      await Promise.all(
        jobs.map((id) =>
          tx.enqueueJob({ id, kind: "bench", lane, key: id, payload: "{}", dueAt: 0, createdAt: Date.now() }),
        ),
      );
    });
  }
  await store.close();
}

/** Jobs claimed and settled per second by so many processes on one lane. */
async function claimRate(database: string, processes: number): Promise<number> {
  const lane = `claims-${processes}`;
  await enqueue(database, lane);
  const workers = Array.from({ length: processes }, (_, i) =>
    script("claim-loop.ts", [database, lane, `worker-${processes}-${i}`]),
  );
  try {
    await Promise.all(workers.map((worker) => worker.line("ready ")));
    const startedMs = performance.now();
    for (const worker of workers) worker.send("go");
    const counts = await Promise.all(workers.map(async (worker) => Number(await worker.line("done "))));
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total !== CLAIMS) throw new Error(`${total} jobs were claimed, not ${CLAIMS}`);
    return CLAIMS / ((performance.now() - startedMs) / 1_000);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop("SIGKILL")));
  }
}

async function claimFigures(database: string): Promise<Figure[]> {
  const rates: number[] = [];
  for (const processes of PROCESSES) rates.push(await claimRate(database, processes));
  return PROCESSES.map((processes, i) => {
    const rate = rates[i] ?? 0;
    const detail = `${(rate / (rates[0] ?? 1)).toFixed(2)} × one process; claims and settles of 100`;
    return informative({ name: `postgres claim, ${processes} proc.`, value: rate, unit: "1/s", detail });
  });
}

/** A database of its own: what is left of one measurement is not delivered in the next. */
async function withDatabase<T>(server: string, name: string, run: (url: string) => Promise<T>): Promise<T> {
  const admin = postgres(server, { max: 1, onnotice: () => undefined });
  await admin.unsafe(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = new URL(server);
  url.pathname = `/${name}`;
  return run(url.href);
}

export async function postgresBench(): Promise<Figure[]> {
  const server = await startPostgres({ settings: DURABLE });
  try {
    const replicas = await withDatabase(server.url, "replicas", replicaFigures);
    return [...(await claimFigures(server.url)), ...replicas, ...(await drainFigures(server.url))];
  } finally {
    await server.stop();
  }
}
