// A running server: one address, one store, and the version of the application that answers now. A version can be replaced
// while it serves; a stop finishes what runs and leaves the database closed.

import { resolve } from "node:path";
import { createSystemClock, type Clock } from "../core/clock.ts";
import type { Env } from "../core/env.ts";
import { messageOf } from "../core/errors.ts";
import { readSettings } from "../instance/settings.ts";
import type { Platform } from "../pylon.ts";
import type { Store } from "../store/store.ts";
import { cliError } from "./cli-errors.ts";
import type { CliPlatform, Listener, ListenerOptions } from "./cli-platform.ts";
import { openApp, type OpenApp } from "./open-app.ts";
import type { ServerOptions } from "./server-options.ts";

export interface Server {
  /** Where it answers, as this machine reaches it. */
  readonly url: string;
  readonly port: number;
  /** The version that answers now. */
  current(): OpenApp;
  /** Loads the application again; the version before keeps serving when that fails. @throws what is wrong with it */
  reload(env: Env): Promise<void>;
  /** Finishes what runs for at most PYLON_DRAIN_SECS, then closes everything. Answers whether it all ended in time. */
  stop(): Promise<boolean>;
}

/** Beyond the drain: for the last answers to reach their readers, and for everything to be closed. */
const CUT_MS = 500;
const CLOSE_MS = 5_000;

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** @throws PORT_BUSY, LISTEN_FAILED */
async function listen(platform: CliPlatform, options: ListenerOptions): Promise<Listener> {
  const { host, port } = options;
  try {
    return await platform.listen(options);
  } catch (error) {
    if (codeOf(error) === "EADDRINUSE") {
      throw cliError("PORT_BUSY", {
        message: `Port ${port} on ${host} is taken by another process`,
        hint: "Choose another with --port PORT or PYLON_PORT; --port 0 takes a free one",
        cause: error,
      });
    }
    throw cliError("LISTEN_FAILED", {
      message: `Cannot listen on ${host}, port ${port}: ${messageOf(error)}`,
      hint: "--host or PYLON_HOST has to be an address of this machine; ports below 1024 may need privileges",
      cause: error,
    });
  }
}

/** Wildcard addresses are no place to send a request to. */
function toUrl(host: string, port: number): string {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host;
  const literal = reachable.includes(":") && !reachable.startsWith("[") ? `[${reachable}]` : reachable;
  return `http://${literal}:${port}`;
}

interface Parts {
  readonly options: ServerOptions;
  readonly runtime: Platform;
  readonly store: Store;
  readonly clock: Clock;
  readonly drainMs: number;
}

function openVersion({ options, runtime, store, clock }: Parts, env: Env): Promise<OpenApp> {
  const { platform, dir, log, mode } = options;
  return openApp({ platform, dir, log, mode, runtime, store, clock, env });
}

/** Lets a version finish what it has begun, then ends what its code still runs. The store stays open. */
async function retire({ pylon, source }: OpenApp, drainMs: number): Promise<void> {
  await pylon.close({ drainMs, closeStore: false });
  source.dispose();
}

function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(ms, () => resolve(false));
    work.then(() => resolve(true), reject).finally(cancel);
  });
}

/** The version that answers; replacing it is one assignment. */
interface Live {
  app: OpenApp;
}

function listenFor(live: Live, { platform, host, port, log }: ServerOptions): Promise<Listener> {
  return listen(platform, {
    host,
    port,
    fetch: (request, peerOf) => live.app.pylon.fetch(request, peerOf),
    onError: (error) => log.error("listener.failed", { message: messageOf(error) }),
  });
}

/** Files that the application names are relative to its folder. */
function runtimeIn(dir: string, runtime: Platform): Platform {
  const { appendFile } = runtime;
  return appendFile ? { ...runtime, appendFile: (path, text) => appendFile(resolve(dir, path), text) } : runtime;
}

async function openFirst(parts: Parts, env: Env): Promise<{ readonly live: Live; readonly listener: Listener }> {
  const live = { app: await openVersion(parts, env) };
  try {
    return { live, listener: await listenFor(live, parts.options) };
  } catch (error) {
    await retire(live.app, 0);
    throw error;
  }
}

/**
 * Opens the store, the application and the address, in this order, and starts background work.
 *
 * @throws what is wrong with any of them; nothing is left open then.
 */
export async function startServer(options: ServerOptions, env: Env): Promise<Server> {
  const { drainMs } = readSettings(env, options.mode);
  const runtime = runtimeIn(options.dir, await options.platform.openRuntime());
  const { database, log } = options;
  const store = await options.platform.openStore(database, ({ reason, nextTryMs }) =>
    log.warn("database.waiting", { database: database.name, reason, nextTryMs }),
  );
  const parts: Parts = { options, runtime, store, clock: createSystemClock(), drainMs };
  try {
    const { live, listener } = await openFirst(parts, env);
    live.app.pylon.start();
    return createServer(parts, live, listener);
  } catch (error) {
    await store.close();
    throw error;
  }
}

function createServer(parts: Parts, live: Live, listener: Listener): Server {
  const { options, store, clock, drainMs } = parts;
  let stopping: Promise<boolean> | undefined;
  const retiring = new Set<Promise<void>>();
  const beginRetiring = (version: OpenApp): void => {
    const work = retire(version, drainMs)
      .catch((error: unknown) => options.log.error("reload.leftover", { message: messageOf(error) }))
      .finally(() => retiring.delete(work));
    retiring.add(work);
  };
  const finish = async (): Promise<void> => {
    // Readiness fails first: connections that are open still get an answer that says so.
    const retired = retire(live.app, drainMs);
    const ended = within(clock, drainMs + CUT_MS, listener.stop());
    await Promise.all([retired, ...retiring]);
    // What is left is an answer that its reader does not take.
    if (!(await ended)) await listener.cut();
    await store.close();
  };
  return {
    url: toUrl(options.host, listener.port),
    port: listener.port,
    current: () => live.app,
    async reload(env) {
      const next = await openVersion(parts, env);
      if (stopping) return retire(next, 0);
      const before = live.app;
      live.app = next;
      next.pylon.start();
      beginRetiring(before);
    },
    stop: () => (stopping ??= within(clock, drainMs + CLOSE_MS, finish())),
  };
}
