// Replicas on one Postgres: whichever of them is killed, and whatever happens to the database, every acknowledged write is
// there and delivered, each row's deliveries come in commit order, and only what a dead process had under way comes twice.

import { expect, test } from "bun:test";

import { createDice } from "../support/dice.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { openHookReceiver } from "./hook-receiver.ts";
import { checkDeliveries, checkRows, createLedger, readRows, type Storm, writeOrders } from "./order-storm.ts";
import { countUnfinished, type RunningPylon, startPylon, until } from "./running-pylon.ts";

const REPLICAS = 3;
const WRITERS = 16;
const KILLS = 7;
const KILL_EVERY_MS = 1_000;
const RESTART_AFTER_KILL = 3;
/** Deliveries of one hook that one process has under way, and outcomes that one transaction settles. */
const [HOOK_CONCURRENCY, SETTLE_BATCH] = [48, 256];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Processes with a place each, which is empty while its process is dead. */
class Replicas {
  readonly #start: () => Promise<RunningPylon>;
  readonly #places: (RunningPylon | undefined)[];
  readonly #starting = new Set<Promise<void>>();

  constructor(count: number, start: () => Promise<RunningPylon>) {
    this.#start = start;
    this.#places = Array.from({ length: count }, () => undefined);
  }

  get alive(): RunningPylon[] {
    return this.#places.filter((place) => place !== undefined);
  }

  /** All at once. */
  async startAll(): Promise<void> {
    await Promise.all(this.#places.map((_, place) => this.#fill(place)));
  }

  /** SIGKILL, and a new one at once, which is not waited for. */
  async replace(place: number): Promise<void> {
    const victim = this.#places[place];
    this.#places[place] = undefined;
    await victim?.kill();
    const starting = this.#fill(place);
    this.#starting.add(starting);
    void starting.finally(() => this.#starting.delete(starting)).catch(() => undefined);
  }

  async allStarted(): Promise<void> {
    await Promise.all(this.#starting);
  }

  async killAll(): Promise<void> {
    await Promise.allSettled(this.#starting);
    await Promise.all(this.alive.map((pylon) => pylon.kill()));
  }

  async #fill(place: number): Promise<void> {
    this.#places[place] = await this.#start();
  }
}

test("three replicas lose nothing and repeat little while one is killed every second and the database restarts", async () => {
  const seed = Number(process.env["PYLON_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const dice = createDice(seed);
  const server = await startPostgres();
  const receiver = openHookReceiver();
  receiver.answer = () => new Response(null, { status: dice() < 0.03 ? 500 : 200 });
  const replicas = new Replicas(REPLICAS, () =>
    startPylon({ database: server.url, env: { RECEIVER_URL: receiver.url, PYLON_DB_CONNECTIONS: "8" } }),
  );
  const ledger = createLedger();
  const pick = (): RunningPylon | undefined => replicas.alive[Math.floor(dice() * replicas.alive.length)];
  const storm: Storm = { ledger, dice, pick, hasStragglers: true, isOver: false };
  try {
    await replicas.startAll();
    const writers = Array.from({ length: WRITERS }, (_, writer) => writeOrders(storm, writer));
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(KILL_EVERY_MS);
      if (kill === RESTART_AFTER_KILL) await server.restart();
      await replicas.replace(kill % REPLICAS);
    }
    storm.isOver = true;
    await Promise.all(writers);
    await replicas.allStarted();

    const [last] = replicas.alive;
    if (!last) throw new Error("No replica is left");
    await until(async () => (await countUnfinished(last)) === 0, "every delivery finished", 30_000);
    const rows = await readRows(last);
    checkRows(ledger, rows);
    const duplicates = checkDeliveries(ledger, rows, receiver);
    const { acknowledged, refused, unknown, deferred } = ledger;
    const counts = { seed, kills: KILLS, acknowledged, refused, unknown, deferred, rows: rows.size };
    console.log(`replicas ${JSON.stringify({ ...counts, arrivals: receiver.arrivals.length, duplicates })}`);
    expect(ledger.odd).toEqual([]);
    expect(duplicates).toBeLessThanOrEqual(KILLS * (HOOK_CONCURRENCY + SETTLE_BATCH));
    // A run in which nothing happened proves nothing.
    expect(Math.min(acknowledged / 100, refused, ledger.acknowledgedDeletions.size)).toBeGreaterThan(1);
    expect(await Promise.all(replicas.alive.map((pylon) => pylon.stop()))).toEqual([0, 0, 0]);
  } catch (error) {
    console.error(`PYLON_TEST_SEED=${seed} makes the same choices`);
    throw error;
  } finally {
    storm.isOver = true;
    await replicas.killAll();
    receiver.close();
    await server.stop();
  }
}, 90_000);
