// A delivery: the exact bytes that a hook sends, what is stored to send them again, and their signature.

import type { HmacSigner } from "../../crypto/hmac.ts";
import type { Change, WriteOp } from "../../data/change.ts";
import type { Job, NewJob } from "../../store/store.ts";
import type { Hook } from "./hook-config.ts";

/** The kind of a delivery's job, and the first part of its lane. */
export const DELIVERY_KIND = "webhook";

/** What a delivery's job carries. `body` is sent as it stands, so that a retry is the same bytes. */
export interface Delivery {
  readonly hook: string;
  readonly url: string;
  readonly entity: string;
  readonly event: WriteOp;
  readonly body: string;
}

/** What the body says, for people who look at deliveries. */
export interface DeliveryBody {
  readonly event: string;
  readonly entity: string;
  readonly row_id: string;
  readonly data: unknown;
  readonly timestamp: string;
  readonly delivery_id: string;
}

/** The body of the seeds: these keys in this order. `data` is the JSON of the row as the API shows it. */
export function deliveryBody(change: Change, data: string, deliveryId: string): string {
  const row = `"event":"${change.op}","entity":"${change.entity}","row_id":${JSON.stringify(change.id)},"data":${data}`;
  return `{${row},"timestamp":"${new Date(change.at).toISOString()}","delivery_id":"${deliveryId}"}`;
}

/** Deliveries of one hook share a lane: what one receiver does to them delays no other. */
export function laneOf(hook: Hook): string {
  return `${DELIVERY_KIND}:${hook.name}`;
}

/** The job that delivers `change` to `hook`. Its key keeps the deliveries of one row to one hook in commit order. */
export function planDelivery(hook: Hook, change: Change, data: string, deliveryId: string): NewJob {
  const body = deliveryBody(change, data, deliveryId);
  return {
    id: deliveryId,
    kind: DELIVERY_KIND,
    lane: laneOf(hook),
    key: `${laneOf(hook)}:${change.entity}:${change.id}`,
    // Lines, not JSON: the body would be escaped once more. None of the parts before it can hold a line feed.
    payload: `${hook.name}\n${hook.url}\n${change.op}\n${change.entity}\n${body}`,
    dueAt: change.at,
    createdAt: change.at,
  };
}

/** Reads what {@link planDelivery} wrote. */
export function deliveryOf(job: Job): Delivery {
  const { payload } = job;
  const parts: string[] = [];
  let start = 0;
  for (let part = 0; part < 4; part++) {
    const end = payload.indexOf("\n", start);
    parts.push(payload.slice(start, end));
    start = end + 1;
  }
  const [hook = "", url = "", event = "", entity = ""] = parts;
  return { hook, url, event: event as WriteOp, entity, body: payload.slice(start) };
}

export function bodyOf(delivery: Delivery): DeliveryBody {
  return JSON.parse(delivery.body) as DeliveryBody;
}

/** `sha256=<hex HMAC-SHA256 of the raw body>` (seeds: `X-Pylon-Signature`). */
export async function signatureHeader(signer: HmacSigner, body: string): Promise<string> {
  return `sha256=${await signer.signHex(body)}`;
}
