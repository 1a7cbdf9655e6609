// Replicas on one Postgres keep what an endpoint allows together: so many deliveries a second, evenly, and so many at once,
// whichever of them dispatched, and also while one of them stops.

import { expect, test } from "bun:test";

import { startPostgres } from "../support/postgres-server.ts";
import { type RunningPylon, startPylon, until } from "./running-pylon.ts";

const TENANT = "org_1";
const PER_SECOND = 10;
const INTERVAL_MS = 1_000 / PER_SECOND;
const AT_ONCE = 2;
const PACED = ["p0", "p1", "p2", "p3"];
const NARROW = ["n0", "n1", "n2", "n3"];
const EVENTS = 60;
/** Behind it both replicas have their share of the endpoints. */
const HANDOVER_MS = 5_000;
/** What a busy machine may take between the start of a delivery and its arrival. */
const LATE_MS = 60;

interface Arrival {
  readonly endpoint: string;
  readonly event: string;
  readonly fromMs: number;
  toMs: number;
}

function openReceiver(): { readonly url: string; readonly arrivals: Arrival[]; close(): void } {
  const arrivals: Arrival[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const endpoint = new URL(request.url).pathname.slice(1);
      const event = request.headers.get("webhook-id") ?? "";
      const arrival: Arrival = { endpoint, event, fromMs: performance.now(), toMs: Infinity };
      arrivals.push(arrival);
      if (NARROW.includes(endpoint)) await Bun.sleep(150);
      arrival.toMs = performance.now();
      return new Response(null);
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, arrivals, close: () => void server.stop(true) };
}

async function ask(pylon: RunningPylon, target: string, json: object): Promise<void> {
  const response = await pylon.ask(target, json);
  expect([target, response.ok, await response.text()]).toEqual([target, true, expect.any(String)]);
}

test("two replicas keep the rate and the concurrency of an endpoint together", async () => {
  const server = await startPostgres();
  const receiver = openReceiver();
  const replicas: RunningPylon[] = [];
  const start = async (): Promise<RunningPylon> => {
    const pylon = await startPylon({ database: server.url, env: {}, app: "customers" });
    replicas.push(pylon);
    return pylon;
  };
  try {
    const pair = [await start(), await start()] as const;
    await Bun.sleep(HANDOVER_MS);
    for (const [names, limits] of [
      [PACED, { maxPerSecond: PER_SECOND }],
      [NARROW, { maxConcurrent: AT_ONCE }],
    ] as const) {
      for (const name of names) {
        const endpoint = { applicationId: TENANT, url: `${receiver.url}/${name}`, ...limits };
        await ask(pair[0], "POST /api/entities/WebhookEndpoint", endpoint);
      }
    }
    for (let n = 0; n < EVENTS; n++) {
      const event = { id: `event_${n}`, type: "a", data: n, applicationId: TENANT };
      await ask(pair[n % 2]!, "POST /api/webhook-events", event);
    }
    const total = EVENTS * (PACED.length + NARROW.length);
    await until(() => receiver.arrivals.length > total / 3, "a third of the deliveries", 20_000);
    expect(await pair[1].stop()).toBe(0);
    await until(() => receiver.arrivals.length >= total, "every delivery", 30_000);

    for (const name of PACED) {
      const at = receiver.arrivals.filter(({ endpoint }) => endpoint === name).map(({ fromMs }) => fromMs);
      // Eleven in the time of ten: not for a moment more than its rate, which two replicas by themselves would double.
      for (const [place, fromMs] of at.entries()) {
        const ahead = at[place + PER_SECOND];
        if (ahead !== undefined) expect(ahead - fromMs).toBeGreaterThan(PER_SECOND * INTERVAL_MS - LATE_MS);
      }
    }
    for (const name of NARROW) {
      const own = receiver.arrivals.filter(({ endpoint }) => endpoint === name);
      const atOnce = own.map(({ fromMs }) => own.filter((one) => one.fromMs <= fromMs && one.toMs > fromMs).length);
      expect(Math.max(...atOnce)).toBe(AT_ONCE);
    }
    const sent = receiver.arrivals.map(({ endpoint, event }) => `${endpoint} ${event}`);
    expect(new Set(sent).size).toBe(total);
    expect(sent.length).toBe(total);
  } finally {
    await Promise.all(replicas.map((pylon) => pylon.kill()));
    receiver.close();
    await server.stop();
  }
}, 120_000);
