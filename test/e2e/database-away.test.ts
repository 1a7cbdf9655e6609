// A database server that is not there yet, goes away and comes back: processes wait for it, say so, answer what they cannot
// do, and go on by themselves.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";

import postgres from "postgres";

import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { openHookReceiver } from "./hook-receiver.ts";
import { type RunningPylon, startPylon, until } from "./running-pylon.ts";

let server: PostgresServer;
const running: RunningPylon[] = [];
const receiver = openHookReceiver();

beforeAll(async () => {
  server = await startPostgres();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((pylon) => pylon.kill()));
});
afterAll(async () => {
  receiver.close();
  await server.stop();
});

interface Start {
  readonly onLine?: (line: string) => void;
  /** @default the server's own */
  readonly database?: string;
}

async function start({ onLine = () => undefined, database = server.url }: Start = {}): Promise<RunningPylon> {
  const env = { RECEIVER_URL: receiver.url, PYLON_DB_WAIT_SECS: "30", PYLON_DB_CONNECTIONS: "4" };
  const pylon = await startPylon({ database, env, onLine });
  running.push(pylon);
  return pylon;
}

/** A database in which no other test has made anything. */
async function createDatabase(name: string): Promise<string> {
  const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(`CREATE DATABASE ${name}`);
  await sql.end({ timeout: 5 });
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
}

/** Notes the name of everything that is created from now on, as often as it is. */
async function watchCreations(url: string): Promise<() => Promise<string[]>> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(`
    CREATE TABLE created (name text);
    CREATE FUNCTION note_created() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO created SELECT object_identity FROM pg_event_trigger_ddl_commands()
        WHERE object_type IN ('table', 'index');
    END $$;
    CREATE EVENT TRIGGER note_created ON ddl_command_end
      WHEN TAG IN ('CREATE TABLE', 'CREATE INDEX') EXECUTE FUNCTION note_created();`);
  await sql.end({ timeout: 5 });
  return async () => {
    const later = postgres(url, { max: 1, onnotice: () => undefined });
    const rows = await later<{ name: string }[]>`SELECT name FROM created`;
    await later.end({ timeout: 5 });
    return rows.map(({ name }) => name);
  };
}

/** What a client gets to know of a request that the database is needed for. */
async function answerOf(response: Response): Promise<{ status: number; retryAfter: number; code: string | undefined }> {
  const { error } = (await response.json()) as { readonly error?: { readonly code: string } };
  return { status: response.status, retryAfter: Number(response.headers.get("retry-after")), code: error?.code };
}

const statusOf = async (pylon: RunningPylon, target: string): Promise<number> => (await pylon.ask(target)).status;

describe("a database that is not there", () => {
  test("is waited for by replicas that start before it, and is made once by all of them", async () => {
    const database = await createDatabase("empty");
    const readCreations = await watchCreations(database);
    await server.kill();
    const waiting: string[] = [];
    const onLine = (line: string): void => void (line.includes('"database.waiting"') && waiting.push(line));
    const starting = [1, 2, 3].map(() => start({ onLine, database }));
    await until(() => waiting.length >= 3, "each said that it waits");
    await server.restart();
    const replicas = await Promise.all(starting);
    expect(waiting.join("\n")).not.toContain(new URL(server.url).password);
    expect(JSON.parse(waiting[0] ?? "")).toMatchObject({
      level: "warn",
      database: expect.stringContaining("127.0.0.1"),
    });
    const created = await readCreations();
    expect(created).toContain('public."Order"');
    expect(created.toSorted()).toEqual([...new Set(created)].toSorted());
    const placed = await Promise.all(
      replicas.map((pylon, i) => pylon.ask("POST /api/entities/Order", { tag: `first-${i}`, step: 0 })),
    );
    expect(placed.map(({ status }) => status)).toEqual([201, 201, 201]);
  });

  test("makes a start fail in the end, without its password", async () => {
    await server.kill();
    const failing = startPylon({
      database: server.url,
      env: { RECEIVER_URL: receiver.url, PYLON_DB_WAIT_SECS: "0.5" },
    });
    const message = await failing.then(() => "started", String);
    await server.restart();
    expect(message).toContain("STORE_UNAVAILABLE");
    expect(message).not.toContain(new URL(server.url).password);
  });
});

test("requests that a server's crash cuts off, or that find none, are answered 503; what follows goes on by itself", async () => {
  const pylon = await start();
  expect(await statusOf(pylon, "GET /readyz")).toBe(200);
  const cut = Array.from({ length: 60 }, (_, i) => pylon.ask("POST /api/fn/placeOrder", { tag: `cut-${i}` }));
  await Promise.race(cut);
  await server.kill();

  const answers = await Promise.all(cut.map(async (asked) => answerOf(await asked)));
  const failed = answers.filter(({ status }) => status !== 200);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.filter(({ status, retryAfter, code }) => status !== 503 || !(retryAfter > 0) || !code)).toEqual([]);
  await until(async () => (await statusOf(pylon, "GET /readyz")) === 503, "it is not ready");
  expect(await statusOf(pylon, "GET /health")).toBe(200);
  expect(await statusOf(pylon, "GET /metrics")).toBe(200);
  for (const [target, json] of [
    ["GET /api/entities/Order", undefined],
    ["POST /api/entities/Order", { tag: "nowhere", step: 0 }],
    ["POST /api/fn/placeOrder", { tag: "nowhere" }],
  ] as const) {
    expect(await answerOf(await pylon.ask(target, json))).toEqual({
      status: 503,
      retryAfter: expect.any(Number),
      code: "STORE_UNAVAILABLE",
    });
  }

  await server.restart();
  await until(async () => (await statusOf(pylon, "GET /readyz")) === 200, "it is ready again");
  // What was answered 503 was not written, unless the connection was lost in the commit itself.
  const uncertain = failed.filter(({ code }) => code === "STORE_UNCERTAIN").length;
  const rows = (await (await pylon.ask("GET /api/entities/Order?limit=200")).json()) as { data: { tag: string }[] };
  const kept = rows.data.filter(({ tag }) => tag.startsWith("cut-")).length;
  expect(kept).toBeGreaterThanOrEqual(answers.length - failed.length);
  expect(kept).toBeLessThanOrEqual(answers.length - failed.length + uncertain);
  const placed = await pylon.ask("POST /api/entities/Order", { tag: "after", step: 0 });
  expect(placed.status).toBe(201);
  await until(
    () => receiver.arrivals.some(({ data }) => data.tag === "after") && countArrived("cut-") === kept * 2,
    () => `every delivery: ${countArrived("cut-")} of ${kept * 2}`,
  );
  expect(await pylon.stop()).toBe(0);
}, 60_000);

/** Of rows whose tag begins so, the deliveries that arrived. */
function countArrived(tag: string): number {
  const arrived = receiver.arrivals.filter(({ data }) => data.tag.startsWith(tag));
  return new Set(arrived.map(({ deliveryId }) => deliveryId)).size;
}
