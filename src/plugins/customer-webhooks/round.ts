// A round: the deliveries of one event whose first attempts one job makes, as that job holds them.

import type { Job, Tx } from "../../store/store.ts";
import type { DeliveryTarget } from "./delivery.ts";
import { eventKeyOf, type WebhookEvent } from "./webhook-event.ts";

export const ROUND_KIND = "customer-webhook-round";
/** Fewer than these are jobs of their own. */
export const MIN_ROUND = 16;

/** A delivery that waits for its first attempt, whose row is there. */
export interface Waiting {
  readonly endpointId: string;
  readonly attemptId: string;
}

/** Writes the job that makes the first attempts of `round`; none when there is nothing in it. */
export async function enqueueRound(
  tx: Tx,
  { applicationId, eventId }: WebhookEvent,
  {
    round,
    nowMs,
  }: {
    readonly round: readonly { readonly target: DeliveryTarget; readonly attemptId: string }[];
    readonly nowMs: number;
  },
): Promise<void> {
  const [first] = round;
  if (!first) return;
  const eventKey = eventKeyOf(applicationId, eventId);
  const lines = round.map(({ target, attemptId }) => `${target.endpoint.id} ${attemptId}`);
  await tx.enqueueJob({
    id: `${ROUND_KIND}:${eventKey}:${first.attemptId}`,
    kind: ROUND_KIND,
    lane: `${ROUND_KIND}:${encodeURIComponent(applicationId)}`,
    payload: [eventKey, ...lines].join("\n"),
    dueAt: nowMs,
    createdAt: nowMs,
  });
}

/** Reads what {@link enqueueRound} wrote. Neither part of a line holds a space. */
export function roundOf({ payload }: Job): { readonly eventKey: string; readonly waiting: readonly Waiting[] } {
  const [eventKey = "", ...lines] = payload.split("\n");
  const waiting = lines.map((line): Waiting => {
    const [endpointId = "", attemptId = ""] = line.split(" ");
    return { endpointId, attemptId };
  });
  return { eventKey, waiting };
}
