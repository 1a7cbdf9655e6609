// An engine over the memory store on virtual time, and what its handlers saw. `advance` returns when everything that the
// passing time started has come to rest, so a test never waits for luck.

import { setImmediate } from "node:timers";

import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import { createJobEngine, type JobEngine, type JobEngineOptions } from "../../src/jobs/job-engine.ts";
import type { JobContext, JobHandler, JobOutcome } from "../../src/jobs/job-handler.ts";
import type { Job, NewJob, Store } from "../../src/store/store.ts";
import { createMemoryStore } from "../support/memory-store.ts";

export const START = Date.UTC(2026, 0, 1);

/** Virtual time, and the macrotask hop that belongs to it. */
export interface World {
  readonly clock: VirtualClock;
  readonly defer: (run: () => void) => void;
}

export function createWorld(): World {
  const deferred: (() => void)[] = [];
  const rest = async (): Promise<void> => {
    do {
      for (const run of deferred.splice(0)) run();
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (deferred.length > 0);
  };
  return { clock: createVirtualClock(START, rest), defer: (run) => deferred.push(run) };
}

/** One call of a handler. */
export interface Call {
  readonly id: string;
  readonly attempt: number;
  /** Milliseconds since START. */
  readonly at: number;
  readonly job: Job;
  readonly context: JobContext;
}

export type Behaviour = (job: Job, context: JobContext) => Promise<JobOutcome>;

export const done = (): Promise<JobOutcome> => Promise.resolve({ kind: "done" });
export const hang = (): Promise<JobOutcome> => new Promise(() => undefined);

export interface HarnessOptions extends Partial<Omit<JobEngineOptions, "handlers">> {
  readonly world?: World;
  readonly laneConcurrency?: JobHandler["laneConcurrency"];
  readonly laneAlone?: boolean;
  readonly goesOn?: boolean;
  /** By kind; jobs are of kind "work" unless they say otherwise. */
  readonly behaviours?: Readonly<Record<string, Behaviour>>;
}

export interface Harness {
  readonly world: World;
  readonly clock: VirtualClock;
  readonly store: Store;
  readonly engine: JobEngine;
  readonly calls: Call[];
  readonly logged: string[];
  /** Lets everything that can happen without time passing happen. */
  rest(): Promise<void>;
  advance(ms: number): Promise<void>;
  /** Commits jobs in one transaction and does not rest. */
  enqueue(...jobs: (Partial<NewJob> & { readonly id: string })[]): Promise<void>;
  job(id: string): Promise<Job>;
}

export function createHarness(options: HarnessOptions = {}): Harness {
  const world = options.world ?? createWorld();
  const { clock } = world;
  const store = options.store ?? createMemoryStore();
  const calls: Call[] = [];
  const logged: string[] = [];
  const behaviours = options.behaviours ?? { work: done };
  const handlers = Object.entries(behaviours).map(([kind, behave]): JobHandler => ({
    kind,
    laneConcurrency: options.laneConcurrency ?? 10,
    laneAlone: options.laneAlone ?? false,
    goesOn: options.goesOn ?? false,
    run(job, context) {
      calls.push({ id: job.id, attempt: job.attempt, at: clock.now() - START, job, context });
      return behave(job, context);
    },
  }));
  const engine = createJobEngine({
    owner: "engine-1",
    random: () => 0,
    log: (level, message) => logged.push(`${level}: ${message}`),
    ...options,
    store,
    clock: options.clock ?? clock,
    defer: options.defer ?? world.defer,
    handlers,
  });
  return {
    world,
    clock,
    store,
    engine,
    calls,
    logged,
    rest: () => clock.advance(0),
    advance: (ms) => clock.advance(ms),
    enqueue: (...jobs) =>
      store.write(async (tx) => {
        for (const job of jobs) {
          const full = { kind: "work", lane: "work", payload: "", dueAt: clock.now(), createdAt: clock.now(), ...job };
          await tx.enqueueJob(full);
        }
      }),
    async job(id) {
      const job = await store.reader.getJob(id);
      if (!job) throw new Error(`There is no job "${id}"`);
      return job;
    },
  };
}

/** A promise that a test resolves. */
export function createGate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
