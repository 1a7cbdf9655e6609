// Everything between a request and a SQLite file, put together as an instance does it, on virtual time.

import { AsyncLocalStorage } from "node:async_hooks";
import assert from "node:assert/strict";
import { AUTH_TABLES } from "../../src/auth/auth-tables.ts";
import { type Auth, type AuthOptions, createAuth } from "../../src/auth/create-auth.ts";
import type { AuthMail } from "../../src/auth/mailer.ts";
import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import { createUlidSource } from "../../src/core/ids.ts";
import { isObject } from "../../src/core/json.ts";
import { type Data, createData } from "../../src/data/data.ts";
import { applyMigration, createSystemTables, planMigration } from "../../src/data/migration.ts";
import { createModel } from "../../src/data/model.ts";
import type { CurrentCall } from "../../src/functions/current-call.ts";
import type { FunctionDefinition } from "../../src/functions/define.ts";
import { createFunctions, type Functions } from "../../src/functions/functions.ts";
import { authRoutes } from "../../src/http/auth-routes.ts";
import { createCors } from "../../src/http/cors.ts";
import { entityRoutes } from "../../src/http/entity-routes.ts";
import { functionRoutes } from "../../src/http/function-routes.ts";
import { createIdempotency, idempotencyTable } from "../../src/http/idempotency.ts";
import { createMetrics, type Gauge } from "../../src/http/metrics.ts";
import { createRouteRunner } from "../../src/http/route-runner.ts";
import { createHttpServer } from "../../src/http/server.ts";
import { systemRoutes, type SystemRoutesOptions } from "../../src/http/system-routes.ts";
import { parseManifest } from "../../src/manifest/manifest.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import type { Route } from "../../src/plugin/route.ts";
import type { Store } from "../../src/store/store.ts";
import { ADMIN_TOKEN, createTestMailer } from "../auth/auth-harness.ts";
import { openTestStore } from "../store/open-test-store.ts";

export interface StackOptions {
  readonly auth?: Partial<AuthOptions>;
  readonly definitions?: Readonly<Record<string, FunctionDefinition>>;
  readonly manifest?: unknown;
  readonly readOnly?: readonly string[];
  readonly gauges?: readonly Gauge[];
  readonly system?: Partial<SystemRoutesOptions>;
  /** Tried before the others. */
  readonly pluginRoutes?: readonly Route[];
}

export interface Ask {
  readonly token?: string;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly peer?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body; undefined when it is not JSON. */
  readonly json: unknown;
}

export interface Stack {
  readonly store: Store;
  readonly clock: VirtualClock;
  readonly auth: Auth;
  readonly data: Data;
  readonly functions: Functions;
  readonly mails: AuthMail[];
  readonly routes: readonly Route[];
  /** `ask("POST /api/auth/orgs", { token, json })` */
  ask(target: string, ask?: Ask): Promise<Answer>;
  /** A session of a user with the address. */
  signIn(email: string): Promise<{ readonly token: string; readonly userId: string }>;
}

const EMPTY_APP = { manifest_version: 1, name: "shop", version: "0.1.0" };

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toRequest(target: string, { token, json, body, headers = {} }: Ask): Request {
  const [method = "GET", path = "/"] = target.split(" ");
  const own: Record<string, string> = { ...headers };
  if (token !== undefined) own["authorization"] = `Bearer ${token}`;
  if (json !== undefined) own["content-type"] = "application/json";
  const payload = json === undefined ? body : JSON.stringify(json);
  return new Request(`http://pylon.test${path}`, {
    method,
    headers: own,
    ...(payload === undefined ? {} : { body: payload }),
  });
}

/** Opens a stack, hands it to `run`, and removes its files. */
export async function withStack(options: StackOptions, run: (stack: Stack) => Promise<void>): Promise<void> {
  const opened = await openTestStore();
  const { store } = opened;
  try {
    const manifest = parseManifest(options.manifest ?? EMPTY_APP);
    await createSystemTables(store, [...AUTH_TABLES, idempotencyTable]);
    await applyMigration(store, await planMigration(store, manifest.entities), { allowDestructive: false });
    const clock = createVirtualClock();
    const mails: AuthMail[] = [];
    const mailer = createTestMailer(mails);
    const auth = createAuth({ store, clock, adminToken: ADMIN_TOKEN, jwt: null, mailer, ...options.auth });
    const { entities, policies } = manifest;
    const model = createModel({ entities, policies, readOnly: new Set(options.readOnly) });
    const data = createData({ store, model, hooks: [], clock, ulid: createUlidSource() });
    const storage = new AsyncLocalStorage<CurrentCall>();
    const definitions = new Map(Object.entries(options.definitions ?? {}));
    const functions = createFunctions({ data, definitions, clock, env: {}, storage, log: () => undefined });
    const metrics = createMetrics(options.gauges ?? []);
    const served = [
      ...(options.pluginRoutes ?? []),
      ...authRoutes(auth),
      ...entityRoutes(data),
      ...functionRoutes(functions),
    ];
    const system = { name: manifest.name, version: "9.8.7", clock, store, metrics, routes: served, model, functions };
    const routes = [...served, ...systemRoutes({ ...system, ...options.system })];
    const idempotency = createIdempotency({ store, clock, longestMs: 30_000 });
    const server = createHttpServer({
      routes,
      run: createRouteRunner({
        identify: (header, apiKey) => auth.identify(header, apiKey),
        maxBodyBytes: 65_536,
        idempotency,
      }),
      cors: createCors({ origins: [] }),
      metrics,
      clock,
      log: SILENT_LOG,
      logRequests: false,
    });
    const ask: Stack["ask"] = async (target, request = {}) => {
      const response = await server.fetch(toRequest(target, request), () => request.peer ?? null);
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: parseText(text) };
    };
    const signIn: Stack["signIn"] = async (email) => {
      const user = await auth.users.findOrCreate(email);
      const { token } = await auth.sessions.mint(user.id, { email, roles: user.roles });
      return { token, userId: user.id };
    };
    await run({ store, clock, auth, data, functions, mails, routes, ask, signIn });
  } finally {
    await opened.cleanup();
  }
}

/** The code of an error answer. */
export function codeOf(answer: Answer): unknown {
  const error = isObject(answer.json) ? answer.json["error"] : undefined;
  return isObject(error) ? error["code"] : undefined;
}

/** The fields of an object answer. */
export function fieldsOf(answer: Answer): Readonly<Record<string, unknown>> {
  assert.ok(isObject(answer.json), `Expected an object: ${answer.status} ${answer.text}`);
  return answer.json;
}

/** One text of an object answer. */
export function textOf(answer: Answer, name: string): string {
  const value = fieldsOf(answer)[name];
  assert.equal(typeof value, "string", `${name} of ${answer.text}`);
  return value as string;
}
