// (f) One event to 1,000 endpoints, from the request until the last arrival, against a bare loop of signed fetch POSTs to the
// same receiver; and 100 tenants whose healthy endpoints stand beside ones that hang, against the same without these. All of
// it in one run of the binary each, ratios of what the same machine did a moment before.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Child, startChild, withFolder } from "../support/child.ts";
import { BINARY, script, serverEnv, startReceiver } from "./bench-app.ts";
import { type Figure, judged, percentile } from "./figure.ts";

const ENDPOINTS = 1_000;
/** The bare loop and events take turns, so that a busy machine is as busy for both. */
const ROUNDS = 4;
const EVENTS = 6;
const BARE_REQUESTS = 6_000;
const TENANTS = 100;
const RATE = 200;
const SECONDS = 8;
const ADMIN = { authorization: "Bearer bench-admin-token", "content-type": "application/json" };

interface Server {
  readonly pylon: Child;
  post(path: string, json: unknown): Promise<unknown>;
}

const MANIFEST = {
  manifest_version: 1,
  plugins: [
    { name: "net_guard", config: { allow_hosts: ["127.0.0.1"] } },
    { name: "customer_webhooks", config: {} },
  ],
};

async function startServer(folder: string): Promise<Server> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "pylon.manifest.json"), JSON.stringify(MANIFEST));
  const pylon = startChild([BINARY, "serve", folder, "--port", "0"], { env: serverEnv() });
  const { url } = JSON.parse(`{"event":"listening"${await pylon.line('{"event":"listening"')}`) as { url: string };
  return {
    pylon,
    async post(path, json) {
      const response = await fetch(url + path, { method: "POST", headers: ADMIN, body: JSON.stringify(json) });
      if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
      return response.json();
    },
  };
}

interface NewEndpoint {
  readonly applicationId: string;
  readonly url: string;
}

async function createEndpoints(server: Server, endpoints: readonly NewEndpoint[]): Promise<void> {
  const operations = endpoints.map((data) => ({ op: "insert", entity: "WebhookEndpoint", data }));
  await server.post("/api/transact", operations);
}

async function bareRate(url: string): Promise<number> {
  let best = 0;
  for (const concurrency of [32, 64]) {
    const loop = script("bare-loop.ts", [url, String(BARE_REQUESTS), String(concurrency)]);
    const { perSecond } = JSON.parse(await loop.line("result ")) as { perSecond: number };
    best = Math.max(best, perSecond);
  }
  return best;
}

/** Deliveries a second of one event to every endpoint, the best of several events. */
async function fanOutRate(server: Server, receiver: Child): Promise<number> {
  let best = 0;
  for (let event = 0; event < EVENTS; event++) {
    receiver.send(`expect ${ENDPOINTS}`);
    await receiver.line("ok expect");
    const startedMs = performance.now();
    await server.post("/api/webhook-events", { type: "invoice.paid", data: { event }, applicationId: "big" });
    await receiver.line("done ");
    best = Math.max(best, ENDPOINTS / ((performance.now() - startedMs) / 1_000));
  }
  return best;
}

async function fanOut(folder: string, receiver: Child, url: string): Promise<Figure> {
  const server = await startServer(folder);
  try {
    const endpoints = Array.from({ length: ENDPOINTS }, (_, n) => ({ applicationId: "big", url: `${url}/${n}` }));
    await createEndpoints(server, endpoints);
    let [bare, perSecond] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      bare = Math.max(bare, await bareRate(url));
      perSecond = Math.max(perSecond, await fanOutRate(server, receiver));
    }
    const detail = `${Math.round(perSecond)}/s end to end against ${Math.round(bare)}/s bare, the best of each`;
    return judged({ name: "one event to 1,000", value: perSecond / bare, unit: "× bare", detail }, ">=", 0.4);
  } finally {
    await server.pylon.stop("SIGKILL");
  }
}

/** Milliseconds from the event to its arrival at the healthy endpoints, at a steady rate over all tenants. */
async function latencies(server: Server, receiver: Child, seconds: number): Promise<number[]> {
  receiver.send("time");
  await receiver.line("ok time");
  const startedMs = performance.now();
  const asked: Promise<unknown>[] = [];
  for (let sent = 0; sent < RATE * seconds;) {
    const due = Math.min(RATE * seconds, Math.floor(((performance.now() - startedMs) / 1_000) * RATE));
    for (; sent < due; sent++) {
      const applicationId = `tenant${sent % TENANTS}`;
      asked.push(server.post("/api/webhook-events", { type: "invoice.paid", data: { sent }, applicationId }));
    }
    await Bun.sleep(2);
  }
  await Promise.all(asked);
  await Bun.sleep(500);
  receiver.send("latencies");
  return JSON.parse(await receiver.line("latencies ")) as number[];
}

async function isolation(folder: string, receiver: Child, url: string): Promise<Figure> {
  const hanging = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const server = await startServer(folder);
  try {
    const tenants = Array.from({ length: TENANTS }, (_, n) => `tenant${n}`);
    await createEndpoints(
      server,
      tenants.map((applicationId) => ({ applicationId, url })),
    );
    await latencies(server, receiver, 2);
    const alone = await latencies(server, receiver, SECONDS);
    await createEndpoints(
      server,
      tenants.map((applicationId) => ({ applicationId, url: `http://127.0.0.1:${hanging.port}/` })),
    );
    const beside = await latencies(server, receiver, SECONDS);
    const [before, after] = [percentile(alone, 0.99), percentile(beside, 0.99)];
    const detail = `p99 ${after.toFixed(1)} ms beside ${TENANTS} that hang, ${before.toFixed(1)} ms without; ${beside.length} of ${RATE * SECONDS} arrived`;
    return judged({ name: "customers beside hanging", value: after / before, unit: "× p99", detail }, "<=", 2);
  } finally {
    await server.pylon.stop("SIGKILL");
    hanging.stop(true);
  }
}

export async function customerWebhooksBench(): Promise<Figure[]> {
  const { receiver, port } = await startReceiver();
  const url = `http://127.0.0.1:${port}/hook`;
  try {
    return await withFolder(async (folder) => [
      await fanOut(join(folder, "fan-out"), receiver, url),
      await isolation(join(folder, "isolation"), receiver, url),
    ]);
  } finally {
    await receiver.stop();
  }
}
