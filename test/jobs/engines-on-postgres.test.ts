// Engines of several processes on one Postgres, in real time, with lanes that one engine serves at a time: their limits hold
// for all engines together while these come, go, are killed and lose the connection through which they know of each other.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate, setTimeout } from "node:timers";

import postgres from "postgres";

import { createSystemClock } from "../../src/core/clock.ts";
import { createJobEngine, type JobEngine } from "../../src/jobs/job-engine.ts";
import type { JobHandler } from "../../src/jobs/job-handler.ts";
import { postgresPlatform } from "../../src/platform/postgres-platform.ts";
import { openPostgresStore } from "../../src/store/postgres/open-postgres-store.ts";
import type { PostgresPlatform } from "../../src/store/postgres/postgres-client.ts";
import { ConnectionLost } from "../../src/store/postgres/postgres-errors.ts";
import type { Store } from "../../src/store/store.ts";
import { openTestDatabase } from "../support/postgres.ts";

const LIMITED = Array.from({ length: 6 }, (_, place) => `limited:${place}`);
const PACED = Array.from({ length: 4 }, (_, place) => `paced:${place}`);
const FREE = "free";
const LIMIT = 2;
const INTERVAL_MS = 80;
/** What a busy machine may take between the moment that a job is started for and its start. */
const LATE_MS = 60;
/** Of one job; a limited lane manages 25 a second. */
const RUN_MS = 80;
const FEED_EVERY_MS = 100;
/** Two beats, a handover, and what a busy machine takes. */
const HANDOVER_WITHIN_MS = 12_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

async function until(holds: () => boolean | Promise<boolean>, what: string, withinMs: number): Promise<void> {
  for (const endsMs = performance.now() + withinMs; performance.now() < endsMs; await pause(10)) {
    if (await holds()) return;
  }
  throw new Error(`Not within ${withinMs} ms: ${what}`);
}

interface Run {
  readonly worker: Worker;
  readonly lane: string;
  readonly id: string;
  readonly fromMs: number;
  /** Infinity while it is under way. */
  toMs: number;
}

/** A process with an engine. */
interface Worker {
  readonly store: Store;
  readonly engine: JobEngine;
  isDead: boolean;
  /** Its connections end, it makes no others, and nothing that it does counts. */
  kill(): void;
}

class Fleet {
  readonly url: string;
  readonly runs: Run[] = [];
  readonly workers: Worker[] = [];
  readonly #fed: string[] = [];
  #isFeeding = false;

  constructor(url: string) {
    this.url = url;
  }

  async start(): Promise<Worker> {
    const connections = new Set<{ destroy(): void }>();
    const platform: PostgresPlatform = {
      async connect(url, options) {
        if (worker.isDead) throw new ConnectionLost();
        const connection = await postgresPlatform.connect(url, options);
        connections.add(connection);
        return connection;
      },
    };
    const place = this.workers.length;
    const clock = createSystemClock();
    // Numbers that are known, so that each of them has lanes of both kinds.
    const random = (): number => (0.123 + place * 0.3) % 1;
    let worker = { isDead: false } as Worker;
    const store = await openPostgresStore({ url: this.url, platform, clock, random, connections: 3 });
    const engine = createJobEngine({
      store,
      clock,
      owner: `worker ${place} ${crypto.randomUUID()}`,
      defer: (run) => void setImmediate(run),
      log: () => undefined,
      handlers: [
        this.#handlerOf(() => worker, { kind: "limited", laneAlone: true, laneConcurrency: LIMIT }),
        this.#handlerOf(() => worker, {
          kind: "paced",
          laneAlone: true,
          laneConcurrency: 10,
          laneIntervalMs: () => INTERVAL_MS,
        }),
        this.#handlerOf(() => worker, { kind: FREE, laneConcurrency: LIMIT }),
      ],
    });
    const kill = (): void => {
      worker.isDead = true;
      for (const run of this.runs) if (run.worker === worker) run.toMs = Math.min(run.toMs, performance.now());
      for (const connection of connections) connection.destroy();
    };
    worker = { store, engine, isDead: false, kill };
    this.workers.push(worker);
    engine.start();
    return worker;
  }

  /** Adds jobs to every lane, about as many as they manage, until told to stop. */
  async feed(store: Store): Promise<void> {
    this.#isFeeding = true;
    while (this.#isFeeding) {
      const now = Date.now();
      await store.write(async (tx) => {
        for (const lane of [...LIMITED, ...LIMITED, ...PACED, FREE, FREE, FREE, FREE]) {
          const id = `job ${this.#fed.length}`;
          this.#fed.push(id);
          const kind = lane.split(":")[0] ?? lane;
          await tx.enqueueJob({ id, kind, lane, payload: "", dueAt: now, createdAt: now });
        }
      });
      await pause(FEED_EVERY_MS);
    }
  }

  stopFeeding(): void {
    this.#isFeeding = false;
  }

  /** Waits until everything is done. */
  async finish(store: Store): Promise<void> {
    const left = async (): Promise<number> => {
      const { ready = 0, leased = 0 } = await store.reader.countJobs();
      return ready + leased;
    };
    await until(async () => (await left()) === 0, "everything is done", HANDOVER_WITHIN_MS * 2);
  }

  /** Waits until `worker` has begun a job of each lane from now on. */
  async serves(worker: Worker, lanes: readonly string[], what: string): Promise<void> {
    const sinceMs = performance.now();
    const isServed = (lane: string): boolean =>
      this.runs.some((run) => run.worker === worker && run.lane === lane && run.fromMs >= sinceMs);
    await until(() => lanes.every(isServed), what, HANDOVER_WITHIN_MS);
  }

  lanesOf(worker: Worker): string[] {
    return [...LIMITED, ...PACED].filter((lane) => this.runs.findLast((run) => run.lane === lane)?.worker === worker);
  }

  mostAtOnce(lane: string): number {
    const runs = this.runs.filter((run) => run.lane === lane);
    return Math.max(
      ...runs.map(({ fromMs }) => runs.filter((run) => run.fromMs <= fromMs && run.toMs > fromMs).length),
    );
  }

  /** Limits, paces, and that everything ran once, but what a killed process could not settle. */
  check(): void {
    for (const lane of LIMITED)
      assert.ok(this.mostAtOnce(lane) <= LIMIT, `${this.mostAtOnce(lane)} at once in ${lane}`);
    assert.ok(
      LIMITED.some((lane) => this.mostAtOnce(lane) === LIMIT),
      "no limit was reached",
    );
    for (const lane of PACED) {
      const starts = this.runs.filter((run) => run.lane === lane).map(({ fromMs }) => fromMs);
      for (const count of [1, 5, 20]) {
        const spans = starts.slice(count).map((atMs, place) => atMs - (starts[place] ?? 0));
        const shortest = Math.min(...spans);
        assert.ok(shortest >= count * INTERVAL_MS - LATE_MS, `${count + 1} jobs of ${lane} began in ${shortest} ms`);
      }
    }
    const byTheLiving = this.runs.filter(({ worker }) => !worker.isDead).map(({ id }) => id);
    assert.equal(new Set(byTheLiving).size, byTheLiving.length, "something was done twice");
    assert.deepEqual(new Set(this.runs.map(({ id }) => id)), new Set(this.#fed));
  }

  async close(): Promise<void> {
    this.stopFeeding();
    await Promise.all(this.workers.map(({ engine }) => engine.stop({ drainMs: 0 })));
    await Promise.all(this.workers.map(({ store }) => store.close()));
  }

  #handlerOf(of: () => Worker, handler: Omit<JobHandler, "run">): JobHandler {
    return {
      ...handler,
      run: async ({ lane, id }) => {
        const worker = of();
        if (worker.isDead) return new Promise(() => undefined);
        const run: Run = { worker, lane, id, fromMs: performance.now(), toMs: Infinity };
        this.runs.push(run);
        await pause(RUN_MS);
        run.toMs = Math.min(run.toMs, performance.now());
        return { kind: "done" };
      },
    };
  }
}

async function withFleet(use: (fleet: Fleet) => Promise<void>): Promise<void> {
  const database = await openTestDatabase();
  const fleet = new Fleet(database.url);
  try {
    await use(fleet);
  } finally {
    await fleet.close();
    await database.drop();
  }
}

async function cutChannels(url: string): Promise<number> {
  const client = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    const rows = await client.unsafe(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
      AND classid = 1349152844 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
    return rows.length;
  } finally {
    await client.end({ timeout: 5 });
  }
}

const TIMEOUT = { timeout: 120_000 };

describe("the limits of lanes that one engine serves at a time", () => {
  it("hold while engines come and stop, and the lanes spread over them", TIMEOUT, () =>
    withFleet(async (fleet) => {
      const first = await fleet.start();
      const feeding = fleet.feed(first.store);
      const startedMs = performance.now();
      await fleet.serves(first, [...LIMITED, ...PACED], "the first serves every lane");
      assert.ok(performance.now() - startedMs < 2_500, "it waited, and nobody else was there");
      const second = await fleet.start();
      const third = await fleet.start();
      const all = [first, second, third];
      await until(
        () => all.every((worker) => fleet.lanesOf(worker).length > 1),
        "the lanes are spread",
        HANDOVER_WITHIN_MS,
      );
      const spread = all.map((worker) => fleet.lanesOf(worker));
      await pause(1_000);
      assert.deepEqual(
        all.map((worker) => fleet.lanesOf(worker)),
        spread,
        "they move without need",
      );
      assert.ok(fleet.mostAtOnce(FREE) > LIMIT, "other lanes are served by all of them");
      await second.engine.stop({ drainMs: 5_000 });
      const [ofFirst = [], ofSecond = []] = spread;
      await until(
        () => ofSecond.every((lane) => !fleet.lanesOf(second).includes(lane)),
        "others have taken over",
        HANDOVER_WITHIN_MS,
      );
      assert.ok(
        ofFirst.every((lane) => fleet.lanesOf(first).includes(lane)),
        "only what had to move has moved",
      );
      fleet.stopFeeding();
      await feeding;
      await fleet.finish(first.store);
      fleet.check();
    }),
  );

  it("hold while an engine is killed, and while the others lose the connection between them", TIMEOUT, () =>
    withFleet(async (fleet) => {
      const [first, second] = [await fleet.start(), await fleet.start()];
      const feeding = fleet.feed(first.store);
      await until(
        () => [first, second].every((worker) => fleet.lanesOf(worker).length > 1),
        "the lanes are spread",
        HANDOVER_WITHIN_MS,
      );
      second.kill();
      await fleet.serves(first, [...LIMITED, ...PACED], "the other takes over");
      const third = await fleet.start();
      await until(() => fleet.lanesOf(third).length > 1, "a new one has its share", HANDOVER_WITHIN_MS);
      const [ofFirst, ofThird] = [fleet.lanesOf(first), fleet.lanesOf(third)];
      assert.equal(await cutChannels(fleet.url), 2);
      await Promise.all([
        fleet.serves(first, ofFirst, "the first goes on"),
        fleet.serves(third, ofThird, "the new one goes on"),
      ]);
      fleet.stopFeeding();
      await feeding;
      await fleet.finish(first.store);
      fleet.check();
    }),
  );
});
