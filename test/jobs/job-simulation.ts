// Several engines on one store in virtual time, with crashes between any two store operations, stalls, refused and
// unanswered commits, clocks that differ and jump, slow and failing handlers, all from one seed. A model beside the store
// checks every commit as it happens; in the end nothing is lost, and what ran twice is owed to a fault.

import assert from "node:assert/strict";

import type { Clock } from "../../src/core/clock.ts";
import { createJobEngine, type JobEngine } from "../../src/jobs/job-engine.ts";
import type { JobHandler, JobOutcome } from "../../src/jobs/job-handler.ts";
import { storeError } from "../../src/store/store-errors.ts";
import type { Job, Store, Tx } from "../../src/store/store.ts";
import { createMemoryStore } from "../support/memory-store.ts";
import { createWorld } from "./job-harness.ts";
import { createDice } from "../support/dice.ts";
import { LeaseModel } from "./lease-model.ts";

const MAX_RUN_MS = 90_000;
/** Longer than a lease. */
const MAX_DURATION_MS = 80_000;
/** Of each engine: jobs under way. */
const CAPACITY = 8;
/** How far the clock of one process is from the others'. A lease is kept for longer than two of these. */
const MAX_SKEW_MS = 15_000;

class Crash extends Error {}

/** Faults of one process; each counts steps down to 0, where it strikes. */
interface Faults {
  crashIn: number;
  refuseIn: number;
}

interface Process {
  readonly engine: JobEngine;
  readonly owner: string;
  readonly faults: Faults;
  readonly skewMs: number;
  isDead: boolean;
  isStalled: boolean;
  /** Handlers that began, and attempts that were settled. */
  begun: number;
  settled: number;
  /** Runs that may have come to nothing because the process was killed or stopped. */
  interrupted: number;
  /** What would have happened during a stall. */
  readonly backlog: (() => void)[];
}

/** How one job behaves towards the world: its runs are counted over all processes. */
interface Plan {
  readonly failures: number;
  readonly durationMs: number;
  readonly ending: "done" | "dead";
  readonly poisonedSettles: number;
  runs: number;
  settles: number;
}

export interface SimulationOptions {
  /** Without, processes still differ in their clocks, and handlers are still slow and fail. @default true */
  readonly faults?: boolean;
  /** Methods of a transaction as a broken store would have them; the simulation has to find out. */
  readonly breakTx?: (tx: Tx) => Partial<Tx>;
}

/** What happened, so that a test can say that enough did. */
export interface SimulationStats {
  crashes: number;
  stalls: number;
  refusals: number;
  jumps: number;
  runs: number;
  /** Leases lost under a run. */
  lost: number;
  /** Settlements that came too late: the lease was another's, or over. */
  fenced: number;
  /** Runs that were not settled, so that their job ran again. */
  repeated: number;
}

const never = (): Promise<never> => new Promise(() => undefined);

export class Simulation {
  readonly #dice: () => number;
  readonly #world = createWorld();
  readonly #store: Store = createMemoryStore();
  readonly #model = new LeaseModel();
  readonly #breakTx: (tx: Tx) => Partial<Tx>;
  readonly #hasFaults: boolean;
  readonly #size: { readonly processes: number; readonly jobs: number; readonly steps: number };
  readonly #plans: Map<string, Plan> = new Map();
  readonly #keys: Map<string, string[]> = new Map();
  readonly #canceled: Set<string> = new Set();
  /** A check that failed where a throw would be taken for a fault. */
  #failure: unknown;
  #processes: Process[] = [];
  /** Every process that there ever was. */
  readonly #all: Process[] = [];
  readonly stats: SimulationStats = {
    crashes: 0,
    stalls: 0,
    refusals: 0,
    jumps: 0,
    runs: 0,
    lost: 0,
    fenced: 0,
    repeated: 0,
  };

  constructor(seed: number, options: SimulationOptions = {}) {
    this.#dice = createDice(seed);
    this.#hasFaults = options.faults ?? true;
    this.#breakTx = options.breakTx ?? (() => ({}));
    this.#size = { processes: this.#int(2, 4), jobs: this.#int(5, 40), steps: this.#int(10, 50) };
  }

  /** Chaos, then calm: in the end every job must have come to its end. */
  async run(): Promise<void> {
    for (let i = 0; i < this.#size.processes; i++) this.#spawn();
    for (let step = 0; step < this.#size.steps; step++) {
      if (this.#plans.size < this.#size.jobs) await this.#enqueueSome();
      if (this.#hasFaults) this.#strike();
      await this.#world.clock.advance(this.#int(0, 20_000));
      this.#replaceTheDead();
      this.#rethrow();
    }
    await this.#calm();
    await this.#checkEnd();
  }

  #int(min: number, max: number): number {
    return min + Math.floor(this.#dice() * (max - min + 1));
  }

  #chance(share: number): boolean {
    return this.#dice() < share;
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Runs a check whose throw the engine would take for a failing handler or store. */
  #check(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  async #enqueueSome(): Promise<void> {
    const now = this.#world.clock.now();
    await this.#store.write(async (tx) => {
      for (let i = this.#int(0, 4); i > 0; i--) {
        const id = `job${this.#plans.size}`;
        const key = this.#chance(0.5) ? `key${this.#int(0, 4)}` : null;
        this.#plans.set(id, {
          failures: this.#int(0, 3),
          durationMs: this.#chance(0.3) ? 0 : this.#int(1, MAX_DURATION_MS),
          ending: this.#chance(0.9) ? "done" : "dead",
          poisonedSettles: this.#chance(0.1) ? 1 : 0,
          runs: 0,
          settles: 0,
        });
        if (key !== null) this.#keys.set(key, [...(this.#keys.get(key) ?? []), id]);
        const lane = `work:${this.#int(0, 5)}`;
        const dueAt = now + (this.#chance(0.5) ? 0 : this.#int(0, 600_000));
        await tx.enqueueJob({ id, kind: "work", lane, key, payload: "", dueAt, createdAt: now });
      }
      const victim = `job${this.#int(0, this.#size.jobs)}`;
      if (this.#chance(0.1) && (await tx.cancelJob(victim, now))) this.#canceled.add(victim);
    });
  }

  /** Sets faults to strike at a random one of the steps to come. */
  #strike(): void {
    const process = this.#processes[this.#int(0, this.#processes.length - 1)];
    if (!process) return;
    if (this.#chance(0.25)) process.faults.crashIn = this.#int(1, 40);
    if (this.#chance(0.25)) process.faults.refuseIn = this.#int(1, 30);
    if (this.#chance(0.1)) this.#stall(process, this.#int(1000, 150_000));
    if (this.#chance(0.05)) this.#stop(process);
    if (this.#chance(0.04)) {
      this.stats.jumps++;
      this.#world.clock.jump(this.#chance(0.5) ? 3_600_000 : -3_600_000);
    }
  }

  #stall(process: Process, ms: number): void {
    if (process.isStalled) return;
    this.stats.stalls++;
    process.isStalled = true;
    this.#world.clock.setTimer(ms, () => {
      process.isStalled = false;
      for (const run of process.backlog.splice(0)) run();
    });
  }

  #stop(process: Process): void {
    // What is under way when its time is up is given back.
    process.interrupted += CAPACITY;
    void process.engine.stop({ drainMs: this.#int(0, 5000) }).then(() => this.#kill(process));
  }

  #kill(process: Process): void {
    if (process.isDead) return;
    const { running, unsettled } = process.engine.stats();
    process.interrupted += running + unsettled;
    process.isDead = true;
  }

  #replaceTheDead(): void {
    this.#processes = this.#processes.filter((process) => !process.isDead);
    while (this.#processes.length < this.#size.processes && this.#chance(0.5)) this.#spawn();
  }

  #spawn(): void {
    const owner = `process-${this.#all.length}`;
    const process: Process = {
      owner,
      faults: { crashIn: Infinity, refuseIn: Infinity },
      skewMs: this.#int(-MAX_SKEW_MS, MAX_SKEW_MS),
      begun: 0,
      settled: 0,
      interrupted: 0,
      isDead: false,
      isStalled: false,
      backlog: [],
      engine: createJobEngine({
        clock: this.#clockOf(() => process),
        store: this.#storeOf(() => process),
        defer: (run) => this.#world.defer(() => this.#inProcess(process, run)),
        handlers: [this.#handlerOf(() => process)],
        owner,
        random: this.#dice,
        log: () => undefined,
        limits: { capacity: CAPACITY, maxBatch: 4, maxRunMs: MAX_RUN_MS, refreshPageSize: 2 },
      }),
    };
    this.#processes.push(process);
    this.#all.push(process);
    process.engine.start();
  }

  /** Runs `run` now, when the stall ends, or never. */
  #inProcess(process: Process, run: () => void): void {
    if (process.isDead) return;
    if (process.isStalled) process.backlog.push(() => this.#inProcess(process, run));
    else run();
  }

  #clockOf(of: () => Process): Clock {
    const { clock } = this.#world;
    return {
      now: () => clock.now() + of().skewMs,
      monotonic: () => clock.monotonic(),
      setTimer: (delayMs, fire) => clock.setTimer(delayMs, () => this.#inProcess(of(), fire)),
    };
  }

  /** One step of a process: it may die or be refused here. */
  #step(process: Process): void {
    if (process.isDead || --process.faults.crashIn <= 0) {
      if (!process.isDead) this.stats.crashes++;
      this.#kill(process);
      throw new Crash();
    }
    if (--process.faults.refuseIn <= 0) {
      process.faults.refuseIn = Infinity;
      this.stats.refusals++;
      throw storeError(this.#chance(0.5) ? "STORE_FAILED" : "STORE_BUSY");
    }
  }

  #resumed(process: Process): Promise<void> {
    return new Promise((resolve) => this.#inProcess(process, resolve));
  }

  #storeOf(of: () => Process): Store {
    const listeners = (listener: Parameters<Store["onDue"]>[0]): (() => void) =>
      this.#store.onDue((due) => {
        // Half of the news of other processes gets lost, as a NOTIFY may.
        if (this.#chance(0.5)) this.#inProcess(of(), () => listener(due));
      });
    return {
      ...this.#store,
      onDue: listeners,
      write: async <T>(run: (tx: Tx) => Promise<T>): Promise<T> => {
        const process = of();
        try {
          this.#step(process);
          const result = await this.#commit(process, run);
          await this.#resumed(process);
          this.#step(process);
          return result;
        } catch (error) {
          if (error instanceof Crash) return never();
          throw error;
        }
      },
    };
  }

  /** A transaction with a step before each operation and before the commit, whose effects the model follows. */
  async #commit<T>(process: Process, run: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#store.write(async (tx) => {
      const committed: (() => void)[] = [];
      const result = await run(this.#watched({ ...tx, ...this.#breakTx(tx) }, process, committed));
      this.#step(process);
      for (const check of committed) this.#check(check);
      return result;
    });
  }

  #watched(tx: Tx, process: Process, committed: (() => void)[]): Tx {
    const model = this.#model;
    const step = (): void => this.#step(process);
    return {
      ...tx,
      claimJobs: async (claim) => {
        step();
        const jobs = await tx.claimJobs(claim);
        committed.push(() => {
          assert.ok(claim.now <= this.#world.clock.now() + process.skewMs, "a claim was made for a time to come");
          model.claimed(jobs, claim.now);
        });
        return jobs;
      },
      settleJob: async (settlement) => {
        step();
        const isHeld = await tx.settleJob(settlement);
        if (!isHeld) this.stats.fenced++;
        else {
          committed.push(() => {
            model.settled(settlement);
            process.settled++;
          });
        }
        return isHeld;
      },
      extendLeases: async (owner, seqs, until) => {
        step();
        const held = await tx.extendLeases(owner, seqs, until);
        committed.push(() => model.extended(held, owner, until));
        return held;
      },
      releaseJobs: async (owner, seqs) => {
        step();
        await tx.releaseJobs(owner, seqs);
        committed.push(() => model.released(seqs, owner));
      },
      expireLeases: async (now, limit) => {
        step();
        committed.push(() => model.expired(now));
        return tx.expireLeases(now, limit);
      },
    };
  }

  #handlerOf(of: () => Process): JobHandler {
    return {
      kind: "work",
      laneConcurrency: 3,
      // One lane is paced: whatever happens, its jobs come to their end as well.
      laneIntervalMs: (lane) => (lane.endsWith("0") ? 700 : 0),
      run: async (job) => {
        const process = of();
        // Its claim had committed when it died: a process that is gone runs nothing.
        if (process.isDead) return never();
        const plan = this.#plans.get(job.id);
        assert.ok(plan);
        this.stats.runs++;
        process.begun++;
        const isLast = plan.runs++ >= plan.failures;
        await this.#checkStart(job);
        await new Promise<void>((resolve) => {
          this.#world.clock.setTimer(plan.durationMs, () => this.#inProcess(process, resolve));
        });
        return isLast ? this.#ending(job, plan) : this.#failing();
      },
    };
  }

  async #checkStart(job: Job): Promise<void> {
    const line = job.key === null ? [] : (this.#keys.get(job.key) ?? []);
    for (const id of line.slice(0, line.indexOf(job.id))) {
      const earlier = await this.#store.reader.getJob(id);
      this.#check(() =>
        assert.ok(
          earlier && ["done", "dead", "canceled"].includes(earlier.state),
          `${job.id} started while ${id} of the same key was ${earlier?.state}`,
        ),
      );
    }
  }

  #failing(): Promise<JobOutcome> {
    const kind = this.#int(0, 3);
    if (kind === 0) return Promise.reject(new Error("thrown"));
    if (kind === 1) return never();
    return Promise.resolve({ kind: "retry", delayMs: this.#int(0, 120_000) });
  }

  #ending(job: Job, plan: Plan): JobOutcome {
    return {
      kind: plan.ending,
      settle: async (tx) => {
        const name = `effect:${job.id}`;
        await tx.writeMeta(name, String(Number((await tx.readMeta(name)) ?? 0) + 1));
        if (plan.settles++ < plan.poisonedSettles) throw new Error("poison");
      },
    };
  }

  /** No more faults: whoever is left works until nothing is left to do. */
  async #calm(): Promise<void> {
    for (const process of this.#processes) {
      process.faults.crashIn = Infinity;
      process.faults.refuseIn = Infinity;
    }
    this.#spawn();
    for (let hour = 0; hour < 12; hour++) {
      for (let part = 0; part < 6; part++) {
        await this.#world.clock.advance(600_000);
        this.#rethrow();
        const { ready, leased, blocked } = await this.#store.reader.countJobs();
        if ((ready ?? 0) + (leased ?? 0) + (blocked ?? 0) > 0) continue;
        // A lost run may still hang.
        return this.#world.clock.advance(MAX_RUN_MS + 20_000);
      }
    }
    assert.fail(`jobs are left: ${JSON.stringify(await this.#store.reader.countJobs())}`);
  }

  async #checkEnd(): Promise<void> {
    for (const [id, plan] of this.#plans) {
      const job = await this.#store.reader.getJob(id);
      assert.ok(job, `${id} was lost`);
      if (job.state === "canceled") {
        assert.ok(this.#canceled.has(id), `${id} was canceled by nobody`);
        continue;
      }
      const effects = Number((await this.#store.reader.readMeta(`effect:${id}`)) ?? 0);
      // Attempts that a crash or a lost lease used up count: the engine gives up after 25.
      const isGivenUp = job.state === "dead" && job.attempt >= 25;
      assert.ok(isGivenUp || job.state === plan.ending, `${id} is ${job.state} instead of ${plan.ending}`);
      assert.ok(isGivenUp || plan.runs > plan.failures, `${id} ended without a last run`);
      assert.equal(effects, isGivenUp ? 0 : 1, `the effects of ${id} were committed ${effects} times`);
    }
    for (const process of this.#all) this.#checkRepeats(process);
    for (const process of this.#processes) {
      const { running, unsettled } = process.engine.stats();
      assert.deepEqual({ running, unsettled }, { running: 0, unsettled: 0 }, `${process.owner} is not at rest`);
    }
  }

  /** A run whose outcome was not recorded, so that its job ran again, was interrupted or had lost its lease. */
  #checkRepeats({ owner, begun, settled, interrupted, engine }: Process): void {
    const { lost } = engine.stats();
    const repeated = begun - settled;
    this.stats.lost += lost;
    this.stats.repeated += repeated;
    const excused = interrupted + lost;
    assert.ok(repeated <= excused, `${owner} ran ${repeated} attempts for nothing, and had reason for ${excused}`);
  }
}
