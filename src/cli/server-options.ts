// What `dev` and `serve` have in common before they start: address, database and log, from the options and the environment.

import type { Mode } from "../instance/outbound.ts";
import type { CliPlatform, FlushableLog } from "./cli-platform.ts";
import type { ParsedArguments } from "./command.ts";
import type { Database } from "./database.ts";
import { wantsColour } from "./paint.ts";
import { readDatabase, readHost, readLogFormat, readPort } from "./read-options.ts";

export interface ServerOptions {
  readonly platform: CliPlatform;
  /** The application's folder, absolute. */
  readonly dir: string;
  readonly mode: Mode;
  readonly host: string;
  /** 0 chooses a free one. */
  readonly port: number;
  readonly database: Database;
  readonly log: FlushableLog;
}

/** @throws USAGE, CONFIG_INVALID, STORE_UNSUPPORTED */
export async function readServerOptions(
  args: ParsedArguments,
  platform: CliPlatform,
  { dir, mode, defaultHost }: { readonly dir: string; readonly mode: Mode; readonly defaultHost: string },
): Promise<ServerOptions> {
  const { env, cwd, stdout } = platform;
  return {
    platform,
    dir,
    mode,
    host: readHost(args, env, defaultHost),
    port: readPort(args, env),
    database: readDatabase(args, env, { dir, cwd }),
    log: await platform.openLog({ format: readLogFormat(env), colour: wantsColour(stdout, env) }),
  };
}
