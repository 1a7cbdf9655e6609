// The product's first promise on the binary itself: whatever happens to the process, a write that was acknowledged is there
// and is delivered at least once, one that was rolled back never is, and each row's deliveries come in commit order.
//
// SIGKILL does not test a power cut: what the kernel has, it keeps. `PYLON_TEST_SEED` repeats a run's choices.

import { expect, test } from "bun:test";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";

import { createTempDir } from "../support/temp-dir.ts";
import { type Arrival, type HookReceiver, openHookReceiver } from "./hook-receiver.ts";
import { countUnfinished, type RunningPylon, startPylon, until } from "./running-pylon.ts";
import { createDice } from "../support/dice.ts";

const KILLS = 10;
const WRITERS = 24;
/** How long a process lives once it listens. */
const LIFE_MS = { min: 60, max: 500 } as const;
/** Deliveries that one dead process may have sent without remembering it: those under way and those not settled yet. */
const MAX_UNREMEMBERED = 512;
const REFUSED = "refused";

interface Row {
  readonly id: string;
  readonly tag: string;
  readonly step: number;
}

/** What the writers were told. */
interface Ledger {
  /** The highest acknowledged step of each row that was acknowledged. */
  readonly steps: Map<string, number>;
  /** Rows whose deletion was acknowledged, or may have happened. */
  readonly deleted: Set<string>;
  readonly acknowledgedDeletions: Set<string>;
  acknowledged: number;
  refused: number;
  unknown: number;
}

interface Crash {
  readonly ledger: Ledger;
  readonly dice: () => number;
  /** The process that runs now; undefined between two. */
  pylon: RunningPylon | undefined;
  isOver: boolean;
}

const idle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

async function send(crash: Crash, target: string, json?: unknown): Promise<{ status: number; id: string } | undefined> {
  try {
    const response = await crash.pylon?.ask(target, json);
    if (!response) return undefined;
    const { id = "" } = (await response.json()) as { id?: string };
    return { status: response.status, id };
  } catch {
    // Killed before it answered: the write may have happened.
    crash.ledger.unknown += 1;
    return undefined;
  }
}

function acknowledge({ ledger }: Crash, id: string, step: number): void {
  ledger.acknowledged += 1;
  ledger.steps.set(id, Math.max(step, ledger.steps.get(id) ?? 0));
}

/** One writer: new rows, steps of its own last row, rows that are taken back, and deletions. */
async function write(crash: Crash, writer: number): Promise<void> {
  const { ledger, dice } = crash;
  let mine: { id: string; step: number } | undefined;
  for (let count = 0; !crash.isOver; count++) {
    if (!crash.pylon) {
      await idle();
      continue;
    }
    const choice = dice();
    const tag = `w${writer}-${count}`;
    if (choice < 0.4 || !mine) {
      const answer = await send(crash, "POST /api/entities/Order", { tag, step: 0 });
      if (answer?.status !== 201) continue;
      mine = { id: answer.id, step: 0 };
      acknowledge(crash, answer.id, 0);
    } else if (choice < 0.75) {
      mine.step += 1;
      const { id, step } = mine;
      const answer = await send(crash, `PATCH /api/entities/Order/${id}`, { step });
      if (answer?.status === 200) acknowledge(crash, id, step);
    } else if (choice < 0.85) {
      const answer = await send(crash, "POST /api/fn/refuseOrder", { tag: `${REFUSED}-${tag}` });
      if (answer?.status === 400) ledger.refused += 1;
    } else if (choice < 0.95) {
      const answer = await send(crash, "POST /api/fn/placeOrder", { tag });
      if (answer?.status === 200) acknowledge(crash, answer.id, 1);
    } else {
      const { id } = mine;
      mine = undefined;
      ledger.deleted.add(id);
      const answer = await send(crash, `DELETE /api/entities/Order/${id}`);
      if (answer?.status === 200) ledger.acknowledgedDeletions.add(id);
    }
  }
}

async function readRows(pylon: RunningPylon): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (let cursor: string | null = ""; cursor !== null;) {
    const response = await pylon.ask(`GET /api/entities/Order?limit=200&cursor=${cursor}`);
    const page = (await response.json()) as { data: Row[]; next_cursor: string | null };
    for (const row of page.data) rows.set(row.id, row);
    cursor = page.next_cursor;
  }
  return rows;
}

/** Of each row, its deliveries in the order in which they were first accepted. */
function firstAccepted(accepted: readonly Arrival[]): Map<string, Arrival[]> {
  const seen = new Set<string>();
  const byRow = new Map<string, Arrival[]>();
  for (const arrival of accepted) {
    if (seen.has(arrival.deliveryId)) continue;
    seen.add(arrival.deliveryId);
    byRow.set(arrival.rowId, [...(byRow.get(arrival.rowId) ?? []), arrival]);
  }
  return byRow;
}

/** An insert, steps that only grow, and at most one deletion at the end. */
function isInCommitOrder(arrivals: readonly Arrival[]): boolean {
  return arrivals.every(({ event, data: { step } }, index) => {
    const before = arrivals[index - 1];
    if (!before) return event === "insert";
    if (event === "delete") return index === arrivals.length - 1 && step === before.data.step;
    return event === "update" && before.event !== "delete" && step > before.data.step;
  });
}

function checkRows(crash: Crash, rows: ReadonlyMap<string, Row>): void {
  const { steps, deleted, acknowledgedDeletions } = crash.ledger;
  const lost = [...steps].filter(([id, step]) => {
    const row = rows.get(id);
    return row ? row.step < step : !deleted.has(id);
  });
  expect(lost).toEqual([]);
  expect([...acknowledgedDeletions].filter((id) => rows.has(id))).toEqual([]);
  expect([...rows.values()].filter(({ tag }) => tag.startsWith(REFUSED))).toEqual([]);
}

function checkDeliveries(crash: Crash, rows: ReadonlyMap<string, Row>, receiver: HookReceiver): number {
  const accepted = receiver.arrivals.filter(({ status }) => status === 200);
  const byRow = firstAccepted(accepted);
  expect(receiver.arrivals.filter(({ isSigned }) => !isSigned)).toEqual([]);
  expect(receiver.arrivals.filter(({ data }) => data.tag.startsWith(REFUSED))).toEqual([]);
  // A row that is there had its insert delivered, and every change up to what it is now.
  const undelivered = [...rows.values()].filter(({ id, step }) => byRow.get(id)?.at(-1)?.data.step !== step);
  expect(undelivered).toEqual([]);
  const { steps, acknowledgedDeletions } = crash.ledger;
  const missing = [...steps].filter(([id, step]) => (byRow.get(id) ?? []).every(({ data }) => data.step < step));
  expect(missing).toEqual([]);
  expect([...acknowledgedDeletions].filter((id) => byRow.get(id)?.at(-1)?.event !== "delete")).toEqual([]);
  expect([...byRow.values()].filter((arrivals) => !isInCommitOrder(arrivals))).toEqual([]);
  // What was delivered was committed: a row that is there, or was deleted.
  const invented = [...byRow].filter(([id, arrivals]) => !rows.has(id) && arrivals.at(-1)?.event !== "delete");
  expect(invented).toEqual([]);
  // The same delivery is the same bytes, however often it comes.
  const bodies = new Map<string, string>();
  for (const { deliveryId, body } of receiver.arrivals) {
    expect(bodies.get(deliveryId) ?? body).toBe(body);
    bodies.set(deliveryId, body);
  }
  return accepted.length - bodies.size;
}

test("nothing that was acknowledged is lost, and nothing that was taken back is sent, over repeated SIGKILL", async () => {
  const seed = Number(process.env["PYLON_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const dice = createDice(seed);
  const folder = await createTempDir("pylon-durability-");
  const databasePath = join(folder.path, "pylon.db");
  const receiver = openHookReceiver();
  // A receiver that fails now and then, so that retries are among what is killed.
  receiver.answer = () => new Response(null, { status: dice() < 0.03 ? 500 : 200 });
  const options = { databasePath, env: { RECEIVER_URL: receiver.url } };
  const ledger: Ledger = {
    steps: new Map(),
    deleted: new Set(),
    acknowledgedDeletions: new Set(),
    acknowledged: 0,
    refused: 0,
    unknown: 0,
  };
  const crash: Crash = { ledger, dice, pylon: undefined, isOver: false };
  let running: RunningPylon | undefined;
  try {
    const writers = Array.from({ length: WRITERS }, (_, writer) => write(crash, writer));
    for (let kill = 0; kill < KILLS; kill++) {
      running = await startPylon(options);
      crash.pylon = running;
      const lifeMs = LIFE_MS.min + dice() * (LIFE_MS.max - LIFE_MS.min);
      await new Promise((resolve) => setTimeout(resolve, lifeMs));
      crash.pylon = undefined;
      await running.kill();
    }
    crash.isOver = true;
    await Promise.all(writers);

    running = await startPylon(options);
    const last = running;
    await until(async () => (await countUnfinished(last)) === 0, "every delivery finished", 30_000);
    const rows = await readRows(last);
    checkRows(crash, rows);
    const duplicates = checkDeliveries(crash, rows, receiver);
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
    crash.isOver = true;
    await running?.kill();
    receiver.close();
    await folder.remove();
  }
}, 60_000);
