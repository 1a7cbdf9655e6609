// Tells when schedules have moved, at a bounded rate: one timer for all of them, and none while nothing will move.

import type { Clock } from "../../core/clock.ts";
import { type AnnouncedFlags, type Announcement, announcementAt, nextAnnouncementAt } from "./announcement.ts";

/** Between two tellings, however many schedules there are. */
const MIN_GAP_MS = 10_000;

export interface ScheduleWatch {
  /** Begins to watch these flags, whose news by now are known. */
  start(flags: AnnouncedFlags): void;
  /** Looks now: the wall clock may have been corrected under the timer. */
  look(): void;
  stop(): void;
}

export function createScheduleWatch(clock: Clock, tell: (news: Announcement) => void): ScheduleWatch {
  let flags: AnnouncedFlags | undefined;
  let known = "";
  /** On the monotonic clock. */
  let quietUntilMs = -Infinity;
  let cancel: (() => void) | undefined;
  const dueAt = (watched: AnnouncedFlags, nowMs: number): number =>
    announcementAt(watched, nowMs).version === known ? nextAnnouncementAt(watched, nowMs) : nowMs;
  const arm = (watched: AnnouncedFlags): void => {
    cancel?.();
    const nowMs = clock.now();
    const dueMs = dueAt(watched, nowMs);
    const delayMs = Math.max(dueMs - nowMs, quietUntilMs - clock.monotonic());
    cancel = dueMs === Infinity ? undefined : clock.setTimer(delayMs, look);
  };
  const look = (): void => {
    if (flags === undefined) return;
    const news = announcementAt(flags, clock.now());
    if (news.version !== known && clock.monotonic() >= quietUntilMs) {
      known = news.version;
      quietUntilMs = clock.monotonic() + MIN_GAP_MS;
      tell(news);
    }
    // Whoever was told may have stopped it.
    if (flags !== undefined) arm(flags);
  };
  return {
    start(given) {
      flags = given;
      known = announcementAt(given, clock.now()).version;
      arm(given);
    },
    look,
    stop() {
      flags = undefined;
      cancel?.();
      cancel = undefined;
    },
  };
}
