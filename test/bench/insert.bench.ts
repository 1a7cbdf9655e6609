// (a) Durable inserts over HTTP: session, policy, row and the hook's job in one transaction, FULL, 64 connections; against
// a bare Hono JSON echo under the same load generator.

import { withFolder } from "../support/child.ts";
import { ORDERS_PATH, runLoad, script, startBenchApp, startReceiver, type Load } from "./bench-app.ts";
import { informative, judged, type Figure } from "./figure.ts";

const CONNECTIONS = 64;
const SECONDS = 5;
const WARM_UP_SECONDS = 1.5;

async function measureEcho(): Promise<Load> {
  const echo = script("echo.ts");
  try {
    const port = Number(await echo.line("listening "));
    const plan = { port, path: "/echo", connections: CONNECTIONS };
    await runLoad({ ...plan, seconds: WARM_UP_SECONDS });
    return await runLoad({ ...plan, seconds: SECONDS });
  } finally {
    await echo.stop();
  }
}

async function measureInserts(jobs: "on" | "off"): Promise<Load> {
  const { receiver, port: receiverPort } = await startReceiver();
  try {
    return await withFolder(async (folder) => {
      const { pylon, port, authorization } = await startBenchApp({ folder, receiverPort, jobs });
      try {
        const plan = { port, path: ORDERS_PATH, connections: CONNECTIONS, authorization };
        await runLoad({ ...plan, seconds: WARM_UP_SECONDS });
        return await runLoad({ ...plan, seconds: SECONDS });
      } finally {
        await pylon.stop("SIGKILL");
      }
    });
  } finally {
    await receiver.stop();
  }
}

function describe(load: Load, echo: Load): string {
  const rates = `${Math.round(load.perSecond)}/s against ${Math.round(echo.perSecond)}/s`;
  return `${rates}, p50 ${load.p50.toFixed(2)} ms, p99 ${load.p99.toFixed(2)} ms, ${load.failed} failed`;
}

export async function insertBench(): Promise<Figure[]> {
  const echo = await measureEcho();
  const inserts = await measureInserts("off");
  const delivering = await measureInserts("on");
  return [
    judged(
      { name: "insert", value: inserts.perSecond / echo.perSecond, unit: "× echo", detail: describe(inserts, echo) },
      ">=",
      0.22,
    ),
    informative({
      name: "insert while delivering",
      value: delivering.perSecond / echo.perSecond,
      unit: "× echo",
      detail: `${describe(delivering, echo)}, its own deliveries going out on the same two cores`,
    }),
  ];
}
