// (b) Draining 50,000 committed deliveries, every attempt recorded durably, against a bare loop of signed fetch POSTs to
// the same receiver. Both in fresh processes and each at its best: the loop over several concurrencies, the drain over as
// many rounds.

import { startChild, withFolder, type Child } from "../support/child.ts";
import { BINARY, ORDERS_PATH, runLoad, script, serverEnv, startBenchApp, startReceiver } from "./bench-app.ts";
import { judged, type Figure } from "./figure.ts";

export const DELIVERIES = 50_000;
const BARE_REQUESTS = 40_000;
const CONCURRENCIES = [32, 48, 64] as const;
const ROUNDS = CONCURRENCIES.length;

export async function bestBareLoop(
  port: number,
): Promise<{ readonly perSecond: number; readonly concurrency: number }> {
  let best = { perSecond: 0, concurrency: 0 };
  for (const concurrency of CONCURRENCIES) {
    const url = `http://127.0.0.1:${port}/hook`;
    const loop = script("bare-loop.ts", [url, String(BARE_REQUESTS), String(concurrency)]);
    const { perSecond } = JSON.parse(await loop.line("result ")) as { perSecond: number };
    if (perSecond > best.perSecond) best = { perSecond, concurrency };
  }
  return best;
}

export interface Backlog {
  readonly folder: string;
  /** `postgres://…`. @default a SQLite file in the folder */
  readonly database?: string;
}

/** Inserts until so many deliveries are committed, with nobody delivering them. Answers how many a second. */
export async function fill(backlog: Backlog, receiverPort: number, deliveries: number): Promise<number> {
  const { pylon, port, authorization } = await startBenchApp({ ...backlog, receiverPort, jobs: "off" });
  let [inserted, seconds] = [0, 0];
  while (inserted < deliveries) {
    const load = await runLoad({ port, path: ORDERS_PATH, connections: 64, seconds: 1, authorization });
    inserted += load.answered;
    seconds += 1;
  }
  await pylon.stop();
  return inserted / seconds;
}

/** How a backlog is drained. */
export interface DrainPlan {
  /** @default 50000 */
  readonly deliveries?: number;
  /** @default 1 */
  readonly processes?: number;
}

/** Starts processes on the backlog and answers how many of the first deliveries arrived a second. */
export async function drainOnce(
  { folder, database }: Backlog,
  receiver: Child,
  { deliveries = DELIVERIES, processes = 1 }: DrainPlan = {},
): Promise<number> {
  receiver.send(`expect ${deliveries}`);
  await receiver.line("ok expect");
  const started = Array.from({ length: processes }, () =>
    startChild([BINARY, "serve", folder, "--port", "0"], { env: serverEnv("on", database) }),
  );
  const { ms } = JSON.parse(await receiver.line("done ")) as { ms: number };
  await Promise.all(started.map((pylon) => pylon.stop("SIGKILL")));
  return deliveries / (ms / 1_000);
}

export async function drainBench(): Promise<Figure[]> {
  const { receiver, port: receiverPort } = await startReceiver();
  try {
    return await withFolder(async (folder) => {
      await fill({ folder }, receiverPort, DELIVERIES * ROUNDS);
      const bare = await bestBareLoop(receiverPort);
      let perSecond = 0;
      for (let round = 0; round < ROUNDS; round++)
        perSecond = Math.max(perSecond, await drainOnce({ folder }, receiver));
      const detail = `${Math.round(perSecond)}/s against ${Math.round(bare.perSecond)}/s (bare loop at ${bare.concurrency})`;
      return [judged({ name: "drain", value: perSecond / bare.perSecond, unit: "× bare", detail }, ">=", 0.5)];
    });
  } finally {
    await receiver.stop();
  }
}
