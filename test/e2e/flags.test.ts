// Flags in the compiled binary: the documentation's blocks as they stand, replicas that share a database, a killed process,
// and the unmodified OpenFeature providers of npm against it.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature as ServerApi } from "@openfeature/server-sdk";
import { OpenFeature as WebApi, type Provider, ProviderEvents } from "@openfeature/web-sdk";

import { FetchEventSource } from "../support/event-source.ts";
import { openTestDatabase } from "../support/postgres.ts";
import { type RunningPylon, startPylon, until } from "./running-pylon.ts";

const LIVE_MS = 1_000;
const ORIGIN = "https://app.example.com";

let folder = "";
/** A file of the folder unless a test has another. */
let database = "";
const running: RunningPylon[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pylon-flags-"));
  database = join(folder, "pylon.db");
});

afterEach(async () => {
  await ServerApi.clearProviders();
  await WebApi.clearProviders();
  await Promise.all(running.splice(0).map((pylon) => pylon.kill()));
  await rm(folder, { recursive: true, force: true });
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<RunningPylon> {
  const pylon = await startPylon({ app: "flags", database, env });
  running.push(pylon);
  return pylon;
}

async function json(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

async function session(pylon: RunningPylon, user: object): Promise<string> {
  return String((await json(await pylon.ask("POST /api/auth/session", user)))["token"]);
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** As the documentation asks. */
async function flagsOf(pylon: RunningPylon, token: string): Promise<Record<string, unknown>> {
  const flags = await fetch(`${pylon.url}/api/flags`, {
    headers: { Authorization: `Bearer ${token}` },
  }).then((r) => r.json());
  return flags as Record<string, unknown>;
}

async function change(pylon: RunningPylon, name: string, changes: object): Promise<void> {
  const response = await pylon.ask(`PATCH /api/admin/flags/${name}`, changes);
  expect(response.status).toBe(200);
}

const SEED_BLOCK = `"flags": {
          "new-onboarding":     { "enabled": true,  "rollout": 100 },
          "ai-suggestions":     { "enabled": true,  "rollout": 25 },
          "experimental-graph": { "enabled": true,  "users": ["u_123", "u_456"] },
          "premium-widgets":    { "enabled": true,  "tenants": ["org_acme"] }
        }`;

test("the documentation's configuration and code work as they stand", async () => {
  const manifest = await readFile(join(import.meta.dir, "../../fixtures/apps/flags/pylon.manifest.json"), "utf8");
  expect(manifest).toContain(SEED_BLOCK);
  const pylon = await start();
  const token = await session(pylon, { user_id: "u_123", tenant_id: "org_acme" });
  expect(await flagsOf(pylon, token)).toMatchObject({
    "new-onboarding": true,
    "ai-suggestions": true,
    "experimental-graph": true,
    "premium-widgets": true,
  });
  const welcome = async (): Promise<unknown> => (await pylon.ask("POST /api/fn/welcome", {})).json();
  expect(await welcome()).toBe("new");
  await change(pylon, "new-onboarding", { enabled: false });
  expect(await welcome()).toBe("old");
});

/** The same on both stores. */
const REPLICAS: Readonly<Record<string, (run: () => Promise<void>) => Promise<void>>> = {
  SQLite: (run) => run(),
  async Postgres(run) {
    const { url, drop } = await openTestDatabase();
    database = url;
    try {
      await run();
    } finally {
      await Promise.all(running.splice(0).map((pylon) => pylon.kill()));
      await drop();
    }
  },
};

async function sharedChanges(): Promise<void> {
  const [first, second] = [await start(), await start()];
  const token = await session(first, { user_id: "u_123" });
  const people = await Promise.all(Array.from({ length: 40 }, (_, id) => session(first, { user_id: `u_${id}` })));
  const everybody = (pylon: RunningPylon): Promise<unknown[]> =>
    Promise.all(people.map((person) => flagsOf(pylon, person)));
  expect(await everybody(first)).toEqual(await everybody(second));
  await change(first, "ai-suggestions", { rollout: 60, variants: { b: 1, a: 3 } });
  const changedMs = performance.now();
  const expected = await everybody(first);
  await until(async () => Bun.deepEquals(await everybody(second), expected), "the change on the other process");
  expect(performance.now() - changedMs).toBeLessThan(LIVE_MS);
  await Promise.all([first.kill(), second.kill()]);
  const third = await start();
  expect(await everybody(third)).toEqual(expected);
  await change(third, "experimental-graph", { enabled: false });
  expect((await flagsOf(third, token))["experimental-graph"]).toBe(false);
}

/** Administrators who change a flag at the same time, for the first time. */
async function racingChanges(): Promise<void> {
  const replicas = [await start(), await start()] as const;
  const lists = { users: ["u_1"], tenants: ["t_1"], salt: "s", description: "d", rollout: 10 };
  const racing = Object.entries(lists).map(async ([key, value], index) =>
    (replicas[index % 2] as RunningPylon).ask("PATCH /api/admin/flags/new-onboarding", { [key]: value }),
  );
  expect((await Promise.all(racing)).map(({ status }) => status)).toEqual(racing.map(() => 200));
  for (const replica of replicas) {
    await until(async () => {
      const { flags } = await json(await replica.ask("GET /api/admin/flags"));
      const flag = (flags as Record<string, unknown>[]).find(({ name }) => name === "new-onboarding") ?? {};
      return Object.entries(lists).every(([key, value]) => Bun.deepEquals(flag[key], value));
    }, "all changes on both processes");
  }
}

for (const [store, withStore] of Object.entries(REPLICAS)) {
  test(
    `a change on one process is live on another within a second, and outlives a kill of both, on ${store}`,
    () => withStore(sharedChanges),
    60_000,
  );

  test(`changes at the same moment are all kept, on ${store}`, () => withStore(racingChanges), 60_000);
}

test("@openfeature/ofrep-provider evaluates for whoever its context names", async () => {
  const pylon = await start();
  const key = String((await json(await pylon.ask("POST /api/auth/api-keys", { name: "server" })))["key"]);
  await ServerApi.setProviderAndWait(new OFREPProvider({ baseUrl: pylon.url, headers: bearer(key) }));
  const client = ServerApi.getClient();
  const ada = { targetingKey: "u_123", tenantId: "org_acme", plan: "pro", email: "ada@acme.com" };
  expect(await client.getBooleanDetails("ai-suggestions", false, ada)).toMatchObject({
    value: true,
    variant: "on",
    reason: "SPLIT",
    flagMetadata: { version: expect.any(String) },
  });
  expect(await client.getBooleanValue("premium-widgets", false, ada)).toBe(true);
  expect(await client.getBooleanValue("bulk-export", false, ada)).toBe(true);
  expect(await client.getBooleanValue("bulk-export", true, { ...ada, plan: "free" })).toBe(false);
  expect(await client.getBooleanValue("experimental-graph", true, { targetingKey: "u_9" })).toBe(false);
  const color = await client.getBooleanDetails("button-color", false, ada);
  expect(["blue", "green"]).toContain(String(color.variant));
  expect(await client.getBooleanDetails("no such/flag", true, ada)).toMatchObject({
    value: true,
    errorCode: "FLAG_NOT_FOUND",
  });
  expect(await client.getStringDetails("ai-suggestions", "default", ada)).toMatchObject({ errorCode: "TYPE_MISMATCH" });
});

/** A page of another origin: the browser's EventSource, and every answer that the page may read. */
function createPage(token: string): { readonly provider: (url: string) => OFREPWebProvider; readonly seen: string[] } {
  const seen: string[] = [];
  const fetchFromPage = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    request.headers.set("origin", ORIGIN);
    const response = await fetch(request);
    expect(response.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(response.headers.get("access-control-expose-headers")).toContain("ETag");
    seen.push(`${response.status} ${await response.clone().text()}`);
    return response;
  };
  const provider = (baseUrl: string): OFREPWebProvider =>
    new OFREPWebProvider({
      baseUrl,
      headers: [["Authorization", `Bearer ${token}`]],
      fetchImplementation: fetchFromPage,
      cacheMode: "disabled",
    });
  return { provider, seen };
}

test("@openfeature/ofrep-web-provider follows changes over the stream, and hears no rule and no other person's id", async () => {
  Object.assign(globalThis, { EventSource: FetchEventSource });
  const pylon = await start({ PYLON_CORS_ORIGIN: ORIGIN, PYLON_LOG_REQUESTS: "on" });
  const page = createPage(await session(pylon, { user_id: "u_123" }));
  await WebApi.setContext({ targetingKey: "u_456", plan: "free" });
  // Its declaration lets `hooks` be undefined, which the SDK's own does not.
  await WebApi.setProviderAndWait(page.provider(pylon.url) as Provider);
  const client = WebApi.getClient();
  expect(client.getBooleanValue("new-onboarding", false)).toBe(true);
  expect(client.getBooleanValue("bulk-export", true)).toBe(false);
  const changed: (readonly string[])[] = [];
  client.addHandler(ProviderEvents.ConfigurationChanged, (details) => void changed.push(details?.flagsChanged ?? []));
  for (const enabled of [false, true]) {
    await change(pylon, "new-onboarding", { enabled });
    await until(() => client.getBooleanValue("new-onboarding", !enabled) === enabled, "the change in the page");
  }
  expect(changed.flat()).toContain("new-onboarding");
  await WebApi.setContext({ targetingKey: "u_456", plan: "pro" });
  const answers = page.seen.join("\n");
  for (const secret of ["u_456", "org_acme", "acme", "plan", '"users"', '"rules"', "rollout"]) {
    expect(answers).not.toContain(secret);
  }
  const preflight = await fetch(`${pylon.url}/ofrep/v1/evaluate/flags`, {
    method: "OPTIONS",
    headers: {
      origin: ORIGIN,
      "access-control-request-method": "POST",
      "access-control-request-headers": "if-none-match",
    },
  });
  expect(preflight.headers.get("access-control-allow-headers")?.toLowerCase()).toContain("if-none-match");
  const log = pylon.lines.join("\n");
  expect(log).toContain("/ofrep/v1/events");
  expect(log).not.toContain("token=");
}, 30_000);

test("@openfeature/ofrep-web-provider hears of a schedule that nobody announces", async () => {
  Object.assign(globalThis, { EventSource: FetchEventSource });
  const pylon = await start({ PYLON_CORS_ORIGIN: ORIGIN });
  const page = createPage(await session(pylon, { user_id: "u_123" }));
  await WebApi.setProviderAndWait(page.provider(pylon.url) as Provider);
  const isOn = (): boolean => WebApi.getClient().getBooleanValue("new-onboarding", true);
  const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
  const schedule = { from: inMs(4_000), to: inMs(4_100), fromRollout: 100, toRollout: 0 };
  await change(pylon, "new-onboarding", { schedule });
  await until(() => page.seen.length === 2, "the evaluation behind the administrator's change");
  expect(isOn()).toBe(true);
  await until(() => !isOn(), "what the schedule did, in the page");
  expect(page.seen.length).toBe(3);
}, 30_000);

test("a stream is ended when the process is told to stop, and its reader finds the next process", async () => {
  Object.assign(globalThis, { EventSource: FetchEventSource });
  const pylon = await start({ PYLON_DRAIN_SECS: "20" });
  const bulk = await json(await pylon.ask("POST /ofrep/v1/evaluate/flags", {}));
  const [{ endpoint }] = bulk["eventStreams"] as [{ endpoint: { requestUri: string } }];
  const stream = new FetchEventSource(`${pylon.url}${endpoint.requestUri}`);
  await until(() => stream.readyState === 1, "the stream");
  const startedMs = performance.now();
  expect(await pylon.stop()).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  stream.close();
  const next = await start();
  const again = new FetchEventSource(`${next.url}${endpoint.requestUri}`);
  await until(() => again.readyState === 1, "the stream of the next process");
  again.close();
});
