// What an engine owns by what it reads: at once when it is alone, behind a handover from others, nothing that it cannot be
// sure of. And a simulation of engines that come, go, are cut off and read late: no lane ever has two owners, and when
// nothing moves any more each has one.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BELIEVED_MS, EngineShare, HANDOVER_MS, type Reading } from "../../src/store/postgres/engine-share.ts";
import { createLaneOwner } from "../../src/store/postgres/lane-owner.ts";
import { createDice } from "../support/dice.ts";

const LANES = Array.from({ length: 40 }, (_, place) => `lane ${place}`);
const [ME, OTHER, THIRD] = [7, 11, 13];

function read(atMs: number, ...members: number[]): Reading {
  return { members, askedMs: atMs, answeredMs: atMs };
}

function ownedBy(share: EngineShare, nowMs: number): string[] {
  return LANES.filter((lane) => share.owns(lane, nowMs));
}

function lanesOf(member: number, members: readonly number[]): string[] {
  const ownerOf = createLaneOwner(members);
  return LANES.filter((lane) => ownerOf(lane) === member);
}

/** Reads the same members in every beat up to a time. */
function keep(share: EngineShare, { from, to }: { readonly from: number; readonly to: number }, ...members: number[]) {
  for (let atMs = from; atMs <= to; atMs += 500) share.observe(read(atMs, ...members));
}

describe("an engine's share", () => {
  it("is nothing before it has joined", () => {
    const share = new EngineShare();
    assert.deepEqual(ownedBy(share, 0), []);
    assert.equal(share.changesAt(0), Infinity);
  });

  it("is everything at once when it is alone, and only while the reading is believed", () => {
    const share = new EngineShare();
    share.join(ME, { members: [ME], askedMs: 100, answeredMs: 150 }, false);
    assert.deepEqual(ownedBy(share, 150), LANES);
    assert.equal(share.changesAt(150), 100 + BELIEVED_MS);
    assert.deepEqual(ownedBy(share, 100 + BELIEVED_MS - 1), LANES);
    assert.deepEqual(ownedBy(share, 100 + BELIEVED_MS), []);
    assert.equal(share.observe(read(5_000, ME)), true, "it owns again what it had");
    assert.deepEqual(ownedBy(share, 5_000), LANES);
    assert.equal(share.observe(read(5_500, ME)), false);
  });

  it("begins beside others when they had the time to see it", () => {
    const share = new EngineShare();
    share.join(ME, read(0, ME, OTHER), false);
    keep(share, { from: 500, to: HANDOVER_MS }, OTHER, ME);
    assert.deepEqual(ownedBy(share, HANDOVER_MS - 1), []);
    assert.equal(share.changesAt(HANDOVER_MS - 1), HANDOVER_MS);
    assert.deepEqual(ownedBy(share, HANDOVER_MS), lanesOf(ME, [ME, OTHER]));
  });

  it("waits as well when it was cut off and finds itself alone", () => {
    const share = new EngineShare();
    share.join(ME, read(0, ME), true);
    keep(share, { from: 500, to: HANDOVER_MS }, ME);
    assert.deepEqual(ownedBy(share, HANDOVER_MS - 1), []);
    assert.deepEqual(ownedBy(share, HANDOVER_MS), LANES);
  });

  it("loses lanes to a newcomer at once, and keeps the others throughout", () => {
    const share = new EngineShare();
    share.join(ME, read(0, ME), false);
    assert.equal(share.observe(read(1_000, ME, OTHER)), true);
    assert.deepEqual(ownedBy(share, 1_000), lanesOf(ME, [ME, OTHER]));
  });

  it("gains the lanes of one that has gone behind a handover, and not if that one is back before", () => {
    const share = new EngineShare();
    share.join(ME, read(0, ME, OTHER, THIRD), false);
    keep(share, { from: 500, to: 5_000 }, ME, OTHER, THIRD);
    const mine = lanesOf(ME, [ME, OTHER, THIRD]);
    keep(share, { from: 5_500, to: 8_500 }, ME, THIRD);
    assert.deepEqual(ownedBy(share, 5_500 + HANDOVER_MS - 1), mine);
    assert.deepEqual(ownedBy(share, 5_500 + HANDOVER_MS), lanesOf(ME, [ME, THIRD]));
    keep(share, { from: 9_000, to: 15_000 }, ME, OTHER, THIRD);
    assert.deepEqual(ownedBy(share, 15_000), mine);
  });

  it("is nothing when it has left", () => {
    const share = new EngineShare();
    share.join(ME, read(0, ME), false);
    share.lose();
    assert.deepEqual(ownedBy(share, 1), []);
    assert.equal(share.changesAt(1), Infinity);
  });
});

const STEP_MS = 50;
const BEAT_MS = 1_500;
/** Of a question to the server, and of its answer, while everything is slow and when nothing is. */
const [SLOW_WAY_MS, QUICK_WAY_MS] = [900, 50];
const [STORM_MS, CALM_MS] = [60_000, 20_000];

/** What happens to one engine, at the times that its dice say. */
class SimulatedEngine {
  readonly share = new EngineShare();
  readonly #dice: () => number;
  readonly #locks: Set<number>;
  #number: number;
  #isBack = false;
  #isHeld = false;
  /** The connection is dead on the server's side, and nobody told the engine. */
  #isCutOff = false;
  #nextAskMs = 0;
  #asked: { readonly atMs: number; readonly reachesMs: number; answersMs: number; members?: number[] } | undefined;

  constructor(dice: () => number, locks: Set<number>) {
    this.#dice = dice;
    this.#locks = locks;
    this.#number = Math.floor(dice() * 2 ** 31);
  }

  leave(): void {
    this.share.lose();
    this.#locks.delete(this.#number);
  }

  cutOff(): void {
    this.#isCutOff = true;
    this.#locks.delete(this.#number);
  }

  step(nowMs: number): void {
    const asked = this.#asked;
    if (!asked) {
      if (nowMs >= this.#nextAskMs) this.#ask(nowMs);
      return;
    }
    if (nowMs >= asked.reachesMs && !asked.members && !this.#isCutOff) {
      if (!this.#isHeld) this.#locks.add(this.#number);
      asked.members = [...this.#locks];
    }
    if (nowMs >= asked.answersMs) this.#hear(nowMs, asked.atMs, asked.members);
  }

  #ask(nowMs: number): void {
    const way = (): number => this.#dice() * (nowMs < STORM_MS ? SLOW_WAY_MS : QUICK_WAY_MS);
    const reachesMs = nowMs + way();
    this.#asked = { atMs: nowMs, reachesMs, answersMs: reachesMs + (this.#isCutOff ? 5_000 : way()) };
  }

  #hear(nowMs: number, askedMs: number, members: number[] | undefined): void {
    this.#asked = undefined;
    if (this.#isCutOff || !members) {
      // It gave up on the connection, and makes another.
      this.share.lose();
      this.#isCutOff = this.#isHeld = false;
      this.#nextAskMs = nowMs + 100;
      return;
    }
    const reading = { members, askedMs, answeredMs: nowMs };
    if (this.#isHeld) this.share.observe(reading);
    else this.share.join(this.#number, reading, this.#isBack);
    this.#isHeld = this.#isBack = true;
    this.#nextAskMs = nowMs + BEAT_MS;
  }
}

/** Answers how often a lane changed hands. */
function simulate(seed: number): number {
  const dice = createDice(seed);
  const locks = new Set<number>();
  // The first one is never cut off: who comes when everyone has just been cut off takes itself for alone.
  let engines = [new SimulatedEngine(dice, locks)];
  const owners = new Map<string, SimulatedEngine>();
  let handovers = 0;
  const check = (nowMs: number): void => {
    for (const lane of LANES) {
      const [owner, second] = engines.filter(({ share }) => share.owns(lane, nowMs));
      assert.equal(second, undefined, `"${lane}" has two owners at ${nowMs} ms`);
      if (owner && owners.get(lane) !== owner) handovers += 1;
      if (owner) owners.set(lane, owner);
    }
  };
  for (let nowMs = 0; nowMs < STORM_MS + CALM_MS; nowMs += STEP_MS) {
    if (nowMs > 5_000 && nowMs < STORM_MS && dice() < 0.02) {
      const victim = engines[1 + Math.floor(dice() * (engines.length - 1))];
      const what = dice();
      if (!victim || what < 0.5) {
        if (engines.length < 5) engines.push(new SimulatedEngine(dice, locks));
      } else if (what < 0.75) {
        victim.cutOff();
      } else {
        victim.leave();
        engines = engines.filter((engine) => engine !== victim);
      }
    }
    for (const engine of engines) engine.step(nowMs);
    check(nowMs);
  }
  for (const lane of LANES) {
    const last = STORM_MS + CALM_MS - STEP_MS;
    assert.ok(
      engines.some(({ share }) => share.owns(lane, last)),
      `nobody owns "${lane}"`,
    );
  }
  return handovers;
}

describe("engines that come, go, are cut off and read late", () => {
  it("never own a lane at the same time, and in the end each lane has its owner", () => {
    let handovers = 0;
    for (let seed = 1; seed <= 60; seed++) handovers += simulate(seed);
    assert.ok(handovers > 60 * LANES.length * 2, `only ${handovers} handovers`);
  });
});
