// Who hears of an event: the active endpoints of its application, page by page in the order of their ids, and the deliveries
// to those of them that subscribe to it.

import type { Clock } from "../../core/clock.ts";
import type { Data, DataWriter } from "../../data/data.ts";
import type { Condition, Row, Tx } from "../../store/store.ts";
import { type DeliveryTarget, enqueueDelivery, findAttempt, writePending } from "./delivery.ts";
import type { Endpoint } from "./endpoint-input.ts";
import type { EndpointLanes } from "./endpoint-lanes.ts";
import { wants } from "./event-type.ts";
import { enqueueRound, MIN_ROUND } from "./round.ts";
import { ATTEMPT, ENDPOINT } from "./webhook-entities.ts";
import type { WebhookEvent } from "./webhook-event.ts";

/** A page of endpoints. */
export interface AudiencePage {
  /** Null for the first. */
  readonly afterId: string | null;
  readonly limit: number;
}

export interface Audience {
  /** Active endpoints that may want the event. */
  find(tx: Tx, event: WebhookEvent, page: AudiencePage): Promise<Row[]>;
  count(tx: Tx, applicationId: string): Promise<number>;
  /**
   * Writes the deliveries to those of `rows` that want the event; answers how many.
   *
   * @param again some may be written already: they are passed over.
   */
  deliver(writer: DataWriter, event: WebhookEvent, rows: readonly Row[], again?: boolean): Promise<number>;
}

export interface AudienceOptions {
  readonly data: () => Data;
  readonly clock: Clock;
  readonly lanes: EndpointLanes;
}

/** Whether an endpoint gets an event: one for a single endpoint is for it, whatever it subscribes to. */
export function concerns(event: WebhookEvent, endpoint: Endpoint): boolean {
  return event.target === null ? wants(endpoint.eventTypes, event.type) : event.target === endpoint.id;
}

/** Not disabled; a row that was written while the plugin was off says nothing about it. */
function isActive(applicationId: string): Condition[] {
  return [
    { column: "applicationId", op: "eq", value: applicationId },
    { column: "disabled", op: "ne", value: true },
  ];
}

export function createAudience({ data, clock, lanes }: AudienceOptions): Audience {
  const tableOf = (entity: string): string => data().model.entity(entity).table.name;
  const table = (): string => tableOf(ENDPOINT);
  const isMade = async (tx: Tx, { endpoint, event }: DeliveryTarget): Promise<boolean> => {
    const query = { endpointId: endpoint.id, eventId: event.eventId };
    return (await findAttempt(tx, tableOf(ATTEMPT), query)) !== undefined;
  };
  return {
    find(tx, event, { afterId, limit }) {
      const own: Condition[] = event.target === null ? [] : [{ column: "id", op: "eq", value: event.target }];
      const after = afterId === null ? {} : { after: { value: null, id: afterId } };
      return tx.find(table(), { where: [...isActive(event.applicationId), ...own], limit, ...after });
    },
    count: (tx, applicationId) => tx.count(table(), isActive(applicationId)),
    async deliver(writer, event, rows, again = false) {
      const nowMs = clock.now();
      const targets: DeliveryTarget[] = [];
      for (const row of rows) {
        const target = { endpoint: lanes.learn(row), event };
        if (!concerns(event, target.endpoint) || (again && (await isMade(writer.tx, target)))) continue;
        targets.push(target);
      }
      const attemptIds = await writePending(writer, targets, { attempt: 1, scheduledAt: nowMs });
      const made = targets.map((target, i) => ({ target, attemptId: attemptIds[i] as string }));
      // What is sent in order waits for what is before it: only a job of its own can.
      const unordered = made.filter(({ target }) => !target.endpoint.ordered);
      const round = unordered.length < MIN_ROUND ? [] : unordered;
      await enqueueRound(writer.tx, event, { round, nowMs });
      for (const one of made) {
        if (round.length === 0 || one.target.endpoint.ordered) {
          await enqueueDelivery(writer.tx, one.target, { attemptId: one.attemptId, nowMs });
        }
      }
      return made.length;
    },
  };
}
