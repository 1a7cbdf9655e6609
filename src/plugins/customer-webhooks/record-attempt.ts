// Writes what came of an attempt, in the transaction that settles it: its own row, the row of the next one, and how the
// endpoint is doing.

import type { Clock } from "../../core/clock.ts";
import type { Data, DataWriter } from "../../data/data.ts";
import type { Row, Tx, Value } from "../../store/store.ts";
import { type Delivery, findAttempt, INTERNAL, writePending } from "./delivery.ts";
import type { Subject } from "./delivery-subject.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import { type Ended, GONE, storable } from "./send-delivery.ts";
import { ATTEMPT } from "./webhook-entities.ts";
import { eventIdOf } from "./webhook-event.ts";

const MAX_ERROR_CHARS = 500;

/** An attempt that has ended, and what follows. */
export interface AttemptRecord {
  readonly delivery: Delivery;
  readonly subject: Subject;
  readonly ended: Ended;
  /** The delivery has no row but that of its first attempt, which nobody else writes: it need not be looked for. */
  readonly isFirst?: boolean;
  /** How often the delivery was tried since it was made due. */
  readonly tries: number;
  readonly status: "succeeded" | "failed" | "dead";
  /** Epoch milliseconds; null when there is no next attempt. */
  readonly nextAt: number | null;
}

export interface RecorderOptions {
  readonly data: () => Data;
  readonly clock: Clock;
  readonly health: EndpointHealth;
}

/** Answers the row of the next attempt, when there is one. */
export type RecordAttempt = (tx: Tx, record: AttemptRecord) => Promise<string | undefined>;

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** The columns of an attempt that has ended. */
function outcomeFields(
  { ended, subject, status, nextAt }: AttemptRecord,
  nowMs: number,
): Readonly<Record<string, Value>> {
  const { result, durationMs, responseBody } = ended;
  return {
    ...(subject.endpoint ? { url: subject.endpoint.url } : {}),
    status,
    httpStatus: result.status,
    error: result.error === null ? null : storable(result.error.slice(0, MAX_ERROR_CHARS)),
    durationMs,
    responseBody,
    deliveredAt: result.delivered ? isoOrNull(nowMs) : null,
    nextAttemptAt: isoOrNull(nextAt),
  };
}

export function createRecorder({ data, clock, health }: RecorderOptions): RecordAttempt {
  /** The row that waits for the attempt; undefined when somebody removed it. */
  const findPending = async (tx: Tx, { attemptId, endpointId, eventKey }: Delivery): Promise<Row | undefined> => {
    const { table } = data().model.entity(ATTEMPT);
    const first = await tx.get(table.name, attemptId);
    if (first?.status === "pending") return first;
    return findAttempt(tx, table.name, { endpointId, eventId: eventIdOf(eventKey), status: "pending" });
  };

  /** The row of an attempt that has lost it; nothing is left to describe one with once its event or endpoint is gone. */
  const replace = async (writer: DataWriter, subject: Subject, attempt: number): Promise<string | undefined> => {
    const { event, endpoint } = subject;
    if (!event || !endpoint) return undefined;
    const [id] = await writePending(writer, [{ endpoint, event }], { attempt, scheduledAt: clock.now() });
    return id;
  };

  return async (tx, record) => {
    const { delivery, subject, ended, nextAt } = record;
    const { event, endpoint } = subject;
    const writer = data().within(INTERNAL, tx);
    // Only then would a second record of the same attempt, after a commit whose answer was lost, plan a second next one.
    if (record.isFirst && nextAt !== null) {
      const row = await tx.get(data().model.entity(ATTEMPT).table.name, delivery.attemptId);
      if (row && row.status !== "pending") return undefined;
    }
    const pending = record.isFirst ? { id: delivery.attemptId, attempt: 1 } : await findPending(tx, delivery);
    const attempt = Number(pending?.attempt ?? record.tries);
    const rowId = pending?.id ?? (await replace(writer, subject, attempt));
    if (rowId !== undefined) await writer.updateOwn(ATTEMPT, rowId, outcomeFields(record, clock.now()));
    const isPlanned = nextAt !== null && event && endpoint;
    const planned = { attempt: attempt + 1, scheduledAt: nextAt ?? 0 };
    const [next] = isPlanned ? await writePending(writer, [{ endpoint, event }], planned) : [];
    if (ended.wasSent && endpoint) {
      if (ended.result.delivered) await health.succeeded(tx, endpoint.id);
      else await health.failed(tx, endpoint, ended.result.status === GONE);
    }
    return next;
  };
}
