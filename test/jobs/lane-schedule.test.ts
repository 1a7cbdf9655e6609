// Which lanes are offered, when, and how much of them; time is an argument.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createLaneSchedule, type LaneClaim, type LaneSchedule } from "../../src/jobs/lane-schedule.ts";

const HORIZON_MS = 300_000;
const ROOM = { maxJobs: 100, maxLanes: 100 };

function createLanes(limitOf: (lane: string) => number = () => 10): LaneSchedule {
  return createLaneSchedule({ startMs: 0, horizonMs: HORIZON_MS, limitOf });
}

/** What would be claimed at `nowMs`: lane and limit. */
function take(lanes: LaneSchedule, nowMs: number, room = ROOM): LaneClaim[] {
  lanes.advance(nowMs);
  return lanes.takeClaims(room, nowMs);
}
const shown = (claims: readonly LaneClaim[]): string[] => claims.map(({ lane, limit }) => `${lane.name}:${limit}`);

function first(claims: readonly LaneClaim[]): LaneClaim {
  const claim = claims[0];
  assert.ok(claim);
  return claim;
}

/** Tells of a claim that brought `count` jobs, made at `nowMs`. */
function tell(
  lanes: LaneSchedule,
  claim: LaneClaim,
  brought: { readonly count: number; readonly nextDueAt?: number; readonly nowMs?: number },
): void {
  const { count, nextDueAt, nowMs = 0 } = brought;
  lanes.claimed({ claim, count, nextDueAt, claimedAtMs: nowMs }, nowMs);
}

describe("createLaneSchedule()", () => {
  it("offers a lane when it is due, and only once", () => {
    const lanes = createLanes();
    lanes.learn("a", 50, 0);
    lanes.learn("a", 70, 0);
    assert.deepEqual(take(lanes, 49), []);
    assert.deepEqual(shown(take(lanes, 50)), ["a:10"]);
    assert.deepEqual(take(lanes, 80), []);
  });

  it("ignores what lies behind the horizon", () => {
    const lanes = createLanes();
    lanes.learn("a", HORIZON_MS + 1, 0);
    assert.equal(lanes.size, 0);
    lanes.learn("a", HORIZON_MS, 0);
    assert.equal(lanes.size, 1);
  });

  it("goes round: a lane that has more comes back behind the others", () => {
    const lanes = createLanes(() => 1000);
    for (const lane of ["a", "b", "c"]) lanes.learn(lane, 0, 0);
    const claim = first(take(lanes, 0, { maxJobs: 1, maxLanes: 1 }));
    assert.equal(claim.lane.name, "a");
    tell(lanes, claim, { count: 1 });
    assert.deepEqual(
      take(lanes, 0, { maxJobs: 3, maxLanes: 3 }).map(({ lane }) => lane.name),
      ["b", "c", "a"],
    );
  });

  it("divides the room, and gives what one lane cannot use to the next", () => {
    const lanes = createLanes((lane) => (lane === "small" ? 2 : 1000));
    for (const lane of ["small", "b", "c"]) lanes.learn(lane, 0, 0);
    assert.deepEqual(shown(take(lanes, 0)), ["small:2", "b:49", "c:49"]);
  });

  it("forgets a lane that has nothing due and nothing under way", () => {
    const lanes = createLanes();
    lanes.learn("a", 0, 0);
    const claim = first(take(lanes, 0));
    tell(lanes, claim, { count: 1 });
    assert.equal(lanes.size, 1);
    lanes.finished(claim.lane, 0);
    assert.equal(lanes.size, 0);
  });

  it("keeps a hint that comes while the claim is under way", () => {
    const lanes = createLanes();
    lanes.learn("a", 0, 0);
    const claim = first(take(lanes, 0));
    lanes.learn("a", 5, 0);
    // The claim was made before the hint's job: it answers a later one, or none.
    tell(lanes, claim, { count: 0, nextDueAt: 40 });
    assert.deepEqual(shown(take(lanes, 5)), ["a:10"]);
  });

  it("offers a full lane again when a slot is free", () => {
    const lanes = createLanes(() => 2);
    lanes.learn("a", 0, 0);
    const claim = first(take(lanes, 0));
    tell(lanes, claim, { count: 2 });
    assert.deepEqual(take(lanes, 0), []);
    lanes.finished(claim.lane, 0);
    assert.deepEqual(shown(take(lanes, 0)), ["a:1"]);
  });

  it("offers a lane again whose claim did not commit", () => {
    const lanes = createLanes();
    lanes.learn("a", 0, 0);
    lanes.unclaimed(first(take(lanes, 0)), 0);
    assert.deepEqual(shown(take(lanes, 0)), ["a:10"]);
  });

  it("pauses when a due lane gives nothing: another process holds its rows", () => {
    const lanes = createLanes();
    lanes.learn("a", 0, 0);
    tell(lanes, first(take(lanes, 100)), { count: 0, nextDueAt: 90, nowMs: 100 });
    assert.deepEqual(take(lanes, 149), []);
    assert.deepEqual(shown(take(lanes, 150)), ["a:10"]);
  });

  it("does not pause for what became due behind the claim", () => {
    const lanes = createLanes();
    lanes.learn("a", 0, 0);
    const claim = first(take(lanes, 100));
    lanes.claimed({ claim, count: 0, nextDueAt: 101, claimedAtMs: 100 }, 102);
    assert.deepEqual(shown(take(lanes, 102)), ["a:10"]);
  });

  it("leaves a parked lane alone, due or not, waiting in the ring or not", () => {
    const lanes = createLanes();
    lanes.learn("a", 0, 0);
    const claim = first(take(lanes, 0));
    tell(lanes, claim, { count: 10 });
    lanes.finished(claim.lane, 0);
    assert.equal(lanes.readyCount, 1);
    lanes.park(claim.lane, 60_000, 0);
    lanes.learn("a", 0, 0);
    assert.deepEqual(take(lanes, 59_999), []);
    assert.deepEqual(shown(take(lanes, 60_000)), ["a:1"]);
  });

  it("does not turn a pause into an hour when the clock is set back", () => {
    const hourMs = 3_600_000;
    const lanes = createLanes();
    lanes.learn("a", 0, 2 * hourMs);
    tell(lanes, first(take(lanes, 2 * hourMs)), { count: 0, nextDueAt: 0, nowMs: 2 * hourMs });
    assert.deepEqual(shown(take(lanes, hourMs)), ["a:10"]);
  });

  it("follows a limit that is raised", () => {
    let limit = 1;
    const lanes = createLanes(() => limit);
    lanes.learn("a", 0, 0);
    tell(lanes, first(take(lanes, 0)), { count: 1 });
    limit = 3;
    lanes.learn("a", 0, 0);
    assert.deepEqual(shown(take(lanes, 0)), ["a:2"]);
  });

  it("takes a limit below 1 for 1: a lane is never shut for good", () => {
    const lanes = createLanes(() => 0);
    lanes.learn("a", 0, 0);
    assert.deepEqual(shown(take(lanes, 0)), ["a:1"]);
  });
});
