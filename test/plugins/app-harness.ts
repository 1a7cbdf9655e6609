// A whole instance over a SQLite file, on virtual time and without a network: requests go in, what it would have sent comes
// out. `rest` and `advance` return when everything that can happen has happened, so no test waits for luck.

import { AsyncLocalStorage } from "node:async_hooks";
import assert from "node:assert/strict";
import { join } from "node:path";
import { setImmediate } from "node:timers";

import { type Clock, createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import type { Env } from "../../src/core/env.ts";
import { isObject } from "../../src/core/json.ts";
import type { Log, LogFields } from "../../src/core/log.ts";
import type { CurrentCall } from "../../src/functions/current-call.ts";
import type { FunctionDefinition } from "../../src/functions/define.ts";
import type { Dialer } from "../../src/net/dialer.ts";
import { openDatabaseServer } from "../../src/platform/postgres-platform.ts";
import { openSharedServer } from "../../src/platform/shared-server.ts";
import { sqlitePlatform } from "../../src/platform/sqlite-platform.ts";
import type { Plugin } from "../../src/plugin/plugin.ts";
import { PLUGINS } from "../../src/plugins.ts";
import { readBlueprint } from "../../src/instance/blueprint.ts";
import { assemblePylon, type Pylon } from "../../src/pylon.ts";
import { openSqliteStore } from "../../src/store/sqlite/open-sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { openTestDatabase } from "../support/postgres.ts";
import { createTempDir } from "../support/temp-dir.ts";

export const ADMIN_TOKEN = "the-admin-token-of-the-tests-0123456789";
export const START: number = Date.UTC(2026, 3, 28, 10, 32, 0);

/** A request that left the instance. */
export interface Sent {
  readonly url: string;
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

export type Respond = (sent: Sent) => Response | Error | Promise<Response>;

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

export interface AppOptions {
  /** The `plugins` of the manifest. */
  readonly plugins?: readonly { readonly name: string; readonly config?: unknown }[];
  readonly entities?: readonly unknown[];
  readonly policies?: readonly unknown[];
  readonly functions?: Readonly<Record<string, FunctionDefinition>>;
  readonly env?: Env;
  readonly mode?: "dev" | "serve";
  /** Plugins beside Pylon's own. */
  readonly extra?: readonly Plugin[];
  /** Addresses of names; any other name has one public address. */
  readonly names?: Readonly<Record<string, readonly string[]>>;
  /** Instead of the one that answers from `respond`. */
  readonly dialer?: Dialer;
  /** Instead of virtual time. */
  readonly clock?: Clock;
  /** What the instance sees instead of the store itself. */
  readonly wrapStore?: (store: Store) => Store;
  readonly appendFile?: (path: string, text: string) => Promise<void>;
  /** @default true */
  readonly started?: boolean;
}

export interface Ask {
  /** @default none; `admin` is the admin token */
  readonly token?: string;
  readonly json?: unknown;
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The fields of a JSON object; empty for anything else. */
  readonly json: Readonly<Record<string, unknown>>;
  /** The code of an error. */
  readonly code: unknown;
}

export interface TestApp {
  readonly pylon: Pylon;
  readonly store: Store;
  readonly databasePath: string;
  readonly sent: Sent[];
  readonly logged: LogLine[];
  /** Answers what is sent from now on. The default is an empty 200. */
  respond: Respond;
  /** `ask("POST /api/entities/Order", { json })` */
  ask(target: string, ask?: Ask): Promise<Answer>;
  /** Creates a row as admin and answers it. */
  insert(entity: string, data: object): Promise<Readonly<Record<string, unknown>> & { readonly id: string }>;
  /** Lets everything happen that needs no time. */
  rest(): Promise<void>;
  /** Comes to rest until it is so. @throws when it is not within a time that only a hanging machine needs */
  until(isSo: () => boolean | Promise<boolean>): Promise<void>;
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone; timers keep their distance. */
  jump(ms: number): void;
  now(): number;
  /** Closes the instance and opens it again over the same file, with other settings where `changes` has them. */
  restart(changes?: AppOptions): Promise<void>;
}

export const ORDER = {
  name: "Order",
  fields: [
    { name: "total", type: "int" },
    { name: "note", type: "string", optional: true },
    { name: "meta", type: "json", optional: true },
    { name: "paid", type: "bool", optional: true },
    { name: "placedAt", type: "datetime", optional: true },
    { name: "ref", type: "string", optional: true, unique: true },
  ],
} as const;
export const CUSTOMER = { name: "Customer", fields: [{ name: "name", type: "string" }] } as const;

/** When `rest` gives up on something that does not come to rest: other threads may be slow to answer on a busy machine. */
const [MAX_HOPS, PATIENCE_MS] = [5_000, 1_000];
const UNTIL_MS = 30_000;

function createLog(lines: LogLine[]): Log {
  const add =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ level, event, fields });
    };
  return { info: add("info"), warn: add("warn"), error: add("error") };
}

function readJson(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

export async function readAnswer(response: Response): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  const json = readJson(text);
  const { error } = json;
  return { status, headers, text, json, code: isObject(error) ? error["code"] : undefined };
}

export function toRequest(target: string, { token, json, body, headers = {} }: Ask): Request {
  const [method = "GET", path = "/"] = target.split(" ");
  const own: Record<string, string> = { ...headers };
  if (token !== undefined) own["authorization"] = `Bearer ${token === "admin" ? ADMIN_TOKEN : token}`;
  if (json !== undefined) own["content-type"] ??= "application/json";
  const payload = json === undefined ? body : JSON.stringify(json);
  const init: RequestInit & { duplex?: "half" } = { method, headers: own };
  if (payload !== undefined) init.body = payload;
  if (payload instanceof ReadableStream) init.duplex = "half";
  return new Request(`http://pylon.test${path}`, init);
}

interface TestDialer extends Dialer {
  /** Calls that wait for `respond`, and may do so for ever. */
  readonly waiting: number;
}

/** A dialer without a network. */
function createTestDialer(options: () => AppOptions, app: Pick<TestApp, "sent" | "respond" | "now">): TestDialer {
  const waiting = new Set<AbortSignal>();
  return {
    get waiting() {
      return waiting.size;
    },
    resolve: async (host) => options().names?.[host] ?? ["93.184.216.34"],
    async fetchPinned(url, address, init) {
      const body = typeof init.body === "string" ? init.body : "";
      const sent: Sent = { url: url.href, address, headers: init.headers, body, at: app.now() };
      app.sent.push(sent);
      waiting.add(init.signal);
      init.signal.addEventListener("abort", () => waiting.delete(init.signal));
      try {
        const answer = await app.respond(sent);
        if (answer instanceof Error) throw answer;
        return answer;
      } finally {
        waiting.delete(init.signal);
      }
    },
  };
}

interface Opened {
  readonly pylon: Pylon;
  readonly store: Store;
}

interface Opening {
  readonly path: string;
  /** Of a Postgres database, in place of the file. */
  readonly url: string | undefined;
  readonly options: AppOptions;
  readonly clock: Clock;
  readonly dialer: Dialer;
  readonly log: Log;
}

async function open({ path, options, clock, dialer, log, url }: Opening): Promise<Opened> {
  const opened = url
    ? await openDatabaseServer({ url, connections: 6 })
    : openSqliteStore({ path, platform: sqlitePlatform });
  const store = options.wrapStore?.(opened) ?? opened;
  try {
    const manifest = {
      manifest_version: 1,
      name: "shop",
      version: "0.1.0",
      entities: options.entities ?? [ORDER, CUSTOMER],
      policies: options.policies ?? [],
      plugins: options.plugins ?? [],
    };
    const env = { PYLON_ADMIN_TOKEN: ADMIN_TOKEN, ...options.env };
    const pylon = await assemblePylon({
      blueprint: readBlueprint(manifest, [...PLUGINS, ...(options.extra ?? [])], env),
      functions: new Map(Object.entries(options.functions ?? {})),
      store,
      env,
      mode: options.mode ?? "serve",
      clock,
      log,
      platform: {
        dialer,
        defer: (task) => void setImmediate(task),
        storage: new AsyncLocalStorage<CurrentCall>(),
        ...(options.appendFile ? { appendFile: options.appendFile } : {}),
        openSharedServer,
      },
      version: "9.8.7",
    });
    if (options.started !== false) pylon.start();
    return { pylon, store };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Whether nothing is under way but what waits for a receiver. */
async function isQuiet({ pylon, store }: Opened, waiting: number, nowMs: number): Promise<boolean> {
  const { running, unsettled } = pylon.jobs.stats();
  return running <= waiting && unsettled === 0 && (await store.reader.dueLanes(nowMs, 1)).length === 0;
}

const hop = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Opens an instance, hands it to `run`, and removes its files. */
export async function withApp(first: AppOptions, run: (app: TestApp) => Promise<void>): Promise<void> {
  const folder = await createTempDir();
  const path = join(folder.path, "pylon.db");
  const database = process.env["PYLON_TEST_STORE"] === "postgres" ? await openTestDatabase() : undefined;
  const url = database?.url;
  const logged: LogLine[] = [];
  let options = first;
  let opened: Opened | undefined;
  const settle = async (): Promise<void> => {
    let quiet = 0;
    const untilMs = performance.now() + PATIENCE_MS;
    for (let hops = 0; quiet < 3 && (hops < MAX_HOPS || performance.now() < untilMs); hops++) {
      await hop();
      const isAtRest = !opened || options.started === false || (await isQuiet(opened, fake.waiting, virtual.now()));
      quiet = isAtRest ? quiet + 1 : 0;
    }
  };
  const virtual: VirtualClock = createVirtualClock(START, settle);
  const clock = first.clock ?? virtual;
  /** What closes may wait for virtual time, which moves only here. */
  const close = async ({ pylon }: Opened): Promise<void> => {
    const state = { isClosed: false };
    const closing = pylon.close({ drainMs: 0 }).finally(() => {
      state.isClosed = true;
    });
    while (!state.isClosed) await virtual.advance(1);
    await closing;
  };
  const current = (): Opened => {
    assert.ok(opened, "The instance is closed");
    return opened;
  };
  const app: TestApp = {
    get pylon() {
      return current().pylon;
    },
    get store() {
      return current().store;
    },
    databasePath: path,
    sent: [],
    logged,
    respond: () => new Response(null, { status: 200 }),
    ask: async (target, ask = {}) => readAnswer(await app.pylon.fetch(toRequest(target, ask), () => "192.0.2.7")),
    async insert(entity, data) {
      const answer = await app.ask(`POST /api/entities/${entity}`, { token: "admin", json: data });
      assert.equal(answer.status, 201, answer.text);
      return answer.json as Readonly<Record<string, unknown>> & { readonly id: string };
    },
    rest: () => virtual.advance(0),
    async until(isSo) {
      for (const startedMs = performance.now(); !(await isSo());) {
        assert.ok(performance.now() - startedMs < UNTIL_MS, `It is not so after ${UNTIL_MS} ms: ${isSo.toString()}`);
        await virtual.advance(0);
      }
    },
    advance: (ms) => virtual.advance(ms),
    jump: (ms) => virtual.jump(ms),
    now: () => clock.now(),
    async restart(changes = {}) {
      const closing = current();
      opened = undefined;
      await close(closing);
      options = { ...options, ...changes };
      opened = await open({ path, url, options, clock, dialer, log });
    },
  };
  const fake = createTestDialer(() => options, app);
  const dialer = first.dialer ?? fake;
  const log = createLog(logged);
  try {
    opened = await open({ path, url, options, clock, dialer, log });
    await run(app);
  } finally {
    const last = opened;
    opened = undefined;
    if (last) await close(last);
    await database?.drop();
    await folder.remove();
  }
}
