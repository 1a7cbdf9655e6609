// One event to hundreds of endpoints, and the process killed in the middle: every endpoint gets the event, what was recorded is
// not sent again, and each attempt has its one row.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { startPostgres } from "../support/postgres-server.ts";
import { createTempDir } from "../support/temp-dir.ts";
import { type RunningPylon, startPylon, until } from "./running-pylon.ts";

const TENANT = "org_1";
const ENDPOINTS = 400;
/** Of them the first so many answer before the kill, and all of them behind it. */
const ANSWERING = 200;
const TEST_MS = 120_000;

interface Receiver {
  readonly url: string;
  /** How often each endpoint was sent to. */
  readonly arrivals: ReadonlyMap<string, number>;
  answersAll: boolean;
  close(): void;
}

function openReceiver(): Receiver {
  const arrivals = new Map<string, number>();
  const hang = new Promise<Response>(() => undefined);
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const endpoint = new URL(request.url).pathname;
      arrivals.set(endpoint, (arrivals.get(endpoint) ?? 0) + 1);
      return receiver.answersAll || Number(endpoint.slice(1)) < ANSWERING ? new Response(null) : hang;
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  const receiver: Receiver = { url, arrivals, answersAll: false, close: () => void server.stop(true) };
  return receiver;
}

async function withDatabase(kind: string, use: (database: string) => Promise<void>): Promise<void> {
  const folder = await createTempDir("pylon-rounds-");
  const server = kind === "Postgres" ? await startPostgres() : undefined;
  try {
    await use(server?.url ?? join(folder.path, "pylon.db"));
  } finally {
    await server?.stop();
    await folder.remove();
  }
}

/** `succeeded` by the endpoint's path, for every attempt. */
async function attempts(pylon: RunningPylon): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  let cursor = "";
  do {
    const answer = await pylon.ask(`GET /api/entities/WebhookAttempt?limit=100${cursor}`);
    const page = (await answer.json()) as {
      readonly data: readonly { readonly url: string; readonly status: string }[];
      readonly next_cursor: string | null;
    };
    for (const { url, status } of page.data) {
      const { pathname } = new URL(url);
      found.set(pathname, [...(found.get(pathname) ?? []), status]);
    }
    cursor = page.next_cursor === null ? "" : `&cursor=${encodeURIComponent(page.next_cursor)}`;
  } while (cursor !== "");
  return found;
}

async function succeeded(pylon: RunningPylon): Promise<number> {
  return [...(await attempts(pylon)).values()].flat().filter((status) => status === "succeeded").length;
}

async function dispatch(pylon: RunningPylon, url: string): Promise<void> {
  const operations = Array.from({ length: ENDPOINTS }, (_, n) => ({
    op: "insert",
    entity: "WebhookEndpoint",
    data: { applicationId: TENANT, url: `${url}/${n}` },
  }));
  expect((await pylon.ask("POST /api/transact", operations)).status).toBe(200);
  const event = { type: "a", data: 1, applicationId: TENANT };
  expect((await pylon.ask("POST /api/webhook-events", event)).status).toBe(202);
}

for (const kind of ["SQLite", "Postgres"]) {
  test(
    `killed in the middle of an event's first attempts, it makes the others and none that is recorded, on ${kind}`,
    async () => {
      const receiver = openReceiver();
      await withDatabase(kind, async (database) => {
        let pylon = await startPylon({ database, env: {}, app: "customers" });
        try {
          await dispatch(pylon, receiver.url);
          await until(async () => (await succeeded(pylon)) === ANSWERING, "those that answer", 30_000);
          await pylon.kill();
          receiver.answersAll = true;
          pylon = await startPylon({ database, env: {}, app: "customers" });
          await until(async () => (await succeeded(pylon)) === ENDPOINTS, "every endpoint", 40_000);
          expect([...(await attempts(pylon)).values()].every(({ length }) => length === 1)).toBe(true);
          for (let n = 0; n < ENDPOINTS; n++) {
            const times = receiver.arrivals.get(`/${n}`) ?? 0;
            expect([n, times >= 1, times <= (n < ANSWERING ? 1 : 2)]).toEqual([n, true, true]);
          }
        } finally {
          await pylon.kill();
          receiver.close();
        }
      });
    },
    TEST_MS,
  );
}
