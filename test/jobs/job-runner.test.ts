// One run's life in the runner, and how kinds and lanes find their handler.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createVirtualClock } from "../../src/core/clock.ts";
import { createHandlerTable } from "../../src/jobs/handler-table.ts";
import type { JobContext, JobOutcome } from "../../src/jobs/job-handler.ts";
import { createJobRunner } from "../../src/jobs/job-runner.ts";
import type { Lane } from "../../src/jobs/lane.ts";
import { createLaneSchedule } from "../../src/jobs/lane-schedule.ts";
import type { Job } from "../../src/store/store.ts";

const job: Job = {
  id: "a",
  kind: "work",
  lane: "work",
  key: null,
  payload: "",
  dueAt: 0,
  createdAt: 0,
  seq: 1,
  state: "leased",
  attempt: 1,
  lost: 0,
  leaseOwner: "e",
  leaseUntil: 60_000,
  lastStatus: null,
  lastError: null,
  finishedAt: null,
};

function createLane(): Lane {
  const lanes = createLaneSchedule({ startMs: 0, horizonMs: 1, limitOf: () => 1 });
  lanes.learn("work", 0, 0);
  const claim = lanes.takeClaims({ maxJobs: 1, maxLanes: 1 }, 0)[0];
  assert.ok(claim);
  return claim.lane;
}

describe("createJobRunner()", () => {
  const contexts: JobContext[] = [];
  const finish: ((outcome: JobOutcome) => void)[] = [];
  const events: string[] = [];
  const runner = createJobRunner({
    clock: createVirtualClock(0),
    handlers: createHandlerTable([
      {
        kind: "work",
        laneConcurrency: 2,
        run: (_, context) => {
          contexts.push(context);
          return new Promise((resolve) => finish.push(resolve));
        },
      },
    ]),
    random: () => 0,
    log: () => undefined,
    services: { record: () => Promise.resolve(false), enterLane: () => undefined },
    onEnd: (run, outcome) => events.push(`end ${run.job.attempt} ${outcome.kind}`),
    onUnknown: () => events.push("unknown"),
    onFree: (run) => events.push(`free ${run.job.attempt}`),
    onLost: (run) => events.push(`lost ${run.job.attempt}`),
  });

  it("loses the earlier run of a job that this engine claimed again", async () => {
    const lane = createLane();
    runner.start(job, lane, 60_000);
    runner.start({ ...job, attempt: 2 }, lane, 120_000);
    assert.deepEqual(events.splice(0), ["lost 1"]);
    assert.equal(contexts[0]?.signal.aborted, true, "a signal that is asked for late is aborted as well");
    assert.equal(contexts[1]?.signal.aborted, false);
    assert.equal(runner.active, 2);
    finish[0]?.({ kind: "done" });
    finish[1]?.({ kind: "done" });
    await Promise.resolve();
    assert.deepEqual(events.splice(0), ["free 1", "free 2", "end 2 done"]);
    assert.equal(runner.active, 0);
    assert.equal(runner.held.get(1)?.job.attempt, 2);
  });
});

describe("createHandlerTable()", () => {
  const run = (): Promise<JobOutcome> => Promise.resolve({ kind: "done" });
  const table = createHandlerTable([
    { kind: "mail", laneConcurrency: 3, run },
    { kind: "mail:bulk", laneConcurrency: (lane) => lane.length, run },
  ]);

  it("knows a lane by the longest part of its name that is a kind", () => {
    assert.equal(table.ofLane("mail")?.kind, "mail");
    assert.equal(table.ofLane("mail:https://a.example:443/")?.kind, "mail");
    assert.equal(table.ofLane("mail:bulk:7")?.kind, "mail:bulk");
    assert.equal(table.ofLane("mailer"), undefined);
    assert.equal(table.ofLane("x:mail"), undefined);
  });

  it("takes the lane's limit from its handler, 10 without one", () => {
    assert.equal(table.laneLimit("mail:a"), 3);
    assert.equal(table.laneLimit("mail:bulk:7"), 11);
    assert.equal(table.laneLimit("other"), 10);
  });
});
