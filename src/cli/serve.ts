// `pylon serve [DIR]`: production. Everything that it needs comes from the environment, and it starts complete or not at all.

import { cliError } from "./cli-errors.ts";
import type { CliPlatform, FlushableLog } from "./cli-platform.ts";
import type { ParsedArguments, RunCommand } from "./command.ts";
import { wantsColour } from "./paint.ts";
import { readAppDir, readDatabasePath, readHost, readLogFormat, readPort } from "./read-options.ts";
import { serveUntilStopped } from "./serve-until-stopped.ts";
import { startServer, type Server, type ServerOptions } from "./server.ts";
import { VERSION } from "../version.ts";

/** The line that says where the server answers; `event` is `listening`. */
export function logListening(log: FlushableLog, server: Server, options: ServerOptions): void {
  log.info("listening", {
    url: server.url,
    host: options.host,
    port: Number(new URL(server.url).port || 80),
    mode: options.mode,
    database: options.databasePath,
    version: VERSION,
    pid: options.platform.pid,
  });
}

async function readServeOptions(args: ParsedArguments, platform: CliPlatform): Promise<ServerOptions> {
  const { env, cwd, stdout } = platform;
  const dir = readAppDir(args, platform);
  if (!env.PYLON_ADMIN_TOKEN) throw cliError("ADMIN_TOKEN_MISSING");
  return {
    platform,
    dir,
    mode: "serve",
    host: readHost(args, env, "0.0.0.0"),
    port: readPort(args, env),
    databasePath: readDatabasePath(args, env, { dir, cwd }),
    log: await platform.openLog({ format: readLogFormat(env), colour: wantsColour(stdout, env) }),
  };
}

export const serve: RunCommand = async (args, platform) => {
  const options = await readServeOptions(args, platform);
  const server = await startServer(options, platform.env);
  logListening(options.log, server, options);
  return serveUntilStopped({ platform, log: options.log, server });
};
