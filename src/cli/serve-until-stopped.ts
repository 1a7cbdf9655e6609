// Keeps a server running until a signal ends it: the first one lets it finish what it has begun, a second one does not wait.

import { messageOf } from "../core/errors.ts";
import type { CliPlatform, FlushableLog } from "./cli-platform.ts";
import type { Server } from "./server.ts";

export interface ServeUntilStoppedOptions {
  readonly platform: CliPlatform;
  readonly log: FlushableLog;
  readonly server: Server;
  /** Ends what runs beside the server; called before it stops. */
  readonly beforeStop?: () => void;
}

/** Never resolves: the process ends with 0 when everything has ended in time, with 1 otherwise. */
export function serveUntilStopped({ platform, log, server, beforeStop }: ServeUntilStoppedOptions): Promise<never> {
  const exit = (code: number): never => {
    log.flush();
    return platform.exit(code);
  };
  const stop = async (): Promise<void> => {
    log.info("stopping");
    beforeStop?.();
    try {
      const isDone = await server.stop();
      if (isDone) log.info("stopped");
      else log.error("stop.timeout", { message: "Not everything ended in time" });
      exit(isDone ? 0 : 1);
    } catch (error) {
      log.error("stop.failed", { message: messageOf(error), stack: error instanceof Error ? error.stack : undefined });
      exit(1);
    }
  };
  let signals = 0;
  platform.onStopSignal(() => {
    signals += 1;
    if (signals > 1) exit(1);
    void stop();
  });
  return new Promise<never>(() => undefined);
}
