// (h) What the audit log costs: durable inserts over HTTP with signing and tree on against the same with audit off, and how
// fast a log of a million entries is verified, in constant memory, on one core.

import { join } from "node:path";
import { startScript, withFolder } from "../support/child.ts";
import { ORDERS_PATH, runLoad, startBenchApp, type Load } from "./bench-app.ts";
import { informative, judged, percentile, type Figure } from "./figure.ts";

const CONNECTIONS = 64;
const SECONDS = 4;
const WARM_UP_SECONDS = 1;
/** Pairs of runs, one beside the other, so that a busy machine is as busy for both. */
const ROUNDS = 3;
const ENTRIES = Number(process.env["BENCH_AUDIT_ENTRIES"] ?? 1_000_000);
const MIB = 1024 * 1024;

function measureInserts(audited: boolean): Promise<Load> {
  return withFolder(async (folder) => {
    // Deliveries are off, so nobody listens at the receiver's port.
    const { pylon, port, authorization } = await startBenchApp({ folder, receiverPort: 9, jobs: "off", audited });
    try {
      const plan = { port, path: ORDERS_PATH, connections: CONNECTIONS, authorization };
      await runLoad({ ...plan, seconds: WARM_UP_SECONDS });
      return await runLoad({ ...plan, seconds: SECONDS });
    } finally {
      await pylon.stop("SIGKILL");
    }
  });
}

async function insertFigure(): Promise<Figure> {
  const ratios: number[] = [];
  const rates: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const off = await measureInserts(false);
    const on = await measureInserts(true);
    ratios.push(on.perSecond / off.perSecond);
    rates.push(`${Math.round(on.perSecond)}/s against ${Math.round(off.perSecond)}/s`);
  }
  const value = percentile(ratios, 0.5);
  return judged({ name: "audited insert", value, unit: "× audit off", detail: rates.join(", ") }, ">=", 0.85);
}

interface Verified {
  readonly checked: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

async function runLogFile(args: readonly string[], line: string): Promise<string> {
  const child = startScript(join(import.meta.dir, "audit-log-file.ts"), args);
  try {
    return await child.line(line);
  } finally {
    await child.stop();
  }
}

async function verifyFigures(): Promise<Figure[]> {
  return withFolder(async (folder) => {
    const path = join(folder, "log.db");
    await runLogFile(["make", path, String(ENTRIES)], "made");
    const runs: Verified[] = [];
    for (let round = 0; round < 2; round++) {
      runs.push(JSON.parse(await runLogFile(["verify", path], "result ")) as Verified);
    }
    const best = runs.reduce((a, b) => (a.seconds < b.seconds ? a : b));
    const detail = `${best.checked} entries, ${best.cpuSeconds.toFixed(2)} s of one core in ${best.seconds.toFixed(2)} s`;
    return [
      judged({ name: "audit verify", value: best.checked / best.seconds, unit: "rows/s", detail }, ">=", 300_000),
      informative({
        name: "audit verify memory",
        value: best.peakBytes / MIB,
        unit: "MiB",
        detail: "resident, at its highest",
      }),
    ];
  });
}

export async function auditBench(): Promise<Figure[]> {
  return [await insertFigure(), ...(await verifyFigures())];
}
