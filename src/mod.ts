// What an embedder imports: an instance of Pylon inside a Bun or Deno program, and the few types and functions around it.

import type { Cache } from "./cache/cache.ts";
import { ADMIN, ANONYMOUS, SYSTEM, type Identity } from "./core/identity.ts";
import { createSystemClock, type Clock } from "./core/clock.ts";
import type { Env } from "./core/env.ts";
import { isObject, type Json } from "./core/json.ts";
import { SILENT_LOG, type Log } from "./core/log.ts";
import { coreError } from "./core/errors.ts";
import type { DataWriter } from "./data/data.ts";
import type { Scope } from "./data/scope.ts";
import type { FunctionDefinition } from "./functions/define.ts";
import { createOutbound } from "./instance/outbound.ts";
import { mergeManifests } from "./manifest/merge.ts";
import type { Plugin } from "./plugin/plugin.ts";
import { openEmbeddedPlatform, type EmbeddedPlatform } from "./platform/embedded-platform.ts";
import { entryBehind } from "./plugins/customer-webhooks/declare-webhooks.ts";
import type { FeatureVariant, IsFeatureEnabled } from "./plugins/feature-flags/evaluation.ts";
import { PLUGINS } from "./plugins.ts";
import { type Blueprint, readBlueprint } from "./instance/blueprint.ts";
import { assemblePylon, type Pylon } from "./pylon.ts";
import { createSdkExports } from "./sdk/sdk-exports.ts";
import { VERSION } from "./version.ts";
import { isPostgresUrl } from "./store/postgres/postgres-url.ts";
import type { Row, Store } from "./store/store.ts";

export { createVirtualClock, type VirtualClock } from "./core/clock.ts";
export { PylonError, isPylonError } from "./core/errors.ts";
export { app, buildManifest, entity, field, policy } from "./manifest/dsl.ts";
export { action, mutation, query } from "./functions/define.ts";
export { v } from "./functions/validators.ts";
export { declareWebhooks as webhooks } from "./plugins/customer-webhooks/declare-webhooks.ts";
export { dispatch } from "./plugins/customer-webhooks/dispatch.ts";
export * from "./sdk/webhooks.ts";
export { ADMIN, ANONYMOUS, SYSTEM };
export type { Cache, Clock, Env, FunctionDefinition, Identity, Json, Log, Plugin, Row, Store };

export interface PylonOptions {
  /** What `app({...})` returns, or the parsed JSON. */
  readonly manifest: unknown;
  /** Definitions by the name they are called with. */
  readonly functions?: Readonly<Record<string, FunctionDefinition>>;
  /** `"memory"` (gone with the instance), `"sqlite:PATH"`, `"postgres://…"`, or an opened store, which stays open at `close`. */
  readonly store: string | Store;
  /** @default the platform's environment */
  readonly env?: Env;
  /** Plugins beside Pylon's own, for the manifest to name. */
  readonly plugins?: readonly Plugin[];
  readonly clock?: Clock;
  /** Answers outbound calls instead of the network, after the guard has judged them. */
  readonly transport?: (request: Request) => Promise<Response>;
  /** @default none */
  readonly log?: Log;
}

/** Data access without policies, as the application itself. */
export interface EmbeddedDb {
  get(entity: string, id: string): Promise<Row | null>;
  list(entity: string): Promise<Row[]>;
  query(entity: string, filter: Readonly<Record<string, unknown>>): Promise<Row[]>;
  insert(entity: string, input: unknown): Promise<Row>;
  update(entity: string, id: string, patch: unknown): Promise<Row | null>;
  delete(entity: string, id: string): Promise<Row | null>;
  /** Several writes, all or nothing. */
  transaction<T>(run: (writer: DataWriter) => Promise<T>): Promise<T>;
}

export interface EmbeddedPylon {
  /** Answers a request; waits for the instance to be ready. Never rejects once it is. */
  fetch(request: Request): Promise<Response>;
  /** Begins background work. Rejects when the manifest, the configuration or the database does not fit. */
  start(): Promise<void>;
  /** Ends background work and releases the store, unless it was handed in. */
  close(): Promise<void>;
  /** Calls a function, as an anonymous caller unless `auth` says who it is. */
  call(name: string, args?: unknown, auth?: Partial<Identity>): Promise<Json>;
  readonly db: EmbeddedDb;
  readonly sdk: EmbeddedSdk;
}

/**
 * What an application imports from `@pylonsync/sdk` to call, for the functions of this instance. Each needs its plugin, and
 * the instance to be ready: until then, and without the plugin, using it throws a coded error.
 */
export interface EmbeddedSdk {
  /** Plugin `cache` or `cache_client`. */
  readonly cache: Cache;
  /** Plugin `feature_flags`. */
  readonly isFeatureEnabled: IsFeatureEnabled;
  readonly featureVariant: FeatureVariant;
}

/** Who it is follows from what is said of them, unless it is said as well. */
function toIdentity(auth: Partial<Identity>): Identity {
  const kind = auth.isAdmin === true ? "admin" : typeof auth.userId === "string" ? "user" : "anonymous";
  return { ...ANONYMOUS, kind, ...auth };
}

async function openStore(store: string | Store, platform: EmbeddedPlatform): Promise<Store> {
  if (typeof store !== "string") return store;
  if (store === "memory") return platform.openMemoryStore();
  const path = store.startsWith("sqlite:") ? store.slice("sqlite:".length) : "";
  if (path !== "") return platform.openSqliteStore(path);
  if (isPostgresUrl(store)) return platform.openPostgresStore(store);
  throw coreError("CONFIG_INVALID", {
    message: 'The store is not "memory", "sqlite:PATH", "postgres://…" or an opened store',
    hint: 'Use store: "sqlite:data/app.db"',
  });
}

/** A guard that does not guard is worse than none: the embedder's functions call the `fetch` of their own program. */
function refuseFunctionGuard({ chosen }: Blueprint): void {
  if (!createOutbound(chosen, "serve").guardFunctions) return;
  throw coreError("CONFIG_INVALID", {
    message: "net_guard cannot guard the functions of an embedded instance: guard_functions",
    hint: "Leave guard_functions out, and guard the program's own fetch",
  });
}

/** The manifest with the plugin that its `webhooks()` entities ask for. */
function withDeclared(manifest: unknown): unknown {
  if (!isObject(manifest) || !Array.isArray(manifest.entities)) return manifest;
  const entry = entryBehind(manifest.entities);
  return entry ? mergeManifests(manifest, { plugins: [entry] }) : manifest;
}

async function open(options: PylonOptions): Promise<Pylon> {
  const platform = await openEmbeddedPlatform(options.transport);
  const env = options.env ?? platform.env;
  const blueprint = readBlueprint(withDeclared(options.manifest), [...PLUGINS, ...(options.plugins ?? [])], env);
  refuseFunctionGuard(blueprint);
  const store = await openStore(options.store, platform);
  try {
    return await assemblePylon({
      blueprint,
      functions: new Map(Object.entries(options.functions ?? {})),
      store,
      env,
      mode: "serve",
      clock: options.clock ?? createSystemClock(),
      log: options.log ?? SILENT_LOG,
      platform,
      version: VERSION,
    });
  } catch (error) {
    if (typeof options.store === "string") await store.close();
    throw error;
  }
}

const SCOPE: Scope = { actor: SYSTEM, policies: false, requestId: null };

function embeddedDb(ready: Promise<Pylon>): EmbeddedDb {
  return {
    get: async (entity, id) => (await ready).data.read(SCOPE).get(entity, id),
    list: async (entity) => (await ready).data.read(SCOPE).list(entity),
    query: async (entity, filter) => (await ready).data.read(SCOPE).query(entity, filter),
    insert: async (entity, input) => (await ready).data.insert(SCOPE, entity, input),
    update: async (entity, id, patch) => (await ready).data.update(SCOPE, entity, id, patch),
    delete: async (entity, id) => (await ready).data.delete(SCOPE, entity, id),
    transaction: async (run) => (await ready).data.write(SCOPE, run, { exclusive: true }),
  };
}

/** Creates an instance. It is ready when its first answer is; without `start` it runs nothing in the background. */
export function createPylon(options: PylonOptions): EmbeddedPylon {
  const late = createSdkExports();
  const ready = open(options).then((pylon) => {
    late.bind(pylon.sdk);
    return pylon;
  });
  // A failure is reported by whatever is called first; until then it must not end the embedding process.
  ready.catch(() => undefined);
  return {
    fetch: async (request) => (await ready).fetch(request),
    start: async () => (await ready).start(),
    async close() {
      const pylon = await ready.catch(() => undefined);
      await pylon?.close({ closeStore: typeof options.store === "string" });
    },
    call: async (name, args = {}, auth = {}) => (await ready).call(name, args, toIdentity(auth)),
    db: embeddedDb(ready),
    sdk: late.exports as unknown as EmbeddedSdk,
  };
}
