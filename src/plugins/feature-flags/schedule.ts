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

/** A schedule as configured. */
export interface ScheduleText {
  readonly from: string;
  readonly to: string;
  readonly fromRollout: number;
  readonly toRollout: number;
}

/** Reads a schedule that fits its schema; null when there is none. */
export function parseSchedule(given: ScheduleText | undefined): Schedule | null {
  if (!given) return null;
  const { from, to, fromRollout, toRollout } = given;
  return { fromMs: parseMoment(from) ?? 0, toMs: parseMoment(to) ?? 0, fromRollout, toRollout };
}

/** The percentage at a moment: `fromRollout` until it begins, then in a straight line, `toRollout` once it has ended. */
export function rolloutAt({ fromMs, toMs, fromRollout, toRollout }: Schedule, nowMs: number): number {
  if (nowMs >= toMs) return toRollout;
  if (!(nowMs > fromMs)) return fromRollout;
  return fromRollout + (toRollout - fromRollout) * ((nowMs - fromMs) / (toMs - fromMs));
}

/** The percentage that counts at a moment: the schedule's, else the rollout; null when neither is given. */
export function rolloutNow(
  given: { readonly schedule?: ScheduleText | undefined; readonly rollout?: number | undefined },
  nowMs: number,
): number | null {
  const schedule = parseSchedule(given.schedule);
  return schedule === null ? (given.rollout ?? null) : rolloutAt(schedule, nowMs);
}

/** Whoever watches a schedule looks a hundred times while it moves, unless that is more or less often than this. */
const STEPS = 100;
const MIN_STEP_MS = 10_000;
const MAX_STEP_MS = 300_000;

function stepOf({ fromMs, toMs }: Schedule): number {
  return Math.min(Math.max(Math.ceil((toMs - fromMs) / STEPS), MIN_STEP_MS), MAX_STEP_MS);
}

/** The last moment, not after `nowMs`, at which to look: its beginning, a step, its end; -Infinity before it begins. */
export function lastStepAt(schedule: Schedule, nowMs: number): number {
  const { fromMs, toMs } = schedule;
  if (nowMs < fromMs) return -Infinity;
  if (nowMs >= toMs) return toMs;
  const stepMs = stepOf(schedule);
  return fromMs + Math.floor((nowMs - fromMs) / stepMs) * stepMs;
}

/** The first such moment after `nowMs`; Infinity once it has ended. */
export function nextStepAt(schedule: Schedule, nowMs: number): number {
  const { fromMs, toMs } = schedule;
  if (nowMs < fromMs) return fromMs;
  if (nowMs >= toMs) return Infinity;
  return Math.min(lastStepAt(schedule, nowMs) + stepOf(schedule), toMs);
}
