// Writes what came of an attempt, in the transaction that settles it: its own row, the row of the next one, and how the
// endpoint is doing.

import type { Clock } from "../../core/clock.ts";
import type { Data, DataWriter } from "../../data/data.ts";
import type { Tx } from "../../store/store.ts";
import { INTERNAL, writePending } from "./delivery.ts";
import type { Subject } from "./delivery-subject.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import { type Ended, GONE, storable } from "./send-delivery.ts";
import { ATTEMPT } from "./webhook-entities.ts";

const MAX_ERROR_CHARS = 500;

/** An attempt that has ended, and what follows. */
export interface AttemptRecord {
  readonly subject: Subject;
  readonly ended: Ended;
  readonly attempt: number;
  readonly status: "succeeded" | "failed" | "dead";
  /** Epoch milliseconds; null when there is no next attempt. */
  readonly nextAt: number | null;
}

export interface RecorderOptions {
  readonly data: () => Data;
  readonly clock: Clock;
  readonly health: EndpointHealth;
}

export type RecordAttempt = (tx: Tx, record: AttemptRecord) => Promise<void>;

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** The columns of an attempt that has ended. */
function outcomeFields(
  { ended, subject, status, nextAt }: AttemptRecord,
  nowMs: number,
): Readonly<Record<string, unknown>> {
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
  /** The row of the attempt; nothing is left to describe one with once its event or its endpoint is gone. */
  const rowOf = async (writer: DataWriter, { subject, attempt }: AttemptRecord): Promise<string | undefined> => {
    const { pending, event, endpoint } = subject;
    if (pending) return pending.id;
    return event && endpoint && writePending(writer, { endpoint, event }, { attempt, scheduledAt: clock.now() });
  };

  return async (tx, record) => {
    const { subject, ended, attempt, nextAt } = record;
    const { event, endpoint } = subject;
    const writer = data().within(INTERNAL, tx);
    const rowId = await rowOf(writer, record);
    if (rowId !== undefined) await writer.update(ATTEMPT, rowId, outcomeFields(record, clock.now()));
    if (nextAt !== null && event && endpoint) {
      await writePending(writer, { endpoint, event }, { attempt: attempt + 1, scheduledAt: nextAt });
    }
    if (!ended.wasSent || !endpoint) return;
    if (!ended.result.delivered) await health.failed(tx, endpoint, ended.result.status === GONE);
    else await health.succeeded(tx, endpoint.id);
  };
}
