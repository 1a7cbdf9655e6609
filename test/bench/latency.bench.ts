// (c) From the write to the arrival at the receiver, at 1,000 inserts a second. The body's timestamp is taken inside the
// transaction and cut to the millisecond, so the figure includes the commit and up to one millisecond more.

import { withFolder } from "../support/child.ts";
import { ORDERS_PATH, runLoad, startBenchApp, startReceiver } from "./bench-app.ts";
import { judged, percentile, type Figure } from "./figure.ts";

const RATE = 1_000;
const SECONDS = 10;

export async function latencyBench(): Promise<Figure[]> {
  const { receiver, port: receiverPort } = await startReceiver();
  try {
    return await withFolder(async (folder) => {
      const { pylon, port, authorization } = await startBenchApp({ folder, receiverPort });
      const plan = { port, path: ORDERS_PATH, connections: 64, rate: RATE, authorization };
      await runLoad({ ...plan, seconds: 3 });
      receiver.send("time");
      await receiver.line("ok time");
      const load = await runLoad({ ...plan, seconds: SECONDS });
      receiver.send("latencies");
      const latencies = JSON.parse(await receiver.line("latencies ")) as number[];
      await pylon.stop();
      const detail = `${latencies.length} deliveries at ${Math.round(load.perSecond)} inserts/s, max ${percentile(latencies, 1).toFixed(1)} ms`;
      return [
        judged({ name: "commit to arrival p50", value: percentile(latencies, 0.5), unit: "ms", detail }, "<", 5),
        judged({ name: "commit to arrival p99", value: percentile(latencies, 0.99), unit: "ms", detail }, "<", 25),
      ];
    });
  } finally {
    await receiver.stop();
  }
}
