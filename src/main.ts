// The program: hands the commands what they need of Bun and ends with their exit code. What a command does not use is not
// loaded.

import { existsSync, writeSync } from "node:fs";
import process from "node:process";
import type { CliPlatform, Terminal } from "./cli/cli-platform.ts";
import { runCli } from "./cli/run-cli.ts";

function terminal(descriptor: number, { isTTY = false }: { isTTY?: boolean }): Terminal {
  return {
    isTTY,
    write(text) {
      let rest = new TextEncoder().encode(text);
      while (rest.length > 0) rest = rest.subarray(writeSync(descriptor, rest));
    },
  };
}

const platform: CliPlatform = {
  env: process.env,
  cwd: process.cwd(),
  pid: process.pid,
  stdout: terminal(1, process.stdout),
  stderr: terminal(2, process.stderr),
  openRuntime: async () => (await import("./platform/bun-platform.ts")).createBunPlatform(),
};
