// (b) Draining 50,000 committed deliveries, every attempt recorded durably, against a bare loop of signed fetch POSTs to
// the same receiver at its best concurrency.

import { startChild, withFolder } from "../support/child.ts";
import { BINARY, ORDERS_PATH, runLoad, script, serverEnv, startBenchApp, startReceiver } from "./bench-app.ts";
import { judged, type Figure } from "./figure.ts";

const DELIVERIES = 50_000;
const BARE_REQUESTS = 40_000;
const CONCURRENCIES = [16, 32, 48, 64, 96] as const;

async function bestBareLoop(port: number): Promise<{ readonly perSecond: number; readonly concurrency: number }> {
  let best = { perSecond: 0, concurrency: 0 };
  for (const concurrency of CONCURRENCIES) {
    const url = `http://127.0.0.1:${port}/hook`;
    const loop = script("bare-loop.ts", [url, String(BARE_REQUESTS), String(concurrency)]);
    const { perSecond } = JSON.parse(await loop.line("result ")) as { perSecond: number };
    if (perSecond > best.perSecond) best = { perSecond, concurrency };
  }
  return best;
}

/** Inserts until at least 50,000 deliveries are committed, with nobody delivering them. Answers how many there are. */
async function fill(folder: string, receiverPort: number): Promise<number> {
  const { pylon, port, authorization } = await startBenchApp({ folder, receiverPort, jobs: "off" });
  let inserted = 0;
  while (inserted < DELIVERIES) {
    const load = await runLoad({ port, path: ORDERS_PATH, connections: 64, seconds: 1, authorization });
    inserted += load.answered;
  }
  await pylon.stop();
  return inserted;
}

export async function drainBench(): Promise<Figure[]> {
  const { receiver, port: receiverPort } = await startReceiver();
  try {
    return await withFolder(async (folder) => {
      await fill(folder, receiverPort);
      const bare = await bestBareLoop(receiverPort);
      receiver.send(`expect ${DELIVERIES}`);
      await receiver.line("ok expect");
      const pylon = startChild([BINARY, "serve", folder, "--port", "0"], { env: serverEnv("on") });
      const { ms } = JSON.parse(await receiver.line("done ")) as { ms: number };
      await pylon.stop();
      const perSecond = DELIVERIES / (ms / 1_000);
      const detail = `${Math.round(perSecond)}/s against ${Math.round(bare.perSecond)}/s (bare loop at ${bare.concurrency})`;
      return [judged({ name: "drain", value: perSecond / bare.perSecond, unit: "× bare", detail }, ">=", 0.5)];
    });
  } finally {
    await receiver.stop();
  }
}
