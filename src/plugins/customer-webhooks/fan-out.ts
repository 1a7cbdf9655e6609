// From one event to its deliveries. A few endpoints are served in the transaction of the event itself; more of them by a job
// in bounded batches, so that nobody waits for the writer while ten thousand deliveries are written. Either way the event
// and what is to become of it commit together, and each endpoint gets one delivery.

import type { Clock } from "../../core/clock.ts";
import type { Data, DataWriter } from "../../data/data.ts";
import { exponentialDelayMs } from "../../jobs/backoff.ts";
import type { JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import { messageOf } from "../../core/errors.ts";
import type { Condition, Reader, Row, Tx } from "../../store/store.ts";
import { deliveryIdOf, INTERNAL, scheduleDelivery } from "./delivery.ts";
import type { Endpoint } from "./endpoint-input.ts";
import type { EndpointLanes } from "./endpoint-lanes.ts";
import { wants } from "./event-type.ts";
import { ENDPOINT } from "./webhook-entities.ts";
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
  readonly lanes: EndpointLanes;
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

/** Not disabled; a row that was written while the plugin was off says nothing about it. */
function isActive(applicationId: string): Condition[] {
  return [
    { column: "applicationId", op: "eq", value: applicationId },
    { column: "disabled", op: "ne", value: true },
  ];
}

function concerns(event: WebhookEvent, endpoint: Endpoint): boolean {
  return event.target === null ? wants(endpoint.eventTypes, event.type) : event.target === endpoint.id;
}

export function createFanOut({ data, reader, clock, lanes, random }: FanOutOptions): FanOut {
  const endpointTable = (): string => data().model.entity(ENDPOINT).table.name;

  const findActive = (tx: Tx, event: WebhookEvent, afterId: string | null, limit: number): Promise<Row[]> => {
    const own: Condition[] = event.target === null ? [] : [{ column: "id", op: "eq", value: event.target }];
    const after = afterId === null ? {} : { after: { value: null, id: afterId } };
    return tx.find(endpointTable(), { where: [...isActive(event.applicationId), ...own], limit, ...after });
  };

  /** Writes the deliveries to those of `rows` that want the event. */
  const deliver = async (
    writer: DataWriter,
    event: WebhookEvent,
    rows: readonly Row[],
    again: boolean,
  ): Promise<number> => {
    const nowMs = clock.now();
    let scheduled = 0;
    for (const row of rows) {
      const endpoint = lanes.learn(row);
      if (!concerns(event, endpoint)) continue;
      // Only a job that begins again can meet deliveries that it has written.
      if (again && (await writer.tx.getJob(deliveryIdOf(endpoint.id, event)))) continue;
      await scheduleDelivery(writer, { endpoint, event }, nowMs);
      scheduled += 1;
    }
    return scheduled;
  };

  const enqueue = async (tx: Tx, event: WebhookEvent): Promise<void> => {
    const nowMs = clock.now();
    const eventKey = eventKeyOf(event.applicationId, event.eventId);
    const lane = `${FAN_OUT_KIND}:${encodeURIComponent(event.applicationId)}`;
    // In commit order within an application, for endpoints that want theirs in order.
    await tx.enqueueJob({
      id: `${FAN_OUT_KIND}:${eventKey}`,
      kind: FAN_OUT_KIND,
      lane,
      key: lane,
      payload: eventKey,
      dueAt: nowMs,
      createdAt: nowMs,
    });
  };

  /** Whether an earlier event of the application is still being fanned out: this one must not overtake it. */
  const hasWaiting = async (tx: Tx, { applicationId }: WebhookEvent): Promise<boolean> => {
    const where: Condition[] = [
      { column: "applicationId", op: "eq", value: applicationId },
      { column: "waiting", op: "eq", value: true },
    ];
    return (await tx.find(EVENTS, { where, limit: 1 })).length > 0;
  };

  const write: FanOut["write"] = async (tx, event, { later = false } = {}) => {
    const waits = later || (await hasWaiting(tx, event));
    const rows = waits ? [] : await findActive(tx, event, null, MAX_INLINE + 1);
    const waiting = waits || rows.length > MAX_INLINE;
    const id = eventKeyOf(event.applicationId, event.eventId);
    const outcome = await tx.insert(EVENTS, { id, ...event, waiting });
    if (outcome.kind === "conflict") return undefined;
    if (!waiting) return deliver(data().within(INTERNAL, tx), event, rows, false);
    await enqueue(tx, event);
    return tx.count(endpointTable(), isActive(event.applicationId));
  };

  /** One batch behind `afterId`; answers where the next one begins, null when there is none. */
  const runBatch = (event: WebhookEvent, afterId: string | null): Promise<string | null> =>
    data().write(INTERNAL, async (writer) => {
      const rows = await findActive(writer.tx, event, afterId, BATCH);
      await deliver(writer, event, rows, true);
      const last = rows.length === BATCH ? rows.at(-1) : undefined;
      if (last) return last.id;
      await writer.tx.update(EVENTS, eventKeyOf(event.applicationId, event.eventId), { waiting: false });
      return null;
    });

  const run: JobHandler["run"] = async (job, context): Promise<JobOutcome> => {
    try {
      const row = await reader.get(EVENTS, job.payload);
      if (!row) return { kind: "done" };
      let afterId: string | null = null;
      do {
        if (context.isAborted) return { kind: "retry", delayMs: 0 };
        afterId = await runBatch(readEvent(row), afterId);
      } while (afterId !== null);
      return { kind: "done" };
    } catch (error) {
      // Never dead: the event is committed, and its deliveries were promised.
      const delayMs = exponentialDelayMs({ ...RETRY, attempt: job.attempt, random });
      return { kind: "retry", delayMs, note: { error: messageOf(error) } };
    }
  };

  return { write, job: { kind: FAN_OUT_KIND, laneConcurrency: 1, run } };
}
