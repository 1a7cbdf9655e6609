// Several engines on one store in virtual time, with crashes between any two store operations, stalls, refused and
// unanswered commits and clock jumps, all from one seed. A model beside the store checks every commit as it happens.

import assert from "node:assert/strict";

import type { Clock } from "../../src/core/clock.ts";
import { createJobEngine, type JobEngine } from "../../src/jobs/job-engine.ts";
import type { JobHandler, JobOutcome } from "../../src/jobs/job-handler.ts";
import { storeError } from "../../src/store/store-errors.ts";
import type { Job, Settlement, Store, Tx } from "../../src/store/store.ts";
import { createMemoryStore } from "../support/memory-store.ts";
import { createWorld } from "./job-harness.ts";
import { createDice } from "../support/dice.ts";

const PROCESSES = 3;
const JOBS = 70;
const CHAOS_STEPS = 120;
const MAX_RUN_MS = 90_000;

interface Lease {
  readonly owner: string;
  readonly attempt: number;
  until: number;
}

/** What the store must never do, checked per commit. */
class LeaseModel {
  readonly #leases: Map<number, Lease> = new Map();
  readonly #clock: Clock;
  readonly settledAttempts: Set<string> = new Set();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  claimed(jobs: readonly Job[], now: number): void {
    assert.ok(now <= this.#clock.now(), "a claim was made for a time to come");
    for (const job of jobs) {
      assert.equal(this.#leases.get(job.seq), undefined, `two live leases on ${job.id}`);
      assert.ok(job.dueAt <= now, `${job.id} was claimed before it was due`);
      this.#leases.set(job.seq, { owner: job.leaseOwner ?? "", attempt: job.attempt, until: job.leaseUntil ?? 0 });
    }
  }

  settled({ seq, owner, attempt }: Settlement): void {
    const lease = this.#leases.get(seq);
    assert.ok(lease?.owner === owner && lease.attempt === attempt.attempt, `${seq} was settled without its lease`);
    const name = `${seq}#${attempt.attempt}`;
    assert.ok(!this.settledAttempts.has(name), `${name} was settled twice`);
    this.settledAttempts.add(name);
    this.#leases.delete(seq);
  }

  extended(seqs: readonly number[], owner: string, until: number): void {
    for (const seq of seqs) {
      const lease = this.#leases.get(seq);
      assert.equal(lease?.owner, owner, `the lease of ${seq} was moved by a stranger`);
      if (lease) lease.until = until;
    }
  }

  released(seqs: readonly number[], owner: string): void {
    for (const seq of seqs) if (this.#leases.get(seq)?.owner === owner) this.#leases.delete(seq);
  }

  expired(now: number): void {
    for (const [seq, lease] of this.#leases) if (lease.until <= now) this.#leases.delete(seq);
  }
}

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
  isDead: boolean;
  isStalled: boolean;
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

const never = (): Promise<never> => new Promise(() => undefined);

export class Simulation {
  readonly #dice: () => number;
  readonly #world = createWorld();
  readonly #store: Store = createMemoryStore();
  readonly #model: LeaseModel;
  readonly #plans: Map<string, Plan> = new Map();
  readonly #keys: Map<string, string[]> = new Map();
  readonly #canceled: Set<string> = new Set();
  /** A check that failed where a throw would be taken for a fault. */
  #failure: unknown;
  #processes: Process[] = [];
  #spawned = 0;
  readonly stats = { crashes: 0, stalls: 0, refusals: 0, jumps: 0, runs: 0, lost: 0 };

  constructor(seed: number) {
    this.#dice = createDice(seed);
    this.#model = new LeaseModel(this.#world.clock);
  }

  /** Chaos, then calm: in the end every job must have come to its end. */
  async run(): Promise<void> {
    for (let i = 0; i < PROCESSES; i++) this.#spawn();
    for (let step = 0; step < CHAOS_STEPS; step++) {
      if (this.#plans.size < JOBS) await this.#enqueueSome();
      this.#strike();
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
          durationMs: this.#chance(0.3) ? 0 : this.#int(1, 40_000),
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
      const victim = `job${this.#int(0, JOBS)}`;
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
    if (this.#chance(0.05)) void process.engine.stop({ drainMs: this.#int(0, 5000) }).then(() => this.#kill(process));
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

  #kill(process: Process): void {
    if (!process.isDead) this.stats.lost += process.engine.stats().lost;
    process.isDead = true;
  }

  #replaceTheDead(): void {
    this.#processes = this.#processes.filter((process) => !process.isDead);
    while (this.#processes.length < PROCESSES && this.#chance(0.5)) this.#spawn();
  }

  #spawn(): void {
    const process: Process = {
      owner: `process-${this.#spawned++}`,
      faults: { crashIn: Infinity, refuseIn: Infinity },
      isDead: false,
      isStalled: false,
      backlog: [],
      engine: createJobEngine({
        clock: this.#clockOf(() => process),
        store: this.#storeOf(() => process),
        defer: (run) => this.#world.defer(() => this.#inProcess(process, run)),
        handlers: [this.#handlerOf(() => process)],
        owner: `process-${this.#spawned - 1}`,
        random: this.#dice,
        log: () => undefined,
        limits: { capacity: 8, maxBatch: 4, maxRunMs: MAX_RUN_MS, refreshPageSize: 2 },
      }),
    };
    this.#processes.push(process);
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
      now: () => clock.now(),
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
      const result = await run(this.#watched(tx, process, committed));
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
        committed.push(() => model.claimed(jobs, claim.now));
        return jobs;
      },
      settleJob: async (settlement) => {
        step();
        const isHeld = await tx.settleJob(settlement);
        if (isHeld) committed.push(() => model.settled(settlement));
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
      run: async (job) => {
        const process = of();
        const plan = this.#plans.get(job.id);
        assert.ok(plan);
        this.stats.runs++;
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
    for (const process of this.#processes) {
      const { running, unsettled } = process.engine.stats();
      assert.deepEqual({ running, unsettled }, { running: 0, unsettled: 0 }, `${process.owner} is not at rest`);
    }
  }
}
