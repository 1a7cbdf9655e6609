// Removes attempts and events after their retention, a bounded batch at a time. What is still to be sent stays.

import type { Clock } from "../../core/clock.ts";
import type { Data } from "../../data/data.ts";
import type { Reader, Store } from "../../store/store.ts";
import { INTERNAL } from "./delivery.ts";
import type { EndpointSecrets } from "./endpoint-secrets.ts";
import { ATTEMPT } from "./webhook-entities.ts";
import { EVENTS } from "./webhook-tables.ts";

export interface RetentionOptions {
  readonly data: () => Data;
  readonly reader: Reader;
  readonly store: Store;
  readonly clock: Clock;
  readonly secrets: EndpointSecrets;
  readonly keptMs: number;
}

type Sweep = (limit: number) => Promise<number>;

export function createSweeps({ data, reader, store, clock, secrets, keptMs }: RetentionOptions): Sweep[] {
  const sweepAttempts: Sweep = async (limit) => {
    const { table } = data().model.entity(ATTEMPT);
    const rows = await reader.find(table.name, {
      where: [
        { column: "scheduledAt", op: "lt", value: new Date(clock.now() - keptMs).toISOString() },
        { column: "status", op: "in", values: ["succeeded", "failed", "dead"] },
      ],
      order: { column: "scheduledAt", descending: false },
      limit,
    });
    if (rows.length === 0) return 0;
    return data().write(INTERNAL, async (writer) => {
      for (const { id } of rows) await writer.delete(ATTEMPT, id);
      return rows.length;
    });
  };
  const sweepEvents: Sweep = (limit) =>
    store.write((tx) =>
      tx.deleteWhere(
        EVENTS,
        [
          { column: "createdAt", op: "lt", value: clock.now() - keptMs },
          { column: "waiting", op: "eq", value: false },
        ],
        limit,
      ),
    );
  return [sweepAttempts, sweepEvents, (limit) => store.write((tx) => secrets.sweep(tx, limit))];
}
