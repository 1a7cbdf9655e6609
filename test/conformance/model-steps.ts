// The steps of the store's model: how they are drawn, and how each runs on a store and on the model at once.

import assert from "node:assert/strict";

import fc from "fast-check";

import type { Condition, JobState, Query, Row, Tx, Value } from "../../src/store/store.ts";
import { T0 } from "./store-fixture.ts";
import * as jobs from "./model-jobs.ts";
import * as rows from "./model-rows.ts";

/** Everything that a store holds. */
export interface World {
  rows: rows.Rows;
  jobs: jobs.Jobs;
  meta: Map<string, string>;
  /** The largest seq that was ever seen: a later job's is larger. */
  maxSeq: number;
}

export function emptyWorld(): World {
  return { rows: new Map(), jobs: new Map(), meta: new Map(), maxSeq: -1 };
}

interface StepKinds {
  insert: { readonly row: Row };
  update: { readonly id: string; readonly patch: Readonly<Record<string, Value>> };
  delete: { readonly id: string };
  deleteWhere: { readonly where: readonly Condition[] };
  find: { readonly query: Query };
  count: { readonly where: readonly Condition[] };
  writeMeta: { readonly key: string; readonly value: string };
  enqueue: { readonly id: string; readonly lane: string; readonly key: string | null; readonly dueAt: number };
  claim: {
    readonly lane: string;
    readonly owner: string;
    readonly limit: number;
    readonly now: number;
    readonly ms: number;
  };
  settle: {
    /** Which of the leased jobs; any job when there is none. */
    readonly pick: number;
    /** What of the lease is named wrongly. */
    readonly mistake: "owner" | "attempt" | "none";
    readonly state: "done" | "dead" | "ready";
    readonly dueAt: number;
    readonly status: number | null;
  };
  extend: { readonly owner: string; readonly picks: readonly number[]; readonly until: number };
  release: { readonly owner: string; readonly picks: readonly number[] };
  expire: { readonly now: number };
  cancel: { readonly id: string; readonly now: number };
  requeue: { readonly id: string; readonly dueAt: number };
  purge: { readonly before: number };
  listJobs: {
    readonly states: readonly JobState[];
    readonly tried: boolean | undefined;
    readonly below: string;
    readonly limit: number;
  };
  lanes: { readonly until: number; readonly limit: number; readonly after: string | undefined };
}
type Kind = keyof StepKinds;
type StepOf<K extends Kind> = { readonly kind: K } & StepKinds[K];
export type Step = { [K in Kind]: StepOf<K> }[Kind];

const ids = ["", "a", "B", "b", "ü", "\uFFFD", "🎉", "row"] as const;
const texts = ["", "a", "A", "ab%", "a_b", "\\", "🎉", "\uFFFD", "Ä"] as const;
const integers = [0, 1, -1, 5, 2 ** 53 - 1, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)] as const;
const VALUES: Readonly<Record<string, readonly Value[]>> = {
  code: [null, ...texts],
  group: [null, null, "x", "y"],
  place: [null, ...integers],
  ratio: [null, 0, -1.5, 0.25, 1e300],
  open: [null, true, false],
};
const COLUMNS = Object.keys(VALUES);

const id = fc.constantFrom(...ids);
const jobId = fc.integer({ min: 0, max: 7 }).map((place) => `job ${place}`);
const lane = fc.constantFrom("a", "a", "b", "c");
const owner = fc.constantFrom("one", "two");
const pick = fc.nat({ max: 7 });
const picks = fc.array(pick, { maxLength: 3 });
const at = fc.integer({ min: 0, max: 12 }).map((ms) => T0 + ms);
const valueOf = (column: string): fc.Arbitrary<Value> => fc.constantFrom(...(VALUES[column] ?? ids));

const comparison: fc.Arbitrary<Condition> = fc.constantFrom("id", ...COLUMNS).chain((column) =>
  fc.record({
    column: fc.constant(column),
    op: fc.constantFrom("eq" as const, "ne" as const, "gt" as const, "gte" as const, "lt" as const, "lte" as const),
    value: valueOf(column),
  }),
);
const membership: fc.Arbitrary<Condition> = fc.constantFrom("id", ...COLUMNS).chain((column) =>
  fc.record({
    column: fc.constant(column),
    op: fc.constant("in" as const),
    values: fc.array(valueOf(column), { maxLength: 3 }),
  }),
);
const containment: fc.Arbitrary<Condition> = fc.record({
  column: fc.constantFrom("id", "code"),
  op: fc.constant("contains" as const),
  value: fc.constantFrom("", "a", "B", "%", "_", "\\", "🎉", "Ä", "ä"),
});
const where = fc.array(fc.oneof({ weight: 4, arbitrary: comparison }, membership, containment), { maxLength: 2 });

const query: fc.Arbitrary<Query> = fc.option(fc.constantFrom("id", ...COLUMNS), { nil: undefined }).chain((column) =>
  fc
    .record({
      where,
      descending: fc.boolean(),
      limit: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constant(100)),
      offset: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
      after: fc.option(fc.record({ value: column === undefined ? fc.constant(null) : valueOf(column), id }), {
        nil: undefined,
      }),
    })
    .map(({ where: conditions, descending, limit, offset, after }) => ({
      where: conditions,
      limit,
      ...(column === undefined ? {} : { order: { column, descending } }),
      ...(offset === undefined ? {} : { offset }),
      ...(after === undefined ? {} : { after }),
    })),
);

const STATES = ["ready", "leased", "blocked", "done", "dead", "canceled"] as const;
const row = fc
  .record({ id, ...Object.fromEntries(COLUMNS.map((column) => [column, valueOf(column)])) })
  .map((drawn) => ({ ...drawn }));
const patch = fc
  .subarray(COLUMNS)
  .chain((columns) => fc.record(Object.fromEntries(columns.map((column) => [column, valueOf(column)]))))
  .map((drawn) => ({ ...drawn }));

const KINDS: { readonly [K in Kind]: readonly [weight: number, fc.Arbitrary<StepKinds[K]>] } = {
  insert: [6, fc.record({ row })],
  update: [4, fc.record({ id, patch })],
  delete: [2, fc.record({ id })],
  deleteWhere: [1, fc.record({ where: fc.tuple(comparison, membership) })],
  find: [5, fc.record({ query })],
  count: [1, fc.record({ where })],
  writeMeta: [1, fc.record({ key: fc.constantFrom("k", "l"), value: fc.constantFrom(...texts) })],
  enqueue: [7, fc.record({ id: jobId, lane, key: fc.constantFrom(null, "k", "k", "k", "l"), dueAt: at })],
  claim: [
    6,
    fc.record({ lane, owner, limit: fc.integer({ min: 0, max: 3 }), now: at, ms: fc.integer({ min: 0, max: 6 }) }),
  ],
  settle: [
    6,
    fc.record({
      pick,
      mistake: fc.constantFrom("none" as const, "none" as const, "none" as const, "owner" as const, "attempt" as const),
      state: fc.constantFrom("done" as const, "dead" as const, "ready" as const),
      dueAt: at,
      status: fc.constantFrom(null, 200, 503),
    }),
  ],
  extend: [2, fc.record({ owner, picks, until: at })],
  release: [2, fc.record({ owner, picks })],
  expire: [2, fc.record({ now: at })],
  cancel: [3, fc.record({ id: jobId, now: at })],
  requeue: [3, fc.record({ id: jobId, dueAt: at })],
  purge: [1, fc.record({ before: fc.integer({ min: 0, max: 200 }).map((ms) => T0 + ms) })],
  listJobs: [
    3,
    fc.record({
      states: fc.subarray([...STATES]),
      tried: fc.constantFrom(undefined, undefined, true, false),
      below: jobId,
      limit: fc.integer({ min: 0, max: 9 }),
    }),
  ],
  lanes: [
    2,
    fc.record({ until: at, limit: fc.integer({ min: 0, max: 3 }), after: fc.constantFrom(undefined, "a", "b") }),
  ],
};

export const step: fc.Arbitrary<Step> = fc.oneof(
  ...Object.entries(KINDS).map(([kind, [weight, arbitrary]]) => ({
    weight,
    arbitrary: (arbitrary as fc.Arbitrary<object>).map((drawn) => ({ kind, ...drawn }) as Step),
  })),
);

/** What a course begins with, so that queries find something. */
export const filling: fc.Arbitrary<readonly Step[]> = fc
  .uniqueArray(row, { selector: (one) => one.id, maxLength: ids.length })
  .map((drawn) => drawn.map((one) => ({ kind: "insert", row: one })));

function checkOutcome(
  seen: { readonly kind: string; readonly columns?: readonly string[] },
  expected: rows.Expected,
): void {
  if (!("oneOf" in expected)) return assert.deepEqual(seen, expected);
  assert.equal(seen.kind, "conflict");
  const named = JSON.stringify(seen.columns);
  assert.ok(
    expected.oneOf.some((columns) => JSON.stringify(columns) === named),
    `${named} is none of ${JSON.stringify(expected.oneOf)}`,
  );
}

/** More than there ever are: which rows a smaller bound takes is the database's choice. */
const EVERYTHING = 1_000;
const NOBODY = 999_999_999;
const seqOf = (world: World, wanted: string): number => world.jobs.get(wanted)?.seq ?? NOBODY;

/** A leased job if there is one, else any. */
function pickJob(world: World, place: number): jobs.ModelJob | undefined {
  const everyone = jobs.all(world.jobs);
  const leased = everyone.filter((job) => job.state === "leased");
  const from = leased.length > 0 ? leased : everyone;
  return from[place % from.length];
}

function pickSeqs(world: World, places: readonly number[]): number[] {
  return [...new Set(places.map((place) => pickJob(world, place)?.seq ?? NOBODY))];
}

/** Attempts start one after the other, whatever becomes of them. */
let startedAt = T0;

type Run<K extends Kind> = (tx: Tx, world: World, step: StepOf<K>) => Promise<void>;

const RUNS: { readonly [K in Kind]: Run<K> } = {
  async insert(tx, world, { row: wanted }) {
    checkOutcome(await tx.insert("Item", wanted), rows.insert(world.rows, wanted));
  },
  async update(tx, world, { id: wanted, patch: change }) {
    checkOutcome(await tx.update("Item", wanted, change), rows.update(world.rows, wanted, change));
    assert.deepEqual(await tx.get("Item", wanted), world.rows.get(wanted));
  },
  async delete(tx, world, { id: wanted }) {
    assert.equal(await tx.delete("Item", wanted), world.rows.delete(wanted));
  },
  async deleteWhere(tx, world, { where: conditions }) {
    const found = rows.matching(world.rows, conditions);
    for (const one of found) world.rows.delete(one.id);
    assert.equal(await tx.deleteWhere("Item", conditions, EVERYTHING), found.length);
  },
  async find(tx, world, { query: wanted }) {
    assert.deepEqual(await tx.find("Item", wanted), rows.find(world.rows, wanted));
  },
  async count(tx, world, { where: conditions }) {
    assert.equal(await tx.count("Item", conditions), rows.matching(world.rows, conditions).length);
  },
  async writeMeta(tx, world, { key, value }) {
    await tx.writeMeta(key, value);
    world.meta.set(key, value);
  },
  async enqueue(tx, world, { id: wanted, lane: inLane, key, dueAt }) {
    const job = { id: wanted, kind: "mail", lane: inLane, key, payload: `{"${wanted}":1}`, dueAt, createdAt: T0 };
    const added = await tx.enqueueJob(job);
    const seq = (await tx.getJob(wanted))?.seq ?? -1;
    assert.equal(added, jobs.enqueue(world.jobs, job, seq));
    if (!added) return;
    assert.ok(seq > world.maxSeq, `seq ${seq} does not follow ${world.maxSeq}`);
    world.maxSeq = seq;
  },
  async claim(tx, world, { lane: inLane, owner: by, limit, now, ms }) {
    const wish = { lane: inLane, owner: by, limit, now, leaseUntil: now + ms };
    assert.deepEqual(await tx.claimJobs(wish), jobs.claim(world.jobs, wish).map(jobs.toJob));
  },
  async settle(tx, world, { pick: place, mistake, state, dueAt, status }) {
    startedAt += 3;
    const job = pickJob(world, place);
    const attempt = (job?.attempt ?? 0) + (mistake === "attempt" ? 1 : 0);
    const settlement = {
      seq: job?.seq ?? NOBODY,
      key: job?.key ?? null,
      lane: job?.lane ?? "",
      owner: mistake === "owner" ? "somebody else" : (job?.leaseOwner ?? "one"),
      attempt: {
        attempt,
        startedAt,
        durationMs: 2,
        ok: state === "done",
        status,
        error: status === null ? "no" : null,
      },
      next: state === "ready" ? { state, dueAt } : { state },
    };
    assert.equal(await tx.settleJob(settlement), jobs.settle(world.jobs, settlement));
  },
  async extend(tx, world, { owner: by, picks: wanted, until }) {
    const seqs = pickSeqs(world, wanted);
    const seen = await tx.extendLeases(by, seqs, until);
    assert.deepEqual(new Set(seen), new Set(jobs.extend(world.jobs, by, seqs, until)));
    assert.equal(new Set(seen).size, seen.length);
  },
  async release(tx, world, { owner: by, picks: wanted }) {
    const seqs = pickSeqs(world, wanted);
    await tx.releaseJobs(by, seqs);
    jobs.release(world.jobs, by, seqs);
  },
  async expire(tx, world, { now }) {
    assert.equal(await tx.expireLeases(now, EVERYTHING), jobs.expire(world.jobs, now));
  },
  async cancel(tx, world, { id: wanted, now }) {
    assert.equal(await tx.cancelJob(wanted, now), jobs.cancel(world.jobs, wanted, now));
  },
  async requeue(tx, world, { id: wanted, dueAt }) {
    assert.equal(await tx.requeueJob(wanted, dueAt), jobs.requeue(world.jobs, wanted, dueAt));
  },
  async purge(tx, world, { before }) {
    assert.equal(await tx.purgeJobs(before, EVERYTHING), jobs.purge(world.jobs, before));
  },
  async listJobs(tx, world, { states, tried, below, limit }) {
    const seq = seqOf(world, below);
    const wish = {
      kind: "mail",
      states,
      limit,
      ...(tried === undefined ? {} : { tried }),
      ...(seq === NOBODY ? {} : { beforeSeq: seq }),
    };
    assert.deepEqual(await tx.listJobs(wish), jobs.list(world.jobs, wish).map(jobs.toJob));
  },
  async lanes(tx, world, { until, limit, after }) {
    assert.deepEqual(await tx.dueLanes(until, limit, after), jobs.dueLanes(world.jobs, until, limit, after));
    for (const one of ["a", "b", "c"]) assert.equal(await tx.laneDue(one), jobs.laneDue(world.jobs, one));
  },
};

/** Runs `step` on both and fails when they answer differently. */
export function runStep<K extends Kind>(tx: Tx, world: World, drawn: StepOf<K>): Promise<void> {
  const run: Run<K> = RUNS[drawn.kind];
  return run(tx, world, drawn);
}
