// PYLON_SIM_SEED=n replays one seed, PYLON_SIM_RUNS=n tries that many new ones.

import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";

import { Simulation } from "./job-simulation.ts";

const RUNS = Number(process.env["PYLON_SIM_RUNS"] ?? 20);
const only = process.env["PYLON_SIM_SEED"];
const first = Math.floor(Math.random() * 2 ** 31);
const seeds = only === undefined ? Array.from({ length: RUNS }, (_, i) => first + i) : [Number(only)];

describe("engines under faults", () => {
  it("run every job at least once, in order per key, never before it is due, never under two leases", async () => {
    const total = { crashes: 0, stalls: 0, refusals: 0, jumps: 0, runs: 0, lost: 0 };
    for (const seed of seeds) {
      const simulation = new Simulation(seed);
      try {
        await simulation.run();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`Simulation failed; replay it with PYLON_SIM_SEED=${seed}: ${reason}`, { cause: error });
      }
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += simulation.stats[name];
    }
    // A simulation in which nothing goes wrong proves nothing.
    if (only === undefined) {
      for (const [name, count] of Object.entries(total)) assert.ok(count > 0, `no ${name} in ${seeds.length} runs`);
    }
  });
});
