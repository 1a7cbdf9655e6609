// One attempt of one delivery: read the endpoint as it is now, send, and record what came of it together with what happens
// next. A 2xx is delivered; anything else is tried again on the schedule, and dead behind its end.

import type { Clock } from "../../core/clock.ts";
import type { Data } from "../../data/data.ts";
import { scheduleDelayMs } from "../../jobs/backoff.ts";
import type { JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import { triesOf } from "../../jobs/outbound-attempt.ts";
import type { GuardedClient } from "../../net/guarded-client.ts";
import type { Job, Reader } from "../../store/store.ts";
import { deliveryOf } from "./delivery.ts";
import { createSubjectLoader } from "./delivery-subject.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import { DELIVERY_KIND, type EndpointLanes } from "./endpoint-lanes.ts";
import type { EndpointSecrets } from "./endpoint-secrets.ts";
import { type AttemptRecord, createRecorder } from "./record-attempt.ts";
import { createSender, type Ended } from "./send-delivery.ts";

export interface DeliveryJobOptions {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly http: GuardedClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly secrets: EndpointSecrets;
  readonly lanes: EndpointLanes;
  readonly health: EndpointHealth;
  /** Milliseconds before attempts 2, 3, … */
  readonly scheduleMs: readonly number[];
}

export function createDeliveryJob(options: DeliveryJobOptions): JobHandler {
  const { clock, random, lanes, scheduleMs } = options;
  const load = createSubjectLoader(options);
  const send = createSender(options);
  const record = createRecorder(options);

  /** Milliseconds until the next attempt; undefined when there is none. */
  const nextDelayMs = (job: Job, { result }: Ended): number | undefined => {
    if (result.delivered || result.final) return undefined;
    const planned = scheduleDelayMs(scheduleMs, triesOf(job), random);
    return planned === undefined ? undefined : Math.max(planned, result.retryAfterMs ?? 0);
  };

  const plan = (job: Job, made: Pick<AttemptRecord, "delivery" | "subject" | "ended">): JobOutcome => {
    const { delivered, status, error } = made.ended.result;
    const delayMs = nextDelayMs(job, made.ended);
    const nextAt = delayMs === undefined ? null : clock.now() + delayMs;
    const ending = delivered ? "succeeded" : delayMs === undefined ? "dead" : "failed";
    const attempt: AttemptRecord = { ...made, tries: triesOf(job), status: ending, nextAt };
    const common = {
      note: { status, error },
      settle: (tx: Parameters<typeof record>[0]) => record(tx, attempt),
    };
    if (delayMs !== undefined) return { kind: "retry", delayMs, ...common };
    return { kind: delivered ? "done" : "dead", ...common };
  };

  return {
    kind: DELIVERY_KIND,
    laneAlone: true,
    laneConcurrency: (lane) => lanes.concurrency(lane),
    laneIntervalMs: (lane) => lanes.intervalMs(lane),
    async run(job, context) {
      const delivery = deliveryOf(job);
      const subject = await load(delivery);
      return plan(job, { delivery, subject, ended: await send(subject, context) });
    },
  };
}
