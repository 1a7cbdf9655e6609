// Sending again: one event whose delivery has ended, or every event of a window that never succeeded. A delivery keeps its
// name, so it is under way at most once however often this is asked for.

import type { Clock } from "../../core/clock.ts";
import type { Data, DataWriter } from "../../data/data.ts";
import type { Condition, Job, Reader, Row, Tx, Value } from "../../store/store.ts";
import { deliveryIdOf, type DeliveryTarget, enqueueDelivery, findAttempt, INTERNAL, writePending } from "./delivery.ts";
import { type Endpoint, readEndpoint } from "./endpoint-input.ts";
import { concerns } from "./audience.ts";
import { ATTEMPT, ENDPOINT } from "./webhook-entities.ts";
import { customerWebhookError } from "./webhook-errors.ts";
import { eventKeyOf, readEvent } from "./webhook-event.ts";
import { EVENTS } from "./webhook-tables.ts";

/** Events that one transaction looks at. */
const BATCH = 200;
/** Events that one request looks at: it answers where it stopped. */
const MAX_EXAMINED = 20_000;

export interface Window {
  readonly endpointId: string;
  /** Epoch milliseconds, inclusive. */
  readonly sinceMs: number;
  /** Exclusive. */
  readonly untilMs: number;
}

export interface Recovered {
  readonly scheduled: number;
  /** Where to go on, when the window holds more events than one request looks at. */
  readonly nextSinceMs: number | null;
}

export interface Redelivery {
  /** `alongside` writes in the same transaction. @throws EVENT_EXPIRED, ENDPOINT_DISABLED, DELIVERY_IN_ORDER */
  resend(
    endpointId: string,
    event: { readonly applicationId: string; readonly eventId: string },
    alongside: (tx: Tx) => Promise<void>,
  ): Promise<void>;
  recover(window: Window): Promise<Recovered>;
}

interface Place {
  readonly value: Value;
  readonly id: string;
}

/** A round is over by then, or nobody runs jobs: a row that still waits may be sent again by hand. */
const MAX_ROUND_MS = 86_400_000;

const LIVE: ReadonlySet<Job["state"]> = new Set<Job["state"]>(["ready", "leased", "blocked"]);

/** Events of the endpoint's application in the window. */
function findEvents(reader: Reader, endpoint: Endpoint, window: Window, after: Place | undefined): Promise<Row[]> {
  const where: Condition[] = [
    { column: "applicationId", op: "eq", value: endpoint.applicationId },
    { column: "createdAt", op: "gte", value: window.sinceMs },
    { column: "createdAt", op: "lt", value: window.untilMs },
    // These are on their way to everyone who wants them.
    { column: "waiting", op: "eq", value: false },
  ];
  const order = { column: "createdAt", descending: false };
  return reader.find(EVENTS, { where, order, limit: BATCH, ...(after ? { after } : {}) });
}

export function createRedelivery({ data, clock }: { readonly data: () => Data; readonly clock: Clock }): Redelivery {
  const tableOf = (entity: string): string => data().model.entity(entity).table.name;

  const endpointIn = async (reader: Reader, endpointId: string): Promise<Endpoint | undefined> => {
    const row = await reader.get(tableOf(ENDPOINT), endpointId);
    return row && readEndpoint(row);
  };

  /** Makes a delivery that has ended due again, with the whole schedule in front of it. */
  const begin = async (
    writer: DataWriter,
    { endpoint, event }: DeliveryTarget,
    job: Job | undefined,
  ): Promise<void> => {
    const nowMs = clock.now();
    const last = await findAttempt(writer.tx, tableOf(ATTEMPT), { endpointId: endpoint.id, eventId: event.eventId });
    const planned = { attempt: Number(last?.attempt ?? 0) + 1, scheduledAt: nowMs };
    // One that was waiting for a retry has its row already.
    const isPlanned = last?.status === "pending";
    const [attemptId = ""] = isPlanned ? [last.id] : await writePending(writer, [{ endpoint, event }], planned);
    if (job) await writer.tx.requeueJob(job.id, nowMs);
    else await enqueueDelivery(writer.tx, { endpoint, event }, { attemptId, nowMs });
  };

  /** Whether its first attempt is still to be made, or under way, in the round of its event. */
  const isInRound = async (tx: Tx, { endpoint, event }: DeliveryTarget): Promise<boolean> => {
    const query = { endpointId: endpoint.id, eventId: event.eventId };
    const last = await findAttempt(tx, tableOf(ATTEMPT), query);
    return last?.status === "pending" && clock.now() - Date.parse(last.scheduledAt as string) < MAX_ROUND_MS;
  };

  const hasSucceeded = async (writer: DataWriter, { endpoint, event }: DeliveryTarget): Promise<boolean> => {
    const query = { endpointId: endpoint.id, eventId: event.eventId, status: "succeeded" };
    return (await findAttempt(writer.tx, tableOf(ATTEMPT), query)) !== undefined;
  };

  const recoverOne = async (writer: DataWriter, target: DeliveryTarget): Promise<boolean> => {
    const { endpoint, event } = target;
    if (!concerns(event, endpoint)) return false;
    const job = await writer.tx.getJob(deliveryIdOf(endpoint.id, event));
    if (job ? LIVE.has(job.state) : await isInRound(writer.tx, target)) return false;
    if (await hasSucceeded(writer, target)) return false;
    await begin(writer, target, job);
    return true;
  };

  return {
    resend: (endpointId, { applicationId, eventId }, alongside) =>
      data().write(INTERNAL, async (writer) => {
        await alongside(writer.tx);
        const row = await writer.tx.get(EVENTS, eventKeyOf(applicationId, eventId));
        const endpoint = await endpointIn(writer.tx, endpointId);
        if (!row || !endpoint || endpoint.applicationId !== applicationId) throw customerWebhookError("EVENT_EXPIRED");
        if (endpoint.disabled) throw customerWebhookError("ENDPOINT_DISABLED");
        const event = readEvent(row);
        const job = await writer.tx.getJob(deliveryIdOf(endpointId, event));
        // It is being sent this moment.
        if (job ? job.state === "leased" : await isInRound(writer.tx, { endpoint, event })) return;
        if (job && LIVE.has(job.state)) {
          if (job.key !== null) throw customerWebhookError("DELIVERY_IN_ORDER");
          await writer.tx.cancelJob(job.id, clock.now());
        }
        await begin(writer, { endpoint, event }, job);
      }),

    async recover(window) {
      let after: Place | undefined;
      let scheduled = 0;
      for (let examined = 0; examined < MAX_EXAMINED; examined += BATCH) {
        const batch = await data().write(INTERNAL, async (writer) => {
          const endpoint = await endpointIn(writer.tx, window.endpointId);
          if (!endpoint || endpoint.disabled) throw customerWebhookError("ENDPOINT_DISABLED");
          const rows = await findEvents(writer.tx, endpoint, window, after);
          let begun = 0;
          for (const row of rows) if (await recoverOne(writer, { endpoint, event: readEvent(row) })) begun += 1;
          return { begun, last: rows.length === BATCH ? rows.at(-1) : undefined };
        });
        scheduled += batch.begun;
        if (!batch.last) return { scheduled, nextSinceMs: null };
        after = { value: batch.last.createdAt ?? null, id: batch.last.id };
      }
      return { scheduled, nextSinceMs: Number(after?.value) };
    },
  };
}
