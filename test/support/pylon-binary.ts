// Runs the compiled binary to its end, with an environment of its own: nothing of the machine's settings reaches it.

import { join } from "node:path";

/** The binary that `build.ts` makes for this machine; `test/run.ts` builds it first. */
export const PYLON_BINARY: string = join(
  import.meta.dir,
  "../../dist",
  process.platform === "win32" ? "pylon.exe" : "pylon",
);

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After this the process is killed and the result's exit code is not 0. @default 20_000 */
  readonly timeoutMs?: number;
}

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the binary with `args` and waits until it has ended. */
export async function runPylon(
  args: readonly string[],
  { cwd, env = {}, timeoutMs = 20_000 }: RunOptions,
): Promise<Ended> {
  const child = Bun.spawn([PYLON_BINARY, ...args], {
    cwd,
    env: { PATH: process.env["PATH"], HOME: cwd, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout, stderr };
}
