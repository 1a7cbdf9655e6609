// What a plugin is: a name, a schema of its configuration, and the parts that it adds. Our own plugins use only this.

import type { ZodType } from "zod";
import type { OpenSharedServer } from "../cache/shared-server.ts";
import type { Clock } from "../core/clock.ts";
import type { Env } from "../core/env.ts";
import type { Problem } from "../core/errors.ts";
import type { UlidSource } from "../core/ids.ts";
import type { JsonObject } from "../core/json.ts";
import type { Log } from "../core/log.ts";
import type { HmacSigner } from "../crypto/hmac.ts";
import type { Sha256 } from "../crypto/sha256.ts";
import type { WriteHooks } from "../data/change.ts";
import type { Data } from "../data/data.ts";
import type { CurrentCall } from "../functions/current-call.ts";
import type { JobHandler } from "../jobs/job-handler.ts";
import type { EntityDef, Manifest, PolicyDef } from "../manifest/manifest.ts";
import type { Cidr } from "../net/address.ts";
import type { AllowedHost } from "../net/guard-entries.ts";
import type { GuardedClient } from "../net/guarded-client.ts";
import type { Reader, Store, TableSpec } from "../store/store.ts";
import type { HeardEntities } from "./heard-entities.ts";
import type { Route } from "./route.ts";

/** What a plugin may use. `data` exists once every plugin is set up: call it when work is done, not in `setup`. */
export interface PluginHost {
  readonly env: Env;
  readonly clock: Clock;
  readonly ulid: UlidSource;
  readonly log: Log;
  readonly store: Store;
  readonly reader: Reader;
  /** Outbound HTTP behind the network guard. */
  readonly http: GuardedClient;
  /** HMAC-SHA256 with a secret. @throws RangeError when it is empty. */
  readonly createSigner: (secret: string | Uint8Array) => HmacSigner;
  readonly sha256: Sha256;
  /** Appends to a file and waits until that is durable; a relative path is the application's. Absent: there are no files. */
  readonly appendFile?: (path: string, text: string) => Promise<void>;
  /** Connects to a cache server that other processes use as well. */
  readonly openSharedServer: OpenSharedServer;
  data(): Data;
  /** The entities of this instance's plugins that are {@link PluginEntity.audited}. */
  readonly auditedEntities: readonly string[];
  /**
   * The function that is calling, when one is: what application code calls without handing on `ctx` joins its transaction
   * and its identity.
   */
  currentCall(): CurrentCall | undefined;
}

/** Exceptions from the network guard. */
export interface OutboundSettings {
  readonly allowHosts: readonly AllowedHost[];
  readonly allowCidrs: readonly Cidr[];
  /** Whether `fetch` in application functions is guarded too. */
  readonly guardFunctions: boolean;
}

/** What a plugin adds to a running instance. Everything is optional. */
export interface PluginParts {
  readonly hooks?: WriteHooks;
  readonly jobs?: readonly JobHandler[];
  readonly routes?: readonly Route[];
  /** Exports of the SDK that are bound to this instance. */
  readonly sdk?: Readonly<Record<string, unknown>>;
  /** Begins what the plugin does without being asked. Not called for an instance that only answers requests. */
  start?(): void;
  /** The instance is stopping: ends answers that would not end by themselves. Called at most once, ahead of `close`. */
  drain?(): void;
  /** Remove what has expired: at most `limit` rows, answering how many. Asked again and again while the instance runs. */
  readonly sweeps?: readonly ((limit: number) => Promise<number>)[];
  /** Requests that this instance sends to others, by name, for the OpenAPI document. */
  readonly webhooks?: Readonly<Record<string, OutgoingWebhook>>;
  /** Releases what `setup` opened. Called once; safe after a failed start. */
  close?(): void | Promise<void>;
}

/** A request that others may receive, as OpenAPI describes it. */
export interface OutgoingWebhook {
  readonly summary: string;
  readonly headers: Readonly<Record<string, { readonly description: string; readonly schema: JsonObject }>>;
  /** JSON Schema of the body. */
  readonly body: JsonObject;
}

export interface PluginEntity {
  readonly def: EntityDef;
  /** Written by Pylon alone. */
  readonly readOnly: boolean;
  /** The audit log records its writes whatever the application lists: what an administrator changes is always on record. */
  readonly audited?: boolean;
  /** The application may declare it itself, and the policies with it: what it declares then counts in place of this. */
  readonly declarable?: boolean;
  /** Its rows do not go through {@link Data}, so that no hook hears of them. */
  readonly unheard?: boolean;
}

export interface CheckContext {
  readonly manifest: Manifest;
  readonly env: Env;
  readonly entities: HeardEntities;
}

export interface Plugin<Config = unknown> {
  readonly name: string;
  /** Refuses unknown keys and lists every problem. */
  readonly config: ZodType<Config>;
  /** Entities that it brings. */
  readonly entities?: readonly PluginEntity[];
  readonly policies?: readonly PolicyDef[];
  /** Tables that are not entities. */
  readonly tables?: readonly TableSpec[];
  /** What the schema cannot see: names in the manifest, variables in the environment. Paths are relative to the configuration. */
  check?(config: Config, context: CheckContext): readonly Problem[];
  /** What outbound calls may reach although it is not public; read before anything can call out. */
  outbound?(config: Config): OutboundSettings;
  setup(config: Config, host: PluginHost): PluginParts | Promise<PluginParts>;
}

/** Keeps a plugin's inferred types and forgets them for the table that holds all plugins. */
export function definePluginType<Config>(plugin: Plugin<Config>): Plugin {
  return plugin;
}
