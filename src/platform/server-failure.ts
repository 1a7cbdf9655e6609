// What the drivers of shared servers have in common: how long they wait before they connect again, deadlines, and failures
// that name no address and no credentials.

import type { ServerRefusal } from "../cache/shared-server.ts";
import type { Clock } from "../core/clock.ts";
import { exponentialDelayMs } from "../jobs/backoff.ts";

const FIRST_RECONNECT_MS = 50;
const MAX_RECONNECT_MS = 5_000;
/** A server that is frozen or cut off closes nothing; it is asked this often whether it is there. */
export const HEARTBEAT_MS = 5_000;
export const CONNECT_TIMEOUT_MS = 5_000;

/** Doubles up to 5 s and spreads over as much again, so that replicas do not come back all at once. */
export function reconnectDelayMs(attempt: number, random: () => number): number {
  return exponentialDelayMs({ baseMs: FIRST_RECONNECT_MS, maxMs: MAX_RECONNECT_MS, attempt, random, jitterRatio: 1 });
}

/** The first word of what a server or a system says, if it is a code: `OOM`, `WRONGPASS`, `ECONNREFUSED`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "FAILED";
  const { code, message } = error as Error & { readonly code?: unknown };
  return /^[A-Z][A-Z_]{1,30}\b/.exec(typeof code === "string" && code !== "" ? code : message)?.[0] ?? "FAILED";
}

export function serverRefusal(reason: string): ServerRefusal {
  return Object.assign(new Error(`The cache server refused: ${reason}`), { refused: true as const, reason });
}

/** Rejects after `timeoutMs`, whatever becomes of `work`. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = clock.setTimer(timeoutMs, () => reject(new Error("The cache server did not answer in time")));
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancel();
  }
}
