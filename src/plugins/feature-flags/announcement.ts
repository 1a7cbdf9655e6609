// What a stream of changes announces, as a pure function of the flags and of time: another version when the flags are
// others, and when a schedule among them has moved. Every replica announces the same.

import { lastStepAt, nextStepAt, type Schedule } from "./schedule.ts";

/** What there is to announce of a set of flags. */
export interface AnnouncedFlags {
  readonly version: string;
  /** Epoch milliseconds. */
  readonly since: number;
  readonly schedules: readonly Schedule[];
}

export interface Announcement {
  readonly version: string;
  /** Epoch milliseconds. */
  readonly since: number;
}

/** Schedules are announced this much later: whoever asks a replica whose clock is behind is answered anew all the same. */
const BEHIND_MS = 1_000;

/** What whoever evaluates at `nowMs` has seen. */
export function announcementAt({ version, since, schedules }: AnnouncedFlags, nowMs: number): Announcement {
  let movedAt = -Infinity;
  for (const schedule of schedules) movedAt = Math.max(movedAt, lastStepAt(schedule, nowMs - BEHIND_MS));
  if (movedAt === -Infinity) return { version, since };
  return { version: `${version}.${Math.floor(movedAt).toString(36)}`, since: Math.max(since, movedAt) };
}

/** When there is another announcement without anybody changing anything; Infinity when never. */
export function nextAnnouncementAt({ schedules }: AnnouncedFlags, nowMs: number): number {
  let next = Infinity;
  for (const schedule of schedules) next = Math.min(next, nextStepAt(schedule, nowMs - BEHIND_MS));
  return next + BEHIND_MS;
}
