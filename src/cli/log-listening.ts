// The line of the log that says where a server answers; `event` is `listening`.

import { VERSION } from "../version.ts";
import type { Server } from "./server.ts";
import type { ServerOptions } from "./server-options.ts";

export function logListening(server: Server, { log, host, mode, database, platform }: ServerOptions): void {
  const { url, port } = server;
  log.info("listening", { url, host, port, mode, database: database.name, version: VERSION, pid: platform.pid });
}
