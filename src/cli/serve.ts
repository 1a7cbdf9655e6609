// `pylon serve [DIR]`: production. Everything that it needs comes from the environment, and it starts complete or not at all.

import { cliError } from "./cli-errors.ts";
import type { RunCommand } from "./command.ts";
import { logListening } from "./log-listening.ts";
import { readAppDir } from "./read-options.ts";
import { readServerOptions } from "./server-options.ts";
import { serveUntilStopped } from "./serve-until-stopped.ts";
import { startServer } from "./server.ts";

export const serve: RunCommand = async (args, platform) => {
  const dir = readAppDir(args, platform);
  if (!platform.env.PYLON_ADMIN_TOKEN) throw cliError("ADMIN_TOKEN_MISSING");
  const options = await readServerOptions(args, platform, { dir, mode: "serve", defaultHost: "0.0.0.0" });
  const server = await startServer(options, platform.env);
  logListening(server, options);
  return serveUntilStopped({ platform, log: options.log, server });
};
