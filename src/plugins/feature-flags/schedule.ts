// A rollout that moves with time, as a pure function of it: nobody writes it back, so every replica agrees and a restart
// changes nothing.

import { normalizeDatetime } from "../../manifest/datetime-text.ts";

/** Percentages from 0 to 100, moments in epoch milliseconds; `fromMs` is before `toMs`. */
export interface Schedule {
  readonly fromMs: number;
  readonly toMs: number;
  readonly fromRollout: number;
  readonly toRollout: number;
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;

/** Epoch milliseconds of an ISO 8601 moment, or of a day's beginning in UTC; undefined when it is neither. */
export function parseMoment(text: string): number | undefined {
  const normal = normalizeDatetime(DATE.test(text) ? `${text}T00:00:00Z` : text);
  return normal === undefined ? undefined : Date.parse(normal);
}

/** The percentage at a moment: `fromRollout` until it begins, then in a straight line, `toRollout` once it has ended. */
export function rolloutAt({ fromMs, toMs, fromRollout, toRollout }: Schedule, nowMs: number): number {
  if (nowMs >= toMs) return toRollout;
  if (!(nowMs > fromMs)) return fromRollout;
  return fromRollout + (toRollout - fromRollout) * ((nowMs - fromMs) / (toMs - fromMs));
}
