// (h) What the audit log costs: durable inserts over HTTP with signing and tree on against the same with audit off, and how
// fast a log of a million entries is verified, in constant memory, on one core.

import { join } from "node:path";
import { startScript, withFolder } from "../support/child.ts";
import { ORDERS_PATH, runLoad, startBenchApp } from "./bench-app.ts";
import { informative, judged, percentile, type Figure } from "./figure.ts";

const CONNECTIONS = 64;
/** Long enough for the code that runs once in a commit to be compiled as well. */
const WARM_UP_SECONDS = 3;
/** Both servers take turns of a second, so that a busy machine is as busy for both, and which is first alternates. */
const PAIRS = 12;
const SECONDS = 1;
const ENTRIES = Number(process.env["BENCH_AUDIT_ENTRIES"] ?? 1_000_000);
const MIB = 1024 * 1024;

/** Puts the application under load for some seconds at a time; answers how many inserts a second it has acknowledged. */
type Turn = (seconds: number) => Promise<number>;

async function withApp<T>(audited: boolean, run: (turn: Turn) => Promise<T>): Promise<T> {
  return withFolder(async (folder) => {
    // Deliveries are off, so nobody listens at the receiver's port.
    const { pylon, port, authorization } = await startBenchApp({ folder, receiverPort: 9, jobs: "off", audited });
    const plan = { port, path: ORDERS_PATH, connections: CONNECTIONS, authorization };
    try {
      return await run(async (seconds) => (await runLoad({ ...plan, seconds })).perSecond);
    } finally {
      await pylon.stop("SIGKILL");
    }
  });
}

async function insertFigure(): Promise<Figure> {
  const [off, on]: [number[], number[]] = [[], []];
  await withApp(false, (plain) =>
    withApp(true, async (audited) => {
      for (const turn of [plain, audited]) await turn(WARM_UP_SECONDS);
      for (let pair = 0; pair < PAIRS; pair++) {
        const turns = [async () => off.push(await plain(SECONDS)), async () => on.push(await audited(SECONDS))];
        for (const turn of pair % 2 === 0 ? turns : turns.toReversed()) await turn();
      }
    }),
  );
  const ratios = on.map((rate, pair) => rate / (off[pair] as number));
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
  const rates = `${Math.round(percentile(on, 0.5))}/s against ${Math.round(percentile(off, 0.5))}/s`;
  const detail = `${rates}, medians of ${PAIRS} turns of each; ${least} to ${most}`;
  return judged({ name: "audited insert", value: percentile(ratios, 0.5), unit: "× audit off", detail }, ">=", 0.85);
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
