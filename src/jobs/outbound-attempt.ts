// One attempt to deliver something over HTTP: what came back, judged the same way by every plugin that sends. A 2xx is
// delivered; everything else failed, and says whether trying again can help.

import type { OutboundOutcome } from "../net/guarded-client.ts";
import type { Job } from "../store/store.ts";
import { retryAfterMs } from "./backoff.ts";

/** The end of an attempt, before it is known whether another follows. */
export interface AttemptResult {
  readonly delivered: boolean;
  readonly status: number | null;
  /** A code and its message, or `HTTP <status>`. */
  readonly error: string | null;
  /** No later attempt can succeed. */
  readonly final: boolean;
  /** What the receiver asked for. Milliseconds. */
  readonly retryAfterMs: number | undefined;
}

/** An attempt that failed before there was a response. */
export function failedAttempt(error: string, final: boolean): AttemptResult {
  return { delivered: false, status: null, error, final, retryAfterMs: undefined };
}

/** Judges what came back (contract: 2xx delivers; Retry-After counts on 429 and 503). */
export function judgeOutcome(outcome: OutboundOutcome, now: number): AttemptResult {
  if (outcome.kind === "blocked") return failedAttempt(`${outcome.code}: ${outcome.reason}`, outcome.literal);
  if (outcome.kind === "failed") return failedAttempt(`${outcome.code}: ${outcome.message}`, false);
  const { status, headers } = outcome;
  const delivered = status >= 200 && status < 300;
  const asked = status === 429 || status === 503 ? retryAfterMs(headers.get("retry-after"), now) : undefined;
  return { delivered, status, error: delivered ? null : `HTTP ${status}`, final: false, retryAfterMs: asked };
}

/** How often the job was tried, this time included. A claim that ended with its process may never have been. */
export function triesOf(job: Job): number {
  return job.attempt - job.lost;
}
