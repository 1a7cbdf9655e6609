// A receiver of webhooks on this machine that checks each signature by itself and can be told to fail.

import { createHmac, timingSafeEqual } from "node:crypto";

export interface Arrival {
  readonly body: {
    readonly event: string;
    readonly entity: string;
    readonly row_id: string;
    readonly data: unknown;
    readonly timestamp: string;
    readonly delivery_id: string;
  };
  /** How often this delivery has arrived, counted from 1. */
  readonly attempt: number;
  /** What the receiver answered. */
  readonly answered: number;
  /** Whether `X-Pylon-Signature` is the HMAC-SHA256 of the raw body. */
  readonly signed: boolean;
  /** Milliseconds since the write. */
  readonly afterMs: number;
}

export interface Receiver {
  readonly url: string;
  /** The next arrival, in order. Rejects after ten seconds. */
  next(): Promise<Arrival>;
  /** Answers 500 to the next `count` deliveries. */
  failNext(count: number): void;
  /** Arrivals that `next` has not given yet. */
  readonly waiting: number;
  close(): void;
}

const PATIENCE_MS = 10_000;

function isSigned(secret: string, raw: Uint8Array, header: string | null): boolean {
  const expected = `sha256=${createHmac("sha256", secret).update(raw).digest("hex")}`;
  if (header?.length !== expected.length) return false;
  return timingSafeEqual(Buffer.from(header), Buffer.from(expected));
}

export function openReceiver(secret: string): Receiver {
  const arrivals: Arrival[] = [];
  const waiters: ((arrival: Arrival) => void)[] = [];
  const attempts = new Map<string, number>();
  let failures = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const raw = new Uint8Array(await request.arrayBuffer());
      const body = JSON.parse(new TextDecoder().decode(raw)) as Arrival["body"];
      const attempt = (attempts.get(body.delivery_id) ?? 0) + 1;
      attempts.set(body.delivery_id, attempt);
      const answered = failures > 0 ? 500 : 200;
      failures = Math.max(0, failures - 1);
      const signed = isSigned(secret, raw, request.headers.get("x-pylon-signature"));
      const arrival = { body, attempt, answered, signed, afterMs: Date.now() - Date.parse(body.timestamp) };
      const waiter = waiters.shift();
      if (waiter) waiter(arrival);
      else arrivals.push(arrival);
      return new Response(null, { status: answered });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/order-changed`,
    next() {
      const arrival = arrivals.shift();
      if (arrival) return Promise.resolve(arrival);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("No webhook arrived within ten seconds")), PATIENCE_MS);
        waiters.push((next) => {
          clearTimeout(timer);
          resolve(next);
        });
      });
    },
    failNext(count) {
      failures = count;
    },
    get waiting() {
      return arrivals.length;
    },
    close() {
      void server.stop(true);
    },
  };
}
