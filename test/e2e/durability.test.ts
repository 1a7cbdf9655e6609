// The product's first promise on the binary itself: whatever happens to the process, a write that was acknowledged is there
// and is delivered at least once, one that was rolled back never is, and each row's deliveries come in commit order.
//
// SIGKILL does not test a power cut: what the kernel has, it keeps. `PYLON_TEST_SEED` repeats a run's choices.

import { expect, test } from "bun:test";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";

import { createTempDir } from "../support/temp-dir.ts";
import { openHookReceiver } from "./hook-receiver.ts";
import { checkDeliveries, checkRows, createLedger, readRows, type Storm, writeOrders } from "./order-storm.ts";
import { countUnfinished, type RunningPylon, startPylon, until } from "./running-pylon.ts";
import { createDice } from "../support/dice.ts";

const KILLS = 10;
const WRITERS = 24;
/** How long a process lives once it listens. */
const LIFE_MS = { min: 60, max: 500 } as const;
/** Deliveries that one dead process may have sent without remembering it: those under way and those not settled yet. */
const MAX_UNREMEMBERED = 512;

test("nothing that was acknowledged is lost, and nothing that was taken back is sent, over repeated SIGKILL", async () => {
  const seed = Number(process.env["PYLON_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const dice = createDice(seed);
  const folder = await createTempDir("pylon-durability-");
  const databasePath = join(folder.path, "pylon.db");
  const receiver = openHookReceiver();
  // A receiver that fails now and then, so that retries are among what is killed.
  receiver.answer = () => new Response(null, { status: dice() < 0.03 ? 500 : 200 });
  const options = { database: databasePath, env: { RECEIVER_URL: receiver.url } };
  const ledger = createLedger();
  /** The process that runs now; undefined between two. */
  let target: RunningPylon | undefined;
  const storm: Storm = { ledger, dice, pick: () => target, hasStragglers: false, isOver: false };
  let running: RunningPylon | undefined;
  try {
    const writers = Array.from({ length: WRITERS }, (_, writer) => writeOrders(storm, writer));
    for (let kill = 0; kill < KILLS; kill++) {
      running = await startPylon(options);
      target = running;
      const lifeMs = LIFE_MS.min + dice() * (LIFE_MS.max - LIFE_MS.min);
      await new Promise((resolve) => setTimeout(resolve, lifeMs));
      target = undefined;
      await running.kill();
    }
    storm.isOver = true;
    await Promise.all(writers);

    running = await startPylon(options);
    const last = running;
    await until(async () => (await countUnfinished(last)) === 0, "every delivery finished", 30_000);
    const rows = await readRows(last);
    checkRows(ledger, rows);
    const duplicates = checkDeliveries(ledger, rows, receiver);
    expect(duplicates).toBeLessThanOrEqual(KILLS * MAX_UNREMEMBERED);
    expect(await last.stop()).toBe(0);
    running = undefined;
    const database = new DatabaseSync(databasePath);
    expect(database.prepare("PRAGMA quick_check").all()).toEqual([{ quick_check: "ok" }]);
    database.close();

    const { acknowledged, refused, unknown } = ledger;
    const counts = { seed, kills: KILLS, acknowledged, refused, unknown, rows: rows.size };
    console.log(`durability ${JSON.stringify({ ...counts, arrivals: receiver.arrivals.length, duplicates })}`);
    // A run in which nothing happened proves nothing.
    expect(Math.min(acknowledged / 100, refused, ledger.acknowledgedDeletions.size)).toBeGreaterThan(1);
  } catch (error) {
    console.error(`PYLON_TEST_SEED=${seed} makes the same choices`);
    throw error;
  } finally {
    storm.isOver = true;
    await running?.kill();
    receiver.close();
    await folder.remove();
  }
}, 60_000);
