// Assembles an instance: a manifest, a store and a platform become an HTTP application with background work. Knows no
// plugin by name and no platform; everything that differs is handed in.

import { createAuth, type Auth } from "./auth/create-auth.ts";
import { parseJwtConfig, type JwtConfig } from "./auth/jwt-config.ts";
import type { OpenSharedServer } from "./cache/shared-server.ts";
import type { Clock } from "./core/clock.ts";
import type { Env } from "./core/env.ts";
import { isPylonError } from "./core/errors.ts";
import { ANONYMOUS, type Identity } from "./core/identity.ts";
import { createUlidSource, type UlidSource } from "./core/ids.ts";
import type { Json } from "./core/json.ts";
import type { Log } from "./core/log.ts";
import { createHmacSigner, type HmacSigner } from "./crypto/hmac.ts";
import { portableSha256, type Sha256 } from "./crypto/sha256.ts";
import { createData, type Data } from "./data/data.ts";
import type { CallStorage } from "./functions/current-call.ts";
import type { FunctionDefinitions } from "./functions/define.ts";
import { createFunctions, type Functions } from "./functions/functions.ts";
import { authRoutes } from "./http/auth-routes.ts";
import { createCors } from "./http/cors.ts";
import { entityRoutes } from "./http/entity-routes.ts";
import { functionRoutes } from "./http/function-routes.ts";
import { httpError } from "./http/http-errors.ts";
import { createIdempotency } from "./http/idempotency.ts";
import { createMetrics } from "./http/metrics.ts";
import type { ApiParts } from "./http/openapi.ts";
import { createRouteRunner } from "./http/route-runner.ts";
import { createHttpServer, type HttpServer } from "./http/server.ts";
import { systemRoutes } from "./http/system-routes.ts";
import { appMemberships, appUsers } from "./instance/app-users.ts";
import { auditedEntities, type Blueprint, prepareStore } from "./instance/blueprint.ts";
import { jobGauges } from "./instance/job-gauges.ts";
import { createOutbound, type Mode } from "./instance/outbound.ts";
import { readSettings, type Settings } from "./instance/settings.ts";
import { createUpkeep, type Sweep } from "./instance/upkeep.ts";
import { createJobEngine, type JobEngine } from "./jobs/job-engine.ts";
import type { Manifest } from "./manifest/manifest.ts";
import type { Dialer } from "./net/dialer.ts";
import { createGuardedClient } from "./net/guarded-client.ts";
import type { PluginHost, PluginParts } from "./plugin/plugin.ts";
import type { Route } from "./plugin/route.ts";
import { closePlugins, setUpPlugins } from "./plugin/registry.ts";
import type { Store } from "./store/store.ts";

/** What a runtime gives an instance. */
export interface Platform {
  readonly dialer: Dialer;
  /** Runs a task in a macrotask of its own. */
  defer(task: () => void): void;
  readonly storage: CallStorage;
  /** A signer that is faster than WebCrypto's for short messages. @default WebCrypto's */
  readonly createSigner?: (secret: string | Uint8Array) => HmacSigner;
  /** @default one in the language itself, which is slower */
  readonly sha256?: Sha256;
  /** Appends to a file and waits until that is durable; makes the file when it is missing. Absent: there are no files. */
  readonly appendFile?: (path: string, text: string) => Promise<void>;
  /** Drivers of Redis and Memcached. */
  readonly openSharedServer: OpenSharedServer;
}

export interface AssemblyOptions {
  /** From {@link readBlueprint}. */
  readonly blueprint: Blueprint;
  readonly functions: FunctionDefinitions;
  /** Open; the instance closes it. */
  readonly store: Store;
  readonly env: Env;
  readonly mode: Mode;
  readonly clock: Clock;
  readonly log: Log;
  readonly platform: Platform;
  readonly version: string;
}

export interface CloseOptions {
  /** @default PYLON_DRAIN_SECS */
  readonly drainMs?: number;
  /** False leaves the store open, for whoever opened it. @default true */
  readonly closeStore?: boolean;
}

/** A running application. */
export interface Pylon {
  readonly manifest: Manifest;
  readonly data: Data;
  readonly functions: Functions;
  readonly auth: Auth;
  readonly jobs: JobEngine;
  /** Exports of `@pylonsync/sdk` that the plugins give. */
  readonly sdk: Readonly<Record<string, unknown>>;
  fetch(request: Request, peerOf?: () => string | null): Promise<Response>;
  /** Calls a function. @default actor anonymous */
  call(name: string, args: unknown, actor?: Identity): Promise<Json>;
  /** Begins background work: deliveries, scheduled functions, upkeep. @throws DRAINING after `close` */
  start(): void;
  /** Refuses new requests, finishes what runs for at most `drainMs`, and closes everything. Safe to repeat. */
  close(options?: CloseOptions): Promise<void>;
}

/** What the environment says, all of it read before anything is touched. */
interface Configuration {
  readonly settings: Settings;
  readonly jwt: JwtConfig | null;
}

interface Core {
  readonly options: AssemblyOptions;
  readonly settings: Settings;
  readonly blueprint: Blueprint;
  readonly ulid: UlidSource;
  readonly parts: readonly PluginParts[];
  readonly data: Data;
  readonly functions: Functions;
  readonly auth: Auth;
  readonly jobs: JobEngine;
}

/** What the plugins give application code, by name. */
function sdkOf(parts: readonly PluginParts[]): Readonly<Record<string, unknown>> {
  return Object.assign({}, ...parts.map((part) => part.sdk ?? {})) as Record<string, unknown>;
}

/** Everything that is made from plugins that are set up. */
function buildCore(
  options: AssemblyOptions,
  { settings, jwt }: Configuration,
  { blueprint, parts, ulid, data }: Pick<Core, "blueprint" | "parts" | "ulid" | "data">,
): Core {
  const { store, clock, env, log, platform, mode } = options;
  const functions = createFunctions({
    data,
    definitions: options.functions,
    clock,
    ulid,
    env,
    storage: platform.storage,
    sdk: sdkOf(parts),
    timeoutMs: settings.functionTimeoutMs,
    log: ({ name, kind, requestId, message, error }) => {
      const stack = error instanceof Error ? error.stack : undefined;
      const { code, hint } = isPylonError(error) ? error : { code: undefined, hint: undefined };
      log.error("function.failed", { name, kind, requestId, code, message, hint, stack });
    },
  });
  const users = appUsers(blueprint.model, () => data);
  const members = appMemberships(blueprint.model, () => data);
  const auth = createAuth({
    store,
    clock,
    adminToken: settings.adminToken,
    jwt,
    mailer: null,
    showCodes: mode === "dev",
    ...(users ? { users } : {}),
    ...(members ? { appMemberships: members } : {}),
  });
  const jobs = createJobEngine({
    store,
    clock,
    handlers: [...parts.flatMap((part) => part.jobs ?? []), functions.job],
    owner: `pylon-${crypto.randomUUID()}`,
    defer: (task) => platform.defer(task),
    log: (level, message, fields) => log[level](`jobs.${level}`, { message, ...fields }),
  });
  return { options, settings, blueprint, ulid, parts, data, functions, auth, jobs };
}

interface Assembly extends Server {
  readonly core: Core;
}

/** Sets the plugins up and builds on them; when that fails they are closed again. */
async function openCore(
  options: AssemblyOptions,
  blueprint: Blueprint,
  configuration: Configuration,
): Promise<Assembly> {
  const { store, clock, env, log, platform, mode } = options;
  const ulid = createUlidSource();
  const { guard } = createOutbound(blueprint.chosen, mode);
  const http = createGuardedClient({ guard, dialer: platform.dialer, clock });
  let data: Data | undefined;
  const dataOf = (): Data => {
    if (!data) throw new TypeError("A plugin used data while it was set up");
    return data;
  };
  const { createSigner = createHmacSigner, sha256 = portableSha256, appendFile } = platform;
  const host: PluginHost = {
    env,
    clock,
    ulid,
    log,
    store,
    reader: store.reader,
    http,
    createSigner,
    sha256,
    ...(appendFile ? { appendFile } : {}),
    openSharedServer: platform.openSharedServer,
    data: dataOf,
    auditedEntities: auditedEntities(blueprint),
    currentCall: () => platform.storage.getStore(),
  };
  const parts = await setUpPlugins(blueprint.chosen, host);
  try {
    const { model } = blueprint;
    data = createData({ store, model, clock, ulid, hooks: parts.flatMap(({ hooks }) => hooks ?? []), log });
    const core = buildCore(options, configuration, { blueprint, parts, ulid, data });
    return { core, ...buildServer(core) };
  } catch (error) {
    await closePlugins(parts);
    throw error;
  }
}

interface Server {
  readonly server: HttpServer;
  readonly sweep: Sweep;
}

function buildServer(core: Core): Server {
  const { options, settings, blueprint, data, functions, auth, jobs, parts } = core;
  const { store, clock, log, version } = options;
  const idempotency = createIdempotency({ store, clock, longestMs: settings.functionTimeoutMs });
  const metrics = createMetrics(jobGauges(store.reader, jobs));
  const routes: Route[] = [
    ...parts.flatMap((part) => part.routes ?? []),
    ...authRoutes(auth),
    ...entityRoutes(data),
    ...functionRoutes(functions),
  ];
  let server: HttpServer | undefined;
  const draining = (): Promise<void> =>
    server?.isDraining ? Promise.reject(httpError("DRAINING")) : Promise.resolve();
  const { manifest, model } = blueprint;
  const system = systemRoutes({
    name: manifest.name,
    version,
    appVersion: manifest.version,
    publicUrl: options.env.PYLON_PUBLIC_URL ?? null,
    clock,
    store,
    probes: { process: draining },
    metrics,
    routes,
    model,
    functions,
    webhooks: Object.assign({}, ...parts.map((part) => part.webhooks ?? {})) as ApiParts["webhooks"],
  });
  routes.push(...system);
  server = createHttpServer({
    routes,
    run: createRouteRunner({
      identify: (...credentials) => auth.identify(...credentials),
      maxBodyBytes: settings.maxBodyBytes,
      idempotency,
    }),
    cors: createCors({ origins: settings.corsOrigins }),
    metrics,
    clock,
    log,
    logRequests: settings.logRequests,
  });
  return { server, sweep: (limit) => idempotency.sweep(limit) };
}

/** How often a closing instance looks whether its requests are answered. */
const ANSWERED_POLL_MS = 20;

/** Resolves when no request is under way, at the latest after `drainMs`. */
async function untilAnswered(server: HttpServer, clock: Clock, drainMs: number): Promise<void> {
  const endsMs = clock.monotonic() + drainMs;
  while (server.inFlight > 0 && clock.monotonic() < endsMs) {
    await new Promise<void>((resolve) => clock.setTimer(ANSWERED_POLL_MS, resolve));
  }
}

/**
 * Puts an instance together and brings its database up to date. Nothing runs in the background before `start`.
 *
 * @throws CONFIG_INVALID, MIGRATION_DESTRUCTIVE, MIGRATION_BLOCKED.
 */
export async function assemblePylon(options: AssemblyOptions): Promise<Pylon> {
  const settings = readSettings(options.env, options.mode);
  const configuration = { settings, jwt: parseJwtConfig(options.env) };
  const { blueprint } = options;
  await prepareStore(options.store, blueprint);
  const { core, server, sweep } = await openCore(options, blueprint, configuration);
  const { store, clock, log } = options;
  const pluginSweeps = core.parts.flatMap((part) => part.sweeps ?? []);
  const sweeps = [sweep, (limit: number) => core.auth.cleanExpired(clock.now(), limit), ...pluginSweeps];
  const upkeep = createUpkeep(sweeps, clock, log);
  let closing: Promise<void> | undefined;
  const close = async ({ drainMs = settings.drainMs, closeStore = true }: CloseOptions): Promise<void> => {
    server.drain();
    for (const part of core.parts) part.drain?.();
    await Promise.all([upkeep.stop(), core.jobs.stop({ drainMs }), untilAnswered(server, clock, drainMs)]);
    await closePlugins(core.parts);
    if (closeStore) await store.close();
  };
  return {
    manifest: blueprint.manifest,
    data: core.data,
    functions: core.functions,
    auth: core.auth,
    jobs: core.jobs,
    sdk: sdkOf(core.parts),
    fetch: (request, peerOf) => server.fetch(request, peerOf),
    call: (name, args, actor = ANONYMOUS) => core.functions.call(name, args, { actor, requestId: null }),
    start() {
      if (closing) throw httpError("DRAINING");
      if (settings.runJobs) core.jobs.start();
      upkeep.start();
      for (const part of core.parts) part.start?.();
    },
    close: (closeOptions = {}) => (closing ??= close(closeOptions)),
  };
}
