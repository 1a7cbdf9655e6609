// Many writers, claimants and meddlers at once over the jobs of a few keys: nobody runs beside another of its key, the order
// within a key is that of the commits, and in the end nothing is left waiting for somebody who has gone.

import assert from "node:assert/strict";

import type { Job, Store } from "../../src/store/store.ts";
import { createDice } from "../support/dice.ts";
import { newJob, settleIn, T0, type OpenedStore, type StoreTest } from "./store-fixture.ts";

const KEYS = ["a", "b", "c", "d", "e"] as const;
const JOBS_PER_KEY = 24;
const CLAIMANTS = 4;

interface Dice {
  chance(probability: number): boolean;
  /** A whole number from 0, below `bound`. */
  below(bound: number): number;
}

function rollDice(seed: number): Dice {
  const roll = createDice(seed);
  return { chance: (probability) => roll() < probability, below: (bound) => Math.floor(roll() * bound) };
}

/** What has been seen so far. */
interface Storm {
  /** Per key, who is between its claim and its settlement. */
  readonly running: Map<string, string>;
  /** Per key, what ended, in this order. */
  readonly ended: Map<string, string[]>;
  readonly meddled: Set<string>;
  left: number;
}

const placeOf = (id: string): number => Number(id.split(" ")[1]);

function begin(storm: Storm, job: Job): void {
  const key = job.key ?? "";
  assert.equal(storm.running.get(key), undefined, `${job.id} runs beside ${storm.running.get(key)}`);
  storm.running.set(key, job.id);
}

/** One enqueuer per key, so that the order of its commits is known. */
async function enqueueKey(store: Store, key: string, dice: Dice): Promise<void> {
  for (let place = 0; place < JOBS_PER_KEY; place += 1) {
    const isolation = dice.chance(0.5) ? ("serializable" as const) : ("read-committed" as const);
    const job = newJob(`${key} ${place}`, { key, lane: `lane ${place % 2}`, dueAt: T0 + dice.below(3) });
    await store.write((tx) => tx.enqueueJob(job), { isolation });
  }
}

async function settleOne(store: Store, storm: Storm, job: Job, dice: Dice): Promise<void> {
  const owner = job.leaseOwner ?? "";
  const again = dice.chance(0.2);
  // Noted before the commit: from then on another claimant may begin the next.
  storm.running.delete(job.key ?? "");
  const settled = await store.write(
    (tx) => settleIn(tx, job, again ? { owner, state: "ready", dueAt: T0 } : { owner }),
    { isolation: dice.chance(0.8) ? "read-committed" : "serializable" },
  );
  assert.equal(settled, true, `the lease of ${job.id} was lost`);
  if (again) return;
  storm.ended.get(job.key ?? "")?.push(job.id);
  storm.left -= 1;
}

async function claimUntilDone(store: Store, storm: Storm, owner: string, dice: Dice): Promise<void> {
  for (let idle = 0; storm.left > 0; idle += 1) {
    assert.ok(idle < 2_000, `${storm.left} jobs are never claimed`);
    const lane = `lane ${dice.below(2)}`;
    const claim = { lane, limit: 1 + dice.below(4), owner, now: T0 + 9, leaseUntil: T0 + 60_000 };
    const jobs = await store.write((tx) => tx.claimJobs(claim), { isolation: "read-committed" });
    for (const job of jobs) begin(storm, job);
    if (jobs.length > 0) idle = 0;
    else await new Promise((resolve) => setTimeout(resolve, 2));
    for (const job of jobs) await settleOne(store, storm, job, dice);
  }
}

/** Cancels and requeues by hand what it can; those it touched are out of order. */
async function meddle(store: Store, storm: Storm, dice: Dice): Promise<void> {
  for (let turn = 0; turn < 40; turn += 1) {
    const id = `${KEYS[dice.below(KEYS.length)]} ${dice.below(JOBS_PER_KEY)}`;
    if (storm.meddled.has(id)) continue;
    storm.meddled.add(id);
    if (!(await store.write((tx) => tx.cancelJob(id, T0)))) {
      storm.meddled.delete(id);
      continue;
    }
    assert.equal(await store.write((tx) => tx.requeueJob(id, T0)), true);
  }
}

async function rage(opened: OpenedStore, seed: number): Promise<void> {
  const stores = opened.second ? [opened.store, await opened.second()] : [opened.store];
  const storm: Storm = {
    running: new Map(),
    ended: new Map(KEYS.map((key) => [key, []])),
    meddled: new Set(),
    left: KEYS.length * JOBS_PER_KEY,
  };
  const storeAt = (place: number): Store => stores[place % stores.length] as Store;
  await Promise.all([
    ...KEYS.map((key, place) => enqueueKey(storeAt(place), key, rollDice(seed + place))),
    ...Array.from({ length: CLAIMANTS }, (_, place) =>
      claimUntilDone(storeAt(place), storm, `owner ${place}`, rollDice(seed + 100 + place)),
    ),
    meddle(storeAt(1), storm, rollDice(seed + 200)),
  ]);
  for (const [key, ended] of storm.ended) {
    assert.equal(new Set(ended).size, JOBS_PER_KEY, `key ${key} ended ${ended.length} times`);
    const inOrder = ended.filter((id) => !storm.meddled.has(id)).map(placeOf);
    assert.deepEqual(
      inOrder,
      inOrder.toSorted((a, b) => a - b),
      `the order of key ${key}`,
    );
  }
  const { ready, leased, blocked } = await opened.store.reader.countJobs();
  assert.deepEqual([ready, leased, blocked], [0, 0, 0]);
}

export function testStorm(test: StoreTest): void {
  for (const seed of [1, 2, 3]) {
    test(`many at once over the jobs of a few keys (seed ${seed})`, (opened) => rage(opened, seed * 1_000));
  }
}
