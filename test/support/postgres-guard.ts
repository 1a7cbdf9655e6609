// Outlives the process that started a test's Postgres just long enough to end that server and to remove its folder. It acts
// once its input closes, which the system does for a process that was killed.

import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";

const END_TIMEOUT_MS = 10_000;
const folder = process.argv[2] ?? "";

// An interrupt from the terminal reaches the whole group; whoever started us decides when it is over.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

/** The process that serves the folder, by its lock file. */
function readServerPid(): number | undefined {
  try {
    return Number.parseInt(readFileSync(join(folder, "data/postmaster.pid"), "utf8"), 10) || undefined;
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

async function endServer(): Promise<void> {
  const pid = readServerPid();
  if (pid === undefined) return;
  // An immediate shutdown: nobody will look at the data again.
  signal(pid, "SIGQUIT");
  const deadlineMs = performance.now() + END_TIMEOUT_MS;
  // A process that nobody waits for is still there for `kill`, but it has removed its lock file.
  while (signal(pid, 0) && readServerPid() === pid) {
    if (performance.now() > deadlineMs) {
      signal(pid, "SIGKILL");
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

for await (const _chunk of process.stdin) {
  // Nothing is said to us; what counts is the end.
}
await endServer();
await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
