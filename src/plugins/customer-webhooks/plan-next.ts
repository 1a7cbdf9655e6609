// What follows an attempt: a 2xx ends the delivery, anything else is tried again on the schedule, and is dead behind its end.

import { scheduleDelayMs } from "../../jobs/backoff.ts";
import type { AttemptResult } from "../../jobs/outbound-attempt.ts";

export interface RetryPlan {
  /** Milliseconds before attempts 2, 3, … */
  readonly scheduleMs: readonly number[];
  readonly random: () => number;
}

export interface NextStep {
  readonly status: "succeeded" | "failed" | "dead";
  /** Milliseconds until the next attempt; undefined when there is none. */
  readonly delayMs: number | undefined;
}

/** @param tries how often the delivery was tried, this time included. */
export function planNext(result: AttemptResult, tries: number, { scheduleMs, random }: RetryPlan): NextStep {
  if (result.delivered) return { status: "succeeded", delayMs: undefined };
  const planned = result.final ? undefined : scheduleDelayMs(scheduleMs, tries, random);
  if (planned === undefined) return { status: "dead", delayMs: undefined };
  return { status: "failed", delayMs: Math.max(planned, result.retryAfterMs ?? 0) };
}
