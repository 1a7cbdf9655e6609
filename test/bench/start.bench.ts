// (e) From the start of the process to the first answer of /health with an existing database, and the memory of a process
// that waits.

import { readFileSync } from "node:fs";
import { startChild, withFolder } from "../support/child.ts";
import { BINARY, serverEnv, startBenchApp } from "./bench-app.ts";
import { judged, percentile, type Figure } from "./figure.ts";

const STARTS = 15;
const PORT = 4398;

async function untilHealthy(startedMs: number): Promise<number> {
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${PORT}/health`);
      if (response.ok) return performance.now() - startedMs;
    } catch {
      // Not listening yet.
    }
    await Bun.sleep(0.5);
  }
}

function memoryMb(pid: number, field: "VmRSS" | "RssAnon"): number {
  const line = readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`${field}:\\s+(\\d+)`));
  return (Number(line?.[1] ?? 0) * 1_024) / 1e6;
}

export async function startBench(): Promise<Figure[]> {
  return withFolder(async (folder) => {
    const first = await startBenchApp({ folder, receiverPort: 4_397 });
    await first.pylon.stop();
    const times: number[] = [];
    let rss = 0;
    let anonymous = 0;
    for (let round = 0; round < STARTS; round++) {
      const startedMs = performance.now();
      const pylon = startChild([BINARY, "serve", folder, "--port", String(PORT)], { env: serverEnv() });
      times.push(await untilHealthy(startedMs));
      if (round === STARTS - 1) {
        await Bun.sleep(2_000);
        rss = memoryMb(pylon.pid, "VmRSS");
        anonymous = memoryMb(pylon.pid, "RssAnon");
      }
      await pylon.stop();
    }
    const spread = `median of ${STARTS}; ${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms`;
    return [
      judged({ name: "start to /health", value: percentile(times, 0.5), unit: "ms", detail: spread }, "<", 60),
      judged(
        { name: "idle memory", value: rss, unit: "MB", detail: `${anonymous.toFixed(0)} MB of it anonymous` },
        "<",
        90,
      ),
    ];
  });
}
