#!/usr/bin/env bun
// The program: hands the commands what they need of Bun and ends with their exit code. What a command does not use is not
// loaded.

import process from "node:process";
import type { CliPlatform } from "./cli/cli-platform.ts";
import { runCli } from "./cli/run-cli.ts";
import { createTerminal } from "./platform/terminal.ts";

const platform: CliPlatform = {
  env: process.env,
  cwd: process.cwd(),
  pid: process.pid,
  stdout: createTerminal(1),
  stderr: createTerminal(2),
  openRuntime: async () => (await import("./platform/bun-platform.ts")).createBunPlatform(),
  async openStore(database, onWaiting) {
    if (database.kind === "postgres") {
      const { openDatabaseServer } = await import("./platform/postgres-platform.ts");
      return openDatabaseServer({ url: database.url, ...database.limits, onWaiting });
    }
    const { sqlitePlatform } = await import("./platform/sqlite-platform.ts");
    const { openSqliteStore } = await import("./store/sqlite/open-sqlite-store.ts");
    return openSqliteStore({ path: database.path, platform: sqlitePlatform });
  },
  async copyDatabase(from, to) {
    const { sqlitePlatform } = await import("./platform/sqlite-platform.ts");
    const { copyDatabase } = await import("./store/sqlite/copy-database.ts");
    copyDatabase({ platform: sqlitePlatform, from, to });
  },
  openAuditFile: async (path) => (await import("./platform/audit-file.ts")).openAuditFile(path),
  loadApp: async (options) => (await import("./platform/load-app-bun.ts")).loadApp(options),
  watchApp: async (options) => (await import("./platform/watch.ts")).watchApp(options),
  listen: async (options) => (await import("./platform/listen-bun.ts")).listenOnBun(options),
  async openLog(options) {
    const { createWriteLog, toDescriptor } = await import("./platform/write-log.ts");
    const log = createWriteLog({ ...options, write: toDescriptor(1) });
    process.on("exit", () => log.flush());
    return log;
  },
  onStopSignal(listener) {
    process.on("SIGTERM", listener);
    process.on("SIGINT", listener);
  },
  exit: (code) => process.exit(code),
};

// Not `exitCode`: what an application left running must not keep the process of a command that is done.
process.exit(await runCli(process.argv.slice(2), platform));
