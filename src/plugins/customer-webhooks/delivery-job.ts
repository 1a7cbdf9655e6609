// One attempt of one delivery: read the endpoint as it is now, send, and record what came of it together with what happens
// next.

import type { Clock } from "../../core/clock.ts";
import type { JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import { triesOf } from "../../jobs/outbound-attempt.ts";
import type { Tx } from "../../store/store.ts";
import { deliveryOf } from "./delivery.ts";
import type { LoadSubjects } from "./delivery-subject.ts";
import { DELIVERY_KIND, type EndpointLanes } from "./endpoint-lanes.ts";
import { planNext, type RetryPlan } from "./plan-next.ts";
import type { RecordAttempt } from "./record-attempt.ts";
import type { SendDelivery } from "./send-delivery.ts";

/** What makes an attempt, whichever job it belongs to. */
export interface AttemptParts extends RetryPlan {
  readonly clock: Clock;
  readonly lanes: EndpointLanes;
  readonly load: LoadSubjects;
  readonly send: SendDelivery;
  readonly record: RecordAttempt;
}

export function createDeliveryJob({ clock, lanes, load, send, record, ...retries }: AttemptParts): JobHandler {
  return {
    kind: DELIVERY_KIND,
    laneAlone: true,
    laneConcurrency: (lane) => lanes.concurrency(lane),
    laneIntervalMs: (lane) => lanes.intervalMs(lane),
    async run(job, context): Promise<JobOutcome> {
      const delivery = deliveryOf(job);
      const [subject] = await load(delivery.eventKey, [delivery.endpointId]);
      if (!subject) throw new Error("A delivery without an endpoint");
      const ended = await send(subject, context);
      const tries = triesOf(job);
      const { status, delayMs } = planNext(ended.result, tries, retries);
      const nextAt = delayMs === undefined ? null : clock.now() + delayMs;
      const common = {
        note: { status: ended.result.status, error: ended.result.error },
        settle: async (tx: Tx): Promise<void> => {
          await record(tx, { delivery, subject, ended, tries, status, nextAt });
        },
      };
      if (delayMs !== undefined) return { kind: "retry", delayMs, ...common };
      return { kind: status === "succeeded" ? "done" : "dead", ...common };
    },
  };
}
