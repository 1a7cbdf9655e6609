// Sweeping on virtual time: when it happens, how much of it, and that it stops.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import type { Log } from "../../src/core/log.ts";
import { createUpkeep, type Sweep, type Upkeep } from "../../src/instance/upkeep.ts";

const ROUND_MS = 600_000;

interface Harness {
  readonly clock: VirtualClock;
  readonly upkeep: Upkeep;
  readonly warnings: string[];
}

function open(...sweeps: readonly Sweep[]): Harness {
  const clock = createVirtualClock();
  const warnings: string[] = [];
  const log: Log = {
    info: () => undefined,
    warn: (event, fields) => warnings.push(`${event}: ${JSON.stringify(fields?.["message"])}`),
    error: () => undefined,
  };
  return { clock, warnings, upkeep: createUpkeep(sweeps, clock, log) };
}

/** A sweep with a backlog, and how much each call took of it. */
function backlog(rows: number): { readonly sweep: Sweep; readonly taken: number[] } {
  let left = rows;
  const taken: number[] = [];
  return {
    taken,
    sweep(limit) {
      const count = Math.min(limit, left);
      left -= count;
      taken.push(count);
      return Promise.resolve(count);
    },
  };
}

describe("createUpkeep()", () => {
  it("does nothing before it is started, and sweeps every ten minutes from then on", async () => {
    const { sweep, taken } = backlog(0);
    const { clock, upkeep } = open(sweep);
    await clock.advance(ROUND_MS * 3);
    assert.equal(taken.length, 0);
    upkeep.start();
    upkeep.start();
    await clock.advance(ROUND_MS - 1);
    assert.equal(taken.length, 0);
    await clock.advance(1);
    assert.equal(taken.length, 1);
    await clock.advance(ROUND_MS * 3);
    assert.equal(taken.length, 4);
    assert.equal(clock.pending, 1);
  });

  it("takes batches until one is not full", async () => {
    const { sweep, taken } = backlog(1_200);
    const { clock, upkeep } = open(sweep);
    upkeep.start();
    await clock.advance(ROUND_MS);
    assert.deepEqual(taken, [500, 500, 200]);
  });

  it("leaves the rest of a long backlog for the next round", async () => {
    const { sweep, taken } = backlog(12_000);
    const { clock, upkeep } = open(sweep);
    upkeep.start();
    await clock.advance(ROUND_MS);
    assert.equal(taken.length, 20);
    await clock.advance(ROUND_MS);
    assert.deepEqual(taken.slice(20), [500, 500, 500, 500, 0]);
  });

  it("goes on with the others when one fails, and with the next round", async () => {
    const other = backlog(0);
    const { clock, upkeep, warnings } = open(() => Promise.reject(new Error("The store is away")), other.sweep);
    upkeep.start();
    await clock.advance(ROUND_MS * 2);
    assert.equal(other.taken.length, 2);
    assert.deepEqual(
      warnings,
      Array.from({ length: 2 }, () => 'upkeep.failed: "The store is away"'),
    );
  });

  it("waits for the batch under way when it stops, and takes no other", async () => {
    const gates: ((count: number) => void)[] = [];
    const sweep: Sweep = () => new Promise((resolve) => gates.push(resolve));
    const second = backlog(0);
    const { clock, upkeep, warnings } = open(sweep, second.sweep);
    upkeep.start();
    await clock.advance(ROUND_MS);
    assert.equal(gates.length, 1);
    let stopped = false;
    const stopping = upkeep.stop().then(() => {
      stopped = true;
    });
    await clock.advance(0);
    assert.equal(stopped, false);
    gates[0]?.(500);
    await stopping;
    await upkeep.stop();
    assert.equal(gates.length, 1);
    assert.equal(second.taken.length, 0);
    assert.equal(clock.pending, 0);
    assert.deepEqual(warnings, []);
  });

  it("can be started again, in the middle of the round that it was stopped in as well", async () => {
    const gates: ((count: number) => void)[] = [];
    const { clock, upkeep } = open(() => new Promise((resolve) => gates.push(resolve)));
    upkeep.start();
    await clock.advance(ROUND_MS);
    const stopping = upkeep.stop();
    upkeep.start();
    gates[0]?.(0);
    await stopping;
    assert.equal(clock.pending, 1);
    await clock.advance(ROUND_MS);
    assert.equal(gates.length, 2);
  });
});
