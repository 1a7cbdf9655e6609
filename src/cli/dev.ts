// `pylon dev [DIR]`: serves while the application is being written. Every change is loaded as a new version; one that does not
// stand is reported, and the version before it goes on serving.

import { relative } from "node:path";
import type { Env } from "../core/env.ts";
import { VERSION } from "../version.ts";
import { createAdminToken } from "./admin-token.ts";
import { describeApp, renderBanner, type ShownToken } from "./banner.ts";
import type { CliPlatform, Terminal } from "./cli-platform.ts";
import type { RunCommand } from "./command.ts";
import { createEnvFiles, type EnvFiles } from "./env-files.ts";
import { logListening } from "./log-listening.ts";
import { createPaint, wantsColour } from "./paint.ts";
import { readAppDir, readLogFormat } from "./read-options.ts";
import { renderError } from "./render-error.ts";
import { serveUntilStopped } from "./serve-until-stopped.ts";
import { startServer, type Server } from "./server.ts";
import { readServerOptions, type ServerOptions } from "./server-options.ts";

/** Changes that one line names. */
const MAX_NAMED = 3;

function chooseToken(env: Env, files: EnvFiles): ShownToken {
  const token = env.PYLON_ADMIN_TOKEN;
  if (!token) return { token: createAdminToken(), source: "generated" };
  return { token, source: files.has("PYLON_ADMIN_TOKEN") ? "file" : "environment" };
}

function nameChanges(dir: string, paths: readonly string[]): string {
  const names = paths.slice(0, MAX_NAMED).map((path) => relative(dir, path));
  return paths.length > MAX_NAMED ? `${names.join(", ")} and ${paths.length - MAX_NAMED} more` : names.join(", ");
}

interface Dev {
  readonly platform: CliPlatform;
  readonly options: ServerOptions;
  readonly server: Server;
  readonly files: EnvFiles;
  /** The environment of the instance, as it is now. */
  readonly readEnv: () => Env;
}

async function reload({ platform, options, server, files, readEnv }: Dev, paths: readonly string[]): Promise<void> {
  const startedMs = performance.now();
  const changed = nameChanges(options.dir, paths);
  try {
    files.load();
    await server.reload(readEnv());
    const { blueprint, source } = server.current();
    const ms = Math.round(performance.now() - startedMs);
    options.log.info("reloaded", { changed, ms, now: describeApp(blueprint, source.functions.size) });
  } catch (error) {
    options.log.warn("reload.failed", { changed, message: "The version before keeps serving" });
    // The log first, so that the two streams are read in the order in which things happened.
    options.log.flush();
    platform.stderr.write(renderError(error, createPaint(wantsColour(platform.stderr, platform.env))));
  }
}

function showBanner({ platform, options, server }: Dev, admin: ShownToken): void {
  // A reader of JSON lines gets nothing else on standard output.
  const terminal: Terminal = readLogFormat(platform.env) === "json" ? platform.stderr : platform.stdout;
  const { blueprint, source } = server.current();
  const parts = {
    version: VERSION,
    url: server.url,
    database: options.database.name,
    admin,
    blueprint,
    functionCount: source.functions.size,
  };
  options.log.flush();
  terminal.write(renderBanner(parts, createPaint(wantsColour(terminal, platform.env))));
}

export const dev: RunCommand = async (args, platform) => {
  const dir = readAppDir(args, platform);
  const files = createEnvFiles(dir, platform.env);
  files.load();
  const options = await readServerOptions(args, platform, { dir, mode: "dev", defaultHost: "127.0.0.1" });
  const admin = chooseToken(platform.env, files);
  const readEnv = (): Env => ({ ...platform.env, PYLON_ADMIN_TOKEN: platform.env.PYLON_ADMIN_TOKEN || admin.token });
  const server = await startServer(options, readEnv());
  const running: Dev = { platform, options, server, files, readEnv };
  const { log } = options;
  const watch = await platform.watchApp({
    dir,
    onChange: (paths) => reload(running, paths),
    onError: (error) => log.error("watch.failed", { message: error instanceof Error ? error.message : String(error) }),
    ignore: (path) => options.database.kind === "sqlite" && path.startsWith(options.database.path),
  });
  showBanner(running, admin);
  logListening(server, options);
  return serveUntilStopped({ platform, log, server, beforeStop: () => watch.close() });
};
