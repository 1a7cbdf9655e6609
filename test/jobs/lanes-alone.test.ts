// Lanes that one engine serves at a time: an engine claims from those that it owns, lets go of those that it loses, and finds
// those that it gains.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JobOutcome } from "../../src/jobs/job-handler.ts";
import type { Store } from "../../src/store/store.ts";
import { createMemoryStore } from "../support/memory-store.ts";
import { createGate, createHarness, createWorld, done, type Harness, type HarnessOptions } from "./job-harness.ts";

/** Engines that a test divides lanes among. */
class TestGroup {
  readonly #store: Store = createMemoryStore();
  readonly #onChange: (() => void)[] = [];
  owners: Readonly<Record<string, string>> = {};
  readonly joined: string[] = [];
  readonly left: string[] = [];

  /** The store as one engine sees it. */
  storeOf(engine: string): Store {
    return {
      ...this.#store,
      joinEngines: (onChange) => {
        this.joined.push(engine);
        this.#onChange.push(onChange);
        return {
          owns: (lane) => this.owners[lane] === engine && !this.left.includes(engine),
          leave: async () => void this.left.push(engine),
        };
      },
    };
  }

  /** Lanes change hands. */
  divide(owners: Readonly<Record<string, string>>): void {
    this.owners = owners;
    for (const change of this.#onChange) change();
  }
}

function createEngine(group: TestGroup, owner: string, options: HarnessOptions = {}): Harness {
  const harness = createHarness({ laneAlone: true, ...options, owner, store: group.storeOf(owner) });
  harness.engine.start();
  return harness;
}

const idsOf = (harness: Harness): string[] => harness.calls.map(({ id }) => id);
const jobs = (lane: string, count: number): { id: string; lane: string }[] =>
  Array.from({ length: count }, (_, place) => ({ id: `${lane} ${place}`, lane }));

describe("lanes that one engine serves at a time", () => {
  it("are left alone by the engines that do not own them", async () => {
    const group = new TestGroup();
    const world = createWorld();
    const [one, two] = [createEngine(group, "one", { world }), createEngine(group, "two", { world })];
    group.divide({ "work:a": "one", "work:b": "two" });
    await one.enqueue({ id: "a", lane: "work:a" }, { id: "b", lane: "work:b" }, { id: "nobody's", lane: "work:c" });
    await one.advance(120_000);
    assert.deepEqual([idsOf(one), idsOf(two)], [["a"], ["b"]]);
    assert.equal((await one.job("nobody's")).attempt, 0);
  });

  it("are found at once when they are gained, without any news of their jobs", async () => {
    const group = new TestGroup();
    const one = createEngine(group, "one");
    await one.enqueue({ id: "a", lane: "work:a" });
    await one.advance(1_000);
    assert.deepEqual(idsOf(one), []);
    group.divide({ "work:a": "one" });
    await one.rest();
    assert.deepEqual(idsOf(one), ["a"]);
  });

  it("keep their limit when they change hands, but for what is under way", async () => {
    const group = new TestGroup();
    const world = createWorld();
    const gates = new Map<string, ReturnType<typeof createGate>>();
    const work = async ({ id }: { readonly id: string }): Promise<JobOutcome> => {
      const gate = createGate();
      gates.set(id, gate);
      await gate.opened;
      return { kind: "done" };
    };
    const options = { world, laneConcurrency: 2, behaviours: { work } };
    const [one, two] = [createEngine(group, "one", options), createEngine(group, "two", options)];
    group.divide({ work: "one" });
    await one.enqueue(...jobs("work", 8));
    await one.rest();
    assert.deepEqual(idsOf(one), ["work 0", "work 1"]);
    const leased = async (): Promise<number | undefined> => (await one.store.reader.countJobs()).leased;
    assert.ok(Number(await leased()) > 2, "some were claimed ahead");
    group.divide({});
    await one.advance(100);
    assert.equal(await leased(), 2, "those were given back");
    gates.get("work 0")?.open();
    await one.advance(60_000);
    assert.deepEqual(idsOf(one), ["work 0", "work 1"], "nothing begins behind it");
    group.divide({ work: "two" });
    gates.get("work 1")?.open();
    await one.advance(100);
    assert.equal(idsOf(two).length, 2);
    for (let rest = 6; rest > 0; rest--) {
      for (const gate of gates.values()) gate.open();
      await one.advance(100);
    }
    assert.deepEqual(
      [...idsOf(one), ...idsOf(two)].toSorted(),
      jobs("work", 8).map(({ id }) => id),
    );
    assert.ok(
      two.calls.every(({ attempt }) => attempt === 1),
      "what was given back counts for nothing",
    );
  });

  it("that are lost while a claim commits are given back with what it brought", async () => {
    const group = new TestGroup();
    const store = group.storeOf("one");
    const harness = createHarness({
      owner: "one",
      laneAlone: true,
      store: {
        ...store,
        write: async (run, options) => {
          const result = await store.write(run, options);
          if ((await store.reader.countJobs()).leased) group.divide({});
          return result;
        },
      },
    });
    harness.engine.start();
    group.divide({ work: "one" });
    await harness.enqueue(...jobs("work", 3));
    await harness.advance(1_000);
    assert.deepEqual(harness.calls, []);
    assert.deepEqual(await harness.store.reader.countJobs(), { ready: 3 });
    assert.deepEqual(harness.engine.stats().lanes, 0);
  });

  it("are given up when an engine stops, before it waits for what is under way", async () => {
    const group = new TestGroup();
    const world = createWorld();
    const gate = createGate();
    const work = (): Promise<JobOutcome> => gate.opened.then(done);
    const one = createEngine(group, "one", { world, behaviours: { work } });
    group.divide({ work: "one" });
    await one.enqueue({ id: "a" });
    await one.rest();
    const stopped = one.engine.stop({ drainMs: 5_000 });
    await one.rest();
    assert.deepEqual([group.left, idsOf(one)], [["one"], ["a"]]);
    gate.open();
    await one.rest();
    await stopped;
    assert.equal((await one.job("a")).state, "done");
  });

  it("are nobody's business where no handler asks for it", async () => {
    const group = new TestGroup();
    const one = createEngine(group, "one", { laneAlone: false });
    await one.enqueue({ id: "a" });
    await one.rest();
    assert.deepEqual([idsOf(one), group.joined], [["a"], []]);
  });

  it("are all served where one process serves the store", async () => {
    const harness = createHarness({ laneAlone: true });
    harness.engine.start();
    await harness.enqueue({ id: "a" });
    await harness.rest();
    assert.deepEqual(idsOf(harness), ["a"]);
  });
});
