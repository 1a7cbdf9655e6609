// From one event to its deliveries. A few endpoints are served in the transaction of the event itself; more of them by a job
// in bounded batches, so that nobody waits for the writer while ten thousand deliveries are written. Either way the event
// and what is to become of it commit together, and each endpoint gets one delivery.

import type { Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Data } from "../../data/data.ts";
import { exponentialDelayMs } from "../../jobs/backoff.ts";
import type { JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import type { Condition, NewJob, Reader, Tx } from "../../store/store.ts";
import { type Audience, concerns } from "./audience.ts";
import { INTERNAL } from "./delivery.ts";
import { readEndpoint } from "./endpoint-input.ts";
import { eventKeyOf, readEvent, type WebhookEvent } from "./webhook-event.ts";
import { EVENTS } from "./webhook-tables.ts";

const FAN_OUT_KIND = "customer-webhook-fanout";
/** Endpoints that an event's own transaction serves. */
export const MAX_INLINE = 100;
/** Endpoints that one transaction of the job looks at. */
const BATCH = 250;
const RETRY = { baseMs: 1_000, maxMs: 300_000 } as const;

export interface FanOutOptions {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly audience: Audience;
  readonly random: () => number;
}

export interface FanOut {
  /**
   * Writes an event and what is to become of it.
   *
   * @returns the deliveries written; with more than {@link MAX_INLINE} endpoints to look at the endpoints that may want it.
   * Undefined when the application has an event of this id already.
   */
  write(tx: Tx, event: WebhookEvent, options?: { readonly later?: boolean }): Promise<number | undefined>;
  readonly job: JobHandler;
}

/** In commit order within an application, for endpoints that want theirs in order. */
function planJob(event: WebhookEvent, nowMs: number): NewJob {
  const eventKey = eventKeyOf(event.applicationId, event.eventId);
  const lane = `${FAN_OUT_KIND}:${encodeURIComponent(event.applicationId)}`;
  const id = `${FAN_OUT_KIND}:${eventKey}`;
  return { id, kind: FAN_OUT_KIND, lane, key: lane, payload: eventKey, dueAt: nowMs, createdAt: nowMs };
}

/** Whether an earlier event of the application is still being fanned out: a later one must not overtake it. */
async function hasWaiting(tx: Tx, applicationId: string): Promise<boolean> {
  const where: Condition[] = [
    { column: "applicationId", op: "eq", value: applicationId },
    { column: "waiting", op: "eq", value: true },
  ];
  return (await tx.find(EVENTS, { where, limit: 1 })).length > 0;
}

function createFanOutJob({ data, reader, audience, random }: FanOutOptions): JobHandler {
  /** One batch behind `afterId`; answers where the next one begins, null when there is none. */
  const runBatch = (event: WebhookEvent, afterId: string | null, again: boolean): Promise<string | null> =>
    data().write(INTERNAL, async (writer) => {
      const rows = await audience.find(writer.tx, event, { afterId, limit: BATCH });
      await audience.deliver(writer, event, rows, again);
      const last = rows.length === BATCH ? rows.at(-1) : undefined;
      if (last) return last.id;
      await writer.tx.update(EVENTS, eventKeyOf(event.applicationId, event.eventId), { waiting: false });
      return null;
    });
  return {
    kind: FAN_OUT_KIND,
    goesOn: true,
    laneConcurrency: 1,
    async run(job, context): Promise<JobOutcome> {
      try {
        const row = await reader.get(EVENTS, job.payload);
        if (!row) return { kind: "done" };
        let afterId: string | null = null;
        do {
          if (context.isAborted) return { kind: "retry", delayMs: 0 };
          // Only one that was run before can meet deliveries that it has written.
          afterId = await runBatch(readEvent(row), afterId, job.attempt > 1);
        } while (afterId !== null);
        return { kind: "done" };
      } catch (error) {
        // Never dead: the event is committed, and its deliveries were promised.
        const delayMs = exponentialDelayMs({ ...RETRY, attempt: job.attempt, random });
        return { kind: "retry", delayMs, note: { error: messageOf(error) } };
      }
    },
  };
}

export function createFanOut(options: FanOutOptions): FanOut {
  const { data, clock, audience } = options;
  return {
    async write(tx, event, { later = false } = {}) {
      const waits = later || (await hasWaiting(tx, event.applicationId));
      const rows = await audience.find(tx, event, { afterId: null, limit: MAX_INLINE + 1 });
      const waiting = waits || rows.length > MAX_INLINE;
      const id = eventKeyOf(event.applicationId, event.eventId);
      const outcome = await tx.insert(EVENTS, { id, ...event, waiting });
      if (outcome.kind === "conflict") return undefined;
      if (!waiting) return audience.deliver(data().within(INTERNAL, tx), event, rows);
      await tx.enqueueJob(planJob(event, clock.now()));
      if (rows.length > MAX_INLINE) return audience.count(tx, event.applicationId);
      return rows.filter((row) => concerns(event, readEndpoint(row))).length;
    },
    job: createFanOutJob(options),
  };
}
