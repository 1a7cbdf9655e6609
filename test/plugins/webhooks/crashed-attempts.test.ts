// A claim that ended with its process may never have been sent: it takes nothing from `max_attempts`.

import assert from "node:assert/strict";
import { it } from "node:test";
import { createVirtualClock } from "../../../src/core/clock.ts";
import { createHmacSigner } from "../../../src/crypto/hmac.ts";
import { createDeliveryJob } from "../../../src/plugins/webhooks/delivery-job.ts";
import type { Hook } from "../../../src/plugins/webhooks/hook-config.ts";
import type { Job } from "../../../src/store/store.ts";

const HOOK: Hook = {
  name: "orders",
  named: true,
  entity: "Order",
  events: new Set(["insert"]),
  url: "https://hooks.example.com/",
  secret: null,
  headers: {},
  maxAttempts: 5,
  backoffMs: 1_000,
};

const clock = createVirtualClock();
const handler = createDeliveryJob({
  hooks: [HOOK],
  http: {
    send: () => Promise.resolve({ kind: "failed", code: "NET_CONNECT", message: "refused", durationMs: 1 }),
  },
  clock,
  data: () => assert.fail("Nothing is written before the outcome is settled"),
  random: () => 0,
  createSigner: createHmacSigner,
});

/** What follows on a failure of a job that was claimed `attempt` times, `lost` of them in vain. */
async function afterFailure(attempt: number, lost: number): Promise<string> {
  const job: Job = {
    seq: 1,
    id: "wh_1",
    kind: "webhook",
    lane: "webhook:orders",
    key: null,
    payload: `orders\n${HOOK.url}\ninsert\nOrder\n{}`,
    state: "leased",
    dueAt: 0,
    createdAt: 0,
    attempt,
    lost,
    leaseOwner: "me",
    leaseUntil: 60_000,
    lastStatus: null,
    lastError: null,
    finishedAt: null,
  };
  const context = {
    now: clock.now(),
    signal: new AbortController().signal,
    isAborted: false,
    onAbort: () => undefined,
    record: () => Promise.resolve(false),
    enterLane: () => undefined,
  };
  const outcome = await handler.run(job, context);
  return outcome.kind === "retry" ? `retry after ${outcome.delayMs} ms` : outcome.kind;
}

it("a crash takes nothing from a delivery's attempts, and does not lengthen its schedule", async () => {
  assert.equal(await afterFailure(5, 0), "dead");
  assert.equal(await afterFailure(5, 4), "retry after 1000 ms");
  assert.equal(await afterFailure(6, 4), "retry after 2000 ms");
  assert.equal(await afterFailure(9, 4), "dead");
});
