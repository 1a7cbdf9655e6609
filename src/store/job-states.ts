// How the states of a job are written in a database: numbers, all as wide as each other. "leased" is a ready job with a row
// in `_pylon_leases`.

import type { JobState } from "./store.ts";

export const STATE_NUMBERS: Readonly<Record<JobState, number>> = {
  ready: 10,
  leased: 10,
  blocked: 11,
  done: 20,
  dead: 21,
  canceled: 22,
};

export const STATE_NAMES: Readonly<Record<number, JobState>> = {
  10: "ready",
  11: "blocked",
  20: "done",
  21: "dead",
  22: "canceled",
};

/** From here on a state is final. */
export const FIRST_FINISHED = 20;
