// How many places lanes may hold: quick ones all that they can use, slow ones a quarter together once it is crowded.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Lane } from "../../src/jobs/lane.ts";
import { createLaneSchedule, type LaneSchedule } from "../../src/jobs/lane-schedule.ts";
import { LaneShares, type SharingLane } from "../../src/jobs/lane-shares.ts";

const CAPACITY = 64;
const ROOM = { maxJobs: CAPACITY, maxLanes: CAPACITY };

function createLanes(
  limitOf: (lane: string) => number = () => 16,
  isServed: (lane: string) => boolean = () => true,
): LaneSchedule {
  return createLaneSchedule({ startMs: 0, horizonMs: 300_000, limitOf, isServed, capacity: CAPACITY });
}

/** Claims whatever is offered, with as many jobs as may be; every lane has more. */
function claimAll(lanes: LaneSchedule, nowMs: number): Map<string, Lane> {
  const claimed = new Map<string, Lane>();
  lanes.advance(nowMs);
  for (const claim of lanes.takeClaims(ROOM, nowMs)) {
    lanes.claimed({ claim, count: claim.limit, nextDueAt: undefined, claimedAtMs: nowMs }, nowMs);
    claimed.set(claim.lane.name, claim.lane);
  }
  return claimed;
}

describe("the places of an engine", () => {
  it("are a lane's own up to its limit while there is room", () => {
    const lanes = createLanes();
    lanes.learn("a", 0, 0);
    assert.equal(claimAll(lanes, 0).get("a")?.running, 16);
  });

  it("are given to new lanes more carefully the fuller it gets, and to quick ones as before", () => {
    const lanes = createLanes();
    for (const [name, expected] of [
      ["a", 16],
      ["b", 4],
      ["c", 4],
      ["d", 4],
      ["e", 4],
      ["f", 2],
    ] as const) {
      lanes.learn(name, 0, 0);
      assert.equal(claimAll(lanes, 0).get(name)?.running, expected, name);
    }
    lanes.learn("quick", 0, 0);
    const quick = claimAll(lanes, 0).get("quick");
    assert.ok(quick);
    lanes.finished(quick, 10, 10);
    claimAll(lanes, 10);
    assert.equal(quick.running, 16);
  });

  it("are shared by slow lanes up to a quarter, and one that waits is admitted when another gives back", () => {
    const lanes = createLanes(() => 8);
    const names = Array.from({ length: 40 }, (_, index) => `slow${index}`);
    const all = names.map((name) => {
      lanes.learn(name, 0, 0);
      const lane = claimAll(lanes, 0).get(name);
      assert.ok(lane);
      return lane;
    });
    // All of them hang until their time is over, and have more to do.
    for (const lane of all) while (lane.running > 0) lanes.finished(lane, 15_000, 15_000);
    const again: Lane[] = [];
    for (let round = 0; round < 10; round++) again.push(...claimAll(lanes, 15_000).values());
    const held = all.reduce((sum, lane) => sum + lane.running, 0);
    assert.ok(held >= CAPACITY / 4 && held <= CAPACITY / 2, `${held} held`);
    lanes.learn("new", 15_000, 15_000);
    assert.ok((claimAll(lanes, 15_000).get("new")?.running ?? 0) >= 1, "others find a place at once");
    const waiting = all.filter((lane) => lane.running === 0);
    assert.ok(waiting.length > 0);
    // One after the other gets its turn.
    const served = new Set(again);
    for (let round = 0; round < 200 && served.size < all.length; round++) {
      const nowMs = 30_000 + round;
      for (const lane of all) if (lane.running > 0) lanes.finished(lane, nowMs, 15_000);
      for (const lane of claimAll(lanes, nowMs).values()) served.add(lane);
    }
    for (const lane of all) assert.ok(served.has(lane), `${lane.name} starved`);
  });

  it("go to the next in turn when the one whose turn it is has gone to another engine", () => {
    const gone = new Set<string>();
    const lanes = createLanes(
      () => 8,
      (lane) => !gone.has(lane),
    );
    const all = Array.from({ length: 40 }, (_, index) => {
      lanes.learn(`slow${index}`, 0, 0);
      const lane = claimAll(lanes, 0).get(`slow${index}`);
      assert.ok(lane);
      return lane;
    });
    for (const lane of all) while (lane.running > 0) lanes.finished(lane, 15_000, 15_000);
    for (let round = 0; round < 10; round++) claimAll(lanes, 15_000);
    const waiting = all.filter((lane) => lane.running === 0);
    const last = waiting.pop();
    const running = all.find((lane) => lane.running > 0);
    assert.ok(last && running && waiting.length > 5);
    for (const lane of [...waiting, running]) gone.add(lane.name);
    while (running.running > 0) lanes.finished(running, 30_000, 15_000);
    const served = new Set<string>();
    for (let round = 0; round < 50; round++) for (const name of claimAll(lanes, 30_000).keys()) served.add(name);
    assert.ok(served.has(last.name), "it starved");
    for (const name of served) assert.ok(!gone.has(name), `${name} was claimed`);
  });

  it("are remembered to be held for long of a lane that had nothing to do for a while, for ten minutes", () => {
    const shares = new LaneShares(CAPACITY);
    const lane = { name: "a", manner: "new", running: 1, reserved: 0 } as const;
    shares.took(lane, 1);
    assert.equal(shares.gaveBack(lane, 1_000, 0), "slow");
    assert.equal(shares.mannerOf("a", 599_999), "slow");
    assert.equal(shares.mannerOf("a", 600_000), "new");
    assert.equal(shares.held, 0);
  });

  it("count nothing for an attempt that never began, and forget a slow lane that became quick", () => {
    const shares = new LaneShares(CAPACITY);
    const taken = (manner: "new" | "slow"): SharingLane => {
      const lane = { name: "a", manner, running: 2, reserved: 0 };
      shares.took(lane, 2);
      return lane;
    };
    assert.equal(shares.gaveBack(taken("new"), null, 0), "new");
    assert.equal(shares.gaveBack(taken("slow"), 999, 0), "quick");
    assert.equal(shares.mannerOf("a", 0), "new");
    assert.ok(shares.hasRoomForSlow);
  });
});

describe("an interval between the jobs of a lane", () => {
  const paced = (intervalMs: number): LaneSchedule =>
    createLaneSchedule({
      startMs: 0,
      horizonMs: 300_000,
      limitOf: () => 10,
      aheadPerSlot: 8,
      intervalOf: (lane) => (lane === "free" ? 0 : intervalMs),
    });

  /** When jobs start, with a backlog, looking every millisecond. */
  function starts(lanes: LaneSchedule, untilMs: number): number[] {
    const at: number[] = [];
    lanes.learn("paced", 0, 0);
    for (let nowMs = 0; nowMs < untilMs; nowMs++) {
      const lane = claimAll(lanes, nowMs).get("paced");
      while (lane && lane.running > 0) {
        at.push(nowMs);
        lanes.finished(lane, nowMs, 1);
      }
    }
    return at;
  }

  it("is kept however many are due: one at a time, evenly", () => {
    assert.deepEqual(starts(paced(250), 1_001), [0, 250, 500, 750, 1_000]);
  });

  it("below 20 ms is kept on average, in groups of that length", () => {
    const at = starts(paced(2), 1_000);
    assert.equal(at.length, 500);
    for (const group of [0, 20, 40]) assert.equal(at.filter((ms) => ms === group).length, 10);
  });

  it("is kept by a lane that had nothing to do in between, which is forgotten once it is over", () => {
    const lanes = paced(1_000);
    lanes.learn("paced", 0, 0);
    lanes.advance(0);
    const [claim] = lanes.takeClaims(ROOM, 0);
    assert.ok(claim);
    assert.equal(claim.limit, 1);
    lanes.claimed({ claim, count: 1, nextDueAt: undefined, claimedAtMs: 0 }, 0);
    lanes.finished(claim.lane, 5, 5);
    // A full claim is asked once more, and brings nothing.
    lanes.advance(1_000);
    const [empty] = lanes.takeClaims(ROOM, 1_000);
    assert.ok(empty);
    lanes.claimed({ claim: empty, count: 0, nextDueAt: undefined, claimedAtMs: 1_000 }, 1_000);
    assert.equal(lanes.size, 0);
    const partly = paced(1_000);
    partly.learn("paced", 0, 0);
    partly.advance(0);
    const [first] = partly.takeClaims({ ...ROOM, maxJobs: 5 }, 0);
    assert.ok(first);
    partly.claimed({ claim: { ...first, limit: 2 }, count: 1, nextDueAt: undefined, claimedAtMs: 0 }, 0);
    partly.finished(first.lane, 5, 5);
    partly.learn("paced", 10, 10);
    partly.advance(999);
    assert.deepEqual(partly.takeClaims(ROOM, 999), []);
    partly.advance(1_000);
    assert.equal(partly.takeClaims(ROOM, 1_000).length, 1);
  });

  it("leaves other lanes alone", () => {
    const lanes = paced(1_000);
    lanes.learn("free", 0, 0);
    lanes.advance(0);
    assert.equal(lanes.takeClaims(ROOM, 0)[0]?.limit, CAPACITY);
  });
});
