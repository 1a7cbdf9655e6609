// A receiver of webhooks on this machine that writes down every request in the order of its arrival and judges its signature
// by itself. What it answers is the test's choice.

import { createHmac, timingSafeEqual } from "node:crypto";

import { WEBHOOK_SECRET } from "./running-pylon.ts";

export interface Arrival {
  readonly deliveryId: string;
  readonly event: string;
  readonly rowId: string;
  readonly data: { readonly id: string; readonly tag: string; readonly step: number };
  readonly body: string;
  /** Whether `X-Pylon-Signature` is the HMAC-SHA256 of the body's bytes. */
  readonly isSigned: boolean;
  /** Milliseconds of `performance.now`. */
  readonly at: number;
  /** What was answered; null while nothing was. */
  status: number | null;
}

export type AnswerArrival = (arrival: Arrival) => Response | Promise<Response>;

export interface HookReceiver {
  readonly url: string;
  readonly arrivals: readonly Arrival[];
  /** Answers the requests from now on. @default 200 */
  answer: AnswerArrival;
  close(): void;
}

interface Body {
  readonly delivery_id: string;
  readonly event: string;
  readonly row_id: string;
  readonly data: Arrival["data"];
}

function isSigned(raw: Uint8Array, header: string | null): boolean {
  const expected = `sha256=${createHmac("sha256", WEBHOOK_SECRET).update(raw).digest("hex")}`;
  return header?.length === expected.length && timingSafeEqual(Buffer.from(header), Buffer.from(expected));
}

export function openHookReceiver(): HookReceiver {
  const arrivals: Arrival[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    async fetch(request) {
      const raw = new Uint8Array(await request.arrayBuffer());
      const body = new TextDecoder().decode(raw);
      const { delivery_id: deliveryId, event, row_id: rowId, data } = JSON.parse(body) as Body;
      const signed = isSigned(raw, request.headers.get("x-pylon-signature"));
      const at = performance.now();
      const arrival: Arrival = { deliveryId, event, rowId, data, body, isSigned: signed, at, status: null };
      arrivals.push(arrival);
      const response = await receiver.answer(arrival);
      arrival.status = response.status;
      return response;
    },
  });
  const receiver: HookReceiver = {
    url: `http://127.0.0.1:${server.port}/hook`,
    arrivals,
    answer: () => new Response(null),
    close: () => void server.stop(true),
  };
  return receiver;
}
