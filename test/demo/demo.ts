// The main job on a machine with only Node and npm: build the executable, start a small shop, insert an order over HTTP,
// and watch its signed webhook arrive, a failing receiver being retried, and a rolled-back write sending nothing.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startChild, type Child } from "../support/child.ts";
import { openReceiver, type Arrival, type Receiver } from "./receiver.ts";

const ROOT = join(import.meta.dir, "..", "..");
const BINARY = join(ROOT, "dist", "pylon");
const APP = join(ROOT, "fixtures", "apps", "quickstart");
const SECRET = "the-secret-of-the-quickstart";
const ADMIN_TOKEN = "demo-admin-token";

const dim = (text: string): string => (process.stdout.isTTY ? `\x1b[2m${text}\x1b[0m` : text);
const bold = (text: string): string => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);
const startedMs = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(2).padStart(6);
  console.log(`${dim(`${seconds} s`)}  ${text}`);
}

function chapter(text: string): void {
  console.log(`\n${bold(text)}`);
}

function check(holds: boolean, claim: string): void {
  if (!holds) throw new Error(`This should have been true: ${claim}`);
}

async function build(): Promise<void> {
  chapter("Build one executable");
  const building = Bun.spawn([process.execPath, "run", join(ROOT, "build.ts")], { stdout: "pipe", stderr: "inherit" });
  const output = await new Response(building.stdout).text();
  check((await building.exited) === 0, "the build succeeds");
  say(output.trim().split("\n").at(-1) ?? "built");
}

async function start(folder: string, receiver: Receiver): Promise<{ readonly pylon: Child; readonly url: string }> {
  chapter("Start it on fixtures/apps/quickstart, with SQLite inside");
  const pylon = startChild([BINARY, "dev", APP, "--port", "0", "--db", join(folder, "shop.db")], {
    env: {
      PYLON_LOG_FORMAT: "json",
      PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
      WEBHOOK_SECRET: SECRET,
      RECEIVER_URL: receiver.url,
    },
  });
  const { url } = JSON.parse(`{"event":"listening"${await pylon.line('{"event":"listening"')}`) as { url: string };
  say(`listening on ${url}`);
  return { pylon, url };
}

async function post(
  url: string,
  path: string,
  body: unknown,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

function describeArrival({ body, attempt, answered, signed, afterMs }: Arrival): string {
  const signature = signed ? "signature ✓" : "SIGNATURE WRONG";
  return `attempt ${attempt}  ${body.event} ${body.entity} ${body.row_id}  → ${answered}  ${signature}  (${afterMs.toFixed(0)} ms after commit)`;
}

async function showDelivery(url: string, receiver: Receiver): Promise<void> {
  chapter("Insert an order: its webhook commits with it");
  const { status, json } = await post(url, "/api/entities/Order", { customer: "ada", total: 1_299 });
  check(status === 201, "the order is created");
  say(`POST /api/entities/Order → 201 ${String(json.id)}`);
  const arrival = await receiver.next();
  say(describeArrival(arrival));
  check(arrival.signed && arrival.body.row_id === json.id, "the webhook is signed and of this order");
}

async function showRetry(url: string, receiver: Receiver): Promise<void> {
  chapter("The receiver fails twice: the delivery is tried again on schedule (0.5 s, then 1 s)");
  receiver.failNext(2);
  await post(url, "/api/fn/placeOrder", { customer: "ada", total: 250 });
  const ids = new Set<string>();
  for (const expected of [500, 500, 200]) {
    const arrival = await receiver.next();
    say(describeArrival(arrival));
    ids.add(arrival.body.delivery_id);
    check(arrival.answered === expected && arrival.signed, `the receiver answers ${expected}`);
  }
  check(ids.size === 1, "every attempt carries the same delivery_id");
}

async function showRollback(url: string, receiver: Receiver): Promise<void> {
  chapter("A mutation inserts an order and then throws: nothing is sent");
  const refused = await post(url, "/api/fn/refuseOrder", { customer: "ada", total: 9_999 });
  const { error } = refused.json as { error: { code: string } };
  say(`POST /api/fn/refuseOrder → ${refused.status} ${error.code}`);
  check(error.code === "OUT_OF_STOCK", "the mutation was refused");
  const { json } = (await post(url, "/api/fn/ordersOf", { customer: "ada" })) as unknown as {
    json: { total: number }[];
  };
  check(!json.some((order) => order.total === 9_999), "the refused order is not stored");
  say(`orders stored: ${json.length}, the refused one is not among them`);
  await post(url, "/api/entities/Order", { customer: "grace", total: 7 });
  const next = await receiver.next();
  check((next.body.data as { total: number }).total === 7, "the next webhook is of the order after it");
  say("the next webhook that arrives is of the order after it");
  check(receiver.waiting === 0, "no other webhook has arrived");
}

async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pylon-demo-"));
  const receiver = openReceiver(SECRET);
  let pylon: Child | undefined;
  try {
    await build();
    const started = await start(folder, receiver);
    pylon = started.pylon;
    await showDelivery(started.url, receiver);
    await showRetry(started.url, receiver);
    await showRollback(started.url, receiver);
    chapter("Done");
    say(`Try it yourself: ${bold("dist/pylon init my-app && dist/pylon dev my-app")}`);
  } finally {
    await pylon?.stop();
    receiver.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await run();
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
