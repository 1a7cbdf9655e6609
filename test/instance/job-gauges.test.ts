// What the metrics say of the queue.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { jobGauges } from "../../src/instance/job-gauges.ts";
import { createHarness } from "../jobs/job-harness.ts";

describe("jobGauges()", () => {
  it("count jobs by state, and attempts by what became of them", async () => {
    const harness = createHarness({
      behaviours: {
        work: (job) => {
          if (job.id.startsWith("dead")) return Promise.resolve({ kind: "dead" });
          if (job.id.startsWith("late")) return Promise.resolve({ kind: "retry", delayMs: 3_600_000 });
          return Promise.resolve({ kind: "done" });
        },
      },
    });
    const read = async (): Promise<Record<string, unknown>> => {
      const gauges = jobGauges(harness.store.reader, harness.engine);
      return Object.fromEntries(await Promise.all(gauges.map(async (gauge) => [gauge.name, await gauge.read()])));
    };
    harness.engine.start();
    await harness.enqueue(
      { id: "done1" },
      { id: "done2" },
      { id: "done3" },
      { id: "dead1" },
      { id: "late1" },
      { id: "late2" },
    );
    await harness.rest();
    const { pylon_jobs: states, ...others } = await read();
    const { 'state="ready"': ready, 'state="dead"': dead } = states as Record<string, unknown>;
    assert.deepEqual([ready, dead], [2, 1]);
    assert.deepEqual(others, {
      pylon_jobs_running: { "": 0 },
      pylon_job_attempts_total: {
        'outcome="done"': 3,
        'outcome="failed"': 2,
        'outcome="dead"': 1,
        'outcome="lost"': 0,
      },
    });
    await harness.engine.stop({ drainMs: 0 });
  });
});
