// A delivery: one event on its way to one endpoint. It has a row of the attempts' entity from the beginning. Once it is by
// itself it is a job whose name follows from the two, so that there is never more than one of them; the first attempts of
// many are made by one job (`first-round.ts`).

import { SYSTEM } from "../../core/identity.ts";
import type { DataWriter } from "../../data/data.ts";
import type { Scope } from "../../data/scope.ts";
import type { Job, NewJob, Reader, Row, Tx } from "../../store/store.ts";
import type { Endpoint } from "./endpoint-input.ts";
import { DELIVERY_KIND, laneOf } from "./endpoint-lanes.ts";
import { ATTEMPT } from "./webhook-entities.ts";
import { eventKeyOf, type WebhookEvent } from "./webhook-event.ts";

/** Pylon's own writes: attempts are read-only for everyone else. */
export const INTERNAL: Scope = { actor: SYSTEM, policies: false, requestId: null, internal: true };

export interface Delivery {
  readonly endpointId: string;
  readonly eventKey: string;
  /** The row of the first attempt; a delivery that was made due again has a later one. */
  readonly attemptId: string;
}

/**
 * The job's id: one delivery per endpoint and event. The event comes first: events are made in the order of their ids, so the
 * jobs of a fan-out stand side by side in the index instead of each on a page of its own.
 */
export function deliveryIdOf(endpointId: string, event: Pick<WebhookEvent, "applicationId" | "eventId">): string {
  return `${DELIVERY_KIND}:${eventKeyOf(event.applicationId, event.eventId)}:${endpointId}`;
}

/** Reads what {@link enqueueDelivery} wrote. None of the parts can hold a line feed. */
export function deliveryOf(job: Job): Delivery {
  const [endpointId = "", eventKey = "", attemptId = ""] = job.payload.split("\n");
  return { endpointId, eventKey, attemptId };
}

function planJob({ endpoint, event }: DeliveryTarget, next: NextAttempt): NewJob {
  const { attemptId, nowMs, dueAt = nowMs, tries = 0 } = next;
  return {
    id: deliveryIdOf(endpoint.id, event),
    kind: DELIVERY_KIND,
    lane: laneOf(endpoint.id),
    // In order: the next event waits until this one is delivered or dead.
    key: endpoint.ordered ? laneOf(endpoint.id) : null,
    payload: `${endpoint.id}\n${eventKeyOf(event.applicationId, event.eventId)}\n${attemptId}`,
    dueAt,
    createdAt: nowMs,
    attempt: tries,
  };
}

/** An attempt that is still to come. */
export interface PlannedAttempt {
  readonly attempt: number;
  /** Epoch milliseconds. */
  readonly scheduledAt: number;
}

/** The row of an attempt before it is made, for each target. @returns their ids. */
export function writePending(
  writer: DataWriter,
  targets: readonly DeliveryTarget[],
  planned: PlannedAttempt,
): Promise<readonly string[]> {
  const scheduledAt = new Date(planned.scheduledAt).toISOString();
  const rows = targets.map(({ endpoint, event }) => ({
    applicationId: event.applicationId,
    endpointId: endpoint.id,
    eventId: event.eventId,
    eventType: event.type,
    url: endpoint.url,
    attempt: planned.attempt,
    status: "pending",
    scheduledAt,
  }));
  return writer.insertOwn(ATTEMPT, rows);
}

/** What a delivery is of. */
export interface DeliveryTarget {
  readonly endpoint: Endpoint;
  readonly event: WebhookEvent;
}

/** The attempt that a delivery's job begins with. */
export interface NextAttempt {
  /** Its row. */
  readonly attemptId: string;
  readonly nowMs: number;
  /** @default now */
  readonly dueAt?: number;
  /** How often the delivery was tried before. @default 0 */
  readonly tries?: number;
}

/** Writes the job of a delivery whose next attempt has a row. */
export async function enqueueDelivery(tx: Tx, target: DeliveryTarget, next: NextAttempt): Promise<void> {
  const job = planJob(target, next);
  // One of that name has ended when the event's id was dispatched again after its retention.
  if (!(await tx.enqueueJob(job))) await tx.requeueJob(job.id, job.dueAt);
}

/** Which attempts of a delivery are looked for. */
export interface AttemptQuery {
  readonly endpointId: string;
  readonly eventId: string;
  readonly status?: string;
}

/** The latest attempt of a delivery. */
export async function findAttempt(reader: Reader, table: string, query: AttemptQuery): Promise<Row | undefined> {
  const { endpointId, eventId, status } = query;
  const [row] = await reader.find(table, {
    where: [
      { column: "endpointId", op: "eq", value: endpointId },
      { column: "eventId", op: "eq", value: eventId },
      ...(status === undefined ? [] : [{ column: "status", op: "eq", value: status } as const]),
    ],
    order: { column: "attempt", descending: true },
    limit: 1,
  });
  return row;
}
