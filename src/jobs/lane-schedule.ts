// Which lanes are due, and how much may be claimed from each. Pure: time is an argument. The wheel holds lanes, not jobs:
// a lane with a million sleeping jobs is one entry, and losing an entry delays a lane until the next refresh, no more.

import { createTimerWheel, type TimerHandle, type TimerWheel } from "./timer-wheel.ts";

/**
 * Where a lane is. `idle` lanes wait for a hint or a free slot, `sleeping` ones are on the wheel, `ready` ones in the
 * ring, and a `claiming` lane is in the transaction under way.
 */
type LanePlace = "idle" | "sleeping" | "ready" | "claiming";

/** A lane that has jobs under way or due within the horizon. */
export interface Lane {
  readonly name: string;
  /** Its place in the table of lanes: the wheel's value. */
  readonly id: number;
  /** Jobs of this lane that this engine holds: those whose handler runs, and those claimed ahead of their turn. */
  running: number;
  place: LanePlace;
  /** The earliest due time that is known; Infinity for none. Epoch milliseconds, like all times here. */
  dueAt: number;
  /** Not claimed before, whatever is due. */
  holdUntil: number;
  timer: TimerHandle;
}

/** One claim to make: up to `limit` jobs of the lane. */
export interface LaneClaim {
  readonly lane: Lane;
  readonly limit: number;
}

/** What a claim brought. */
export interface LaneClaimed {
  readonly claim: LaneClaim;
  readonly count: number;
  /** The earliest due time of the lane's remaining ready jobs; only looked up when `count` is below the limit. */
  readonly nextDueAt: number | undefined;
  /** The time that the claim was made for. */
  readonly claimedAtMs: number;
}

/** How much may be claimed at once. */
export interface ClaimRoom {
  readonly maxJobs: number;
  readonly maxLanes: number;
}

export interface LaneScheduleOptions {
  readonly startMs: number;
  /** What is due later than this from now is left to the refresh. */
  readonly horizonMs: number;
  /** Jobs of the lane that may run at once, 1 or more. Asked before each claim. */
  readonly limitOf: (lane: string) => number;
  /**
   * Jobs that are claimed ahead for each slot of a lane with a backlog, so that a claim is worth its commit. They are
   * leased and wait for a slot. @default 0
   */
  readonly aheadPerSlot?: number;
  /**
   * Claims ahead are made while fewer jobs than this are held by all lanes together: the backlog of a lane that hangs must
   * not take the room that others need. @default no bound
   */
  readonly aheadBelow?: number;
}

/** Jobs of one lane that are claimed ahead at the most. */
const MAX_AHEAD = 256;

export interface LaneSchedule {
  /** Lanes known. */
  readonly size: number;
  /** Lanes that could be claimed now. */
  readonly readyCount: number;
  /** A ready job of the lane is due at `dueAt`. A hint: it may be wrong, or come late. */
  learn(lane: string, dueAt: number, nowMs: number): void;
  /** Moves time on: lanes that are due become ready. */
  advance(nowMs: number): void;
  /** When to call `advance` next. */
  nextExpiry(): number | undefined;
  /** Takes lanes off the ring, in turn, each with a fair share of the room. They stay `claiming` until told otherwise. */
  takeClaims(room: ClaimRoom, nowMs: number): LaneClaim[];
  /** The claim committed. */
  claimed(outcome: LaneClaimed, nowMs: number): void;
  /** The claim did not commit: the lane is as due as before. */
  unclaimed(claim: LaneClaim, nowMs: number): void;
  /** A handler of the lane has ended. */
  finished(lane: Lane, nowMs: number): void;
  /** Leaves the lane alone until `untilMs` and looks again then. */
  park(lane: Lane, untilMs: number, nowMs: number): void;
}

/**
 * A lane has something due and yet gives nothing while another process holds its rows: asking again at once would spin.
 */
const EMPTY_CLAIM_PAUSE_MS = 50;

/** Lanes in the order in which they became ready; taking from the front costs no copying. */
class ReadyRing {
  #lanes: Lane[] = [];
  #head = 0;

  get size(): number {
    return this.#lanes.length - this.#head;
  }

  push(lane: Lane): void {
    this.#lanes.push(lane);
  }

  shift(): Lane | undefined {
    const lane = this.#lanes[this.#head];
    if (lane === undefined) return undefined;
    this.#head++;
    if (this.#head > 1024 && this.#head * 2 > this.#lanes.length) {
      this.#lanes = this.#lanes.slice(this.#head);
      this.#head = 0;
    }
    return lane;
  }
}

/** Names to lanes, and the small integers that the wheel can hold to lanes. */
class LaneTable {
  readonly byName: Map<string, Lane> = new Map();
  readonly #byId: (Lane | undefined)[] = [];
  readonly #freeIds: number[] = [];

  byId(id: number): Lane | undefined {
    return this.#byId[id];
  }

  add(name: string): Lane {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const lane: Lane = { name, id, running: 0, place: "idle", dueAt: Infinity, holdUntil: -Infinity, timer: -1 };
    this.#byId[id] = lane;
    this.byName.set(name, lane);
    return lane;
  }

  remove(lane: Lane): void {
    this.byName.delete(lane.name);
    this.#byId[lane.id] = undefined;
    this.#freeIds.push(lane.id);
  }
}

class Schedule implements LaneSchedule {
  readonly #options: LaneScheduleOptions;
  readonly #wheel: TimerWheel;
  readonly #lanes: LaneTable = new LaneTable();
  readonly #ring: ReadyRing = new ReadyRing();
  #nowMs: number;
  /** Jobs held by all lanes together. */
  #held = 0;

  constructor(options: LaneScheduleOptions) {
    this.#options = options;
    this.#nowMs = options.startMs;
    this.#wheel = createTimerWheel({ startMs: options.startMs });
  }

  get size(): number {
    return this.#lanes.byName.size;
  }

  get readyCount(): number {
    return this.#ring.size;
  }

  learn(name: string, dueAt: number, nowMs: number): void {
    // The wheel has to go back with the clock first: it would take what is due in a moment for overdue.
    if (nowMs < this.#nowMs) this.advance(nowMs);
    if (dueAt > nowMs + this.#options.horizonMs) return;
    const lane = this.#lanes.byName.get(name) ?? this.#lanes.add(name);
    const isEarlier = dueAt < lane.dueAt;
    if (isEarlier) lane.dueAt = dueAt;
    // A full lane may have room meanwhile: its limit can change.
    if (lane.place === "idle" || (lane.place === "sleeping" && isEarlier)) this.#place(lane, nowMs);
  }

  advance(nowMs: number): void {
    this.#wheel.advance(nowMs, (id) => {
      const lane = this.#lanes.byId(id);
      if (!lane) return;
      lane.place = "idle";
      this.#place(lane, nowMs);
    });
    if (nowMs < this.#nowMs) this.#liftHolds(nowMs);
    this.#nowMs = nowMs;
  }

  nextExpiry(): number | undefined {
    return this.#wheel.nextExpiry();
  }

  takeClaims(room: ClaimRoom, nowMs: number): LaneClaim[] {
    const claims: LaneClaim[] = [];
    const lanes = Math.min(this.#ring.size, room.maxLanes, room.maxJobs);
    let jobs = room.maxJobs;
    for (let left = lanes; left > 0; left--) {
      const lane = this.#ring.shift();
      if (!lane) break;
      const limit = Math.min(this.#roomOf(lane), Math.ceil(jobs / left));
      if (limit < 1 || lane.holdUntil > nowMs) {
        lane.place = "idle";
        this.#place(lane, nowMs);
        continue;
      }
      jobs -= limit;
      lane.place = "claiming";
      // From here on only hints that come while the claim is under way count: it takes whatever was known before.
      lane.dueAt = Infinity;
      claims.push({ lane, limit });
    }
    return claims;
  }

  claimed({ claim: { lane, limit }, count, nextDueAt, claimedAtMs }: LaneClaimed, nowMs: number): void {
    lane.place = "idle";
    lane.running += count;
    this.#held += count;
    const next = count === limit ? nowMs : (nextDueAt ?? Infinity);
    if (next <= nowMs + this.#options.horizonMs) lane.dueAt = Math.min(lane.dueAt, next);
    if (count === 0 && next <= claimedAtMs) lane.holdUntil = nowMs + EMPTY_CLAIM_PAUSE_MS;
    this.#place(lane, nowMs);
  }

  unclaimed({ lane }: LaneClaim, nowMs: number): void {
    lane.place = "idle";
    lane.dueAt = Math.min(lane.dueAt, nowMs);
    this.#place(lane, nowMs);
  }

  finished(lane: Lane, nowMs: number): void {
    lane.running--;
    this.#held--;
    if (lane.place === "idle") this.#place(lane, nowMs);
  }

  park(lane: Lane, untilMs: number, nowMs: number): void {
    lane.holdUntil = untilMs;
    lane.dueAt = Math.min(lane.dueAt, nowMs);
    if (lane.place === "idle" || lane.place === "sleeping") this.#place(lane, nowMs);
  }

  #limitOf(lane: Lane): number {
    return Math.max(1, Math.floor(this.#options.limitOf(lane.name)));
  }

  #aheadOf(limit: number): number {
    if (this.#held >= (this.#options.aheadBelow ?? Infinity)) return 0;
    return Math.min(limit * (this.#options.aheadPerSlot ?? 0), MAX_AHEAD);
  }

  /** Jobs that may be claimed from the lane now. */
  #roomOf(lane: Lane): number {
    const limit = this.#limitOf(lane);
    return limit + this.#aheadOf(limit) - lane.running;
  }

  /** Whether a slot is free, or half of what was claimed ahead is used up: claiming one by one would cost a commit each. */
  #isHungry(lane: Lane): boolean {
    const limit = this.#limitOf(lane);
    const ahead = this.#aheadOf(limit);
    // At the half, not below it: half a batch of outcomes is when they are settled, and one commit does for both.
    return ahead > 0 ? lane.running <= limit + Math.floor(ahead / 2) : lane.running < limit;
  }

  /** After the clock was set back: a pause of a moment would have become one of an hour. */
  #liftHolds(nowMs: number): void {
    for (const lane of this.#lanes.byName.values()) {
      if (lane.holdUntil === -Infinity) continue;
      lane.holdUntil = -Infinity;
      if (lane.place === "sleeping") this.#place(lane, nowMs);
    }
  }

  /** Puts an idle or sleeping lane where its due time and its free slots say. */
  #place(lane: Lane, nowMs: number): void {
    if (lane.place === "sleeping") this.#wheel.cancel(lane.timer);
    lane.place = "idle";
    if (lane.dueAt === Infinity) {
      if (lane.running === 0) this.#lanes.remove(lane);
      return;
    }
    const wakeAt = Math.max(lane.dueAt, lane.holdUntil);
    if (wakeAt > nowMs) {
      lane.place = "sleeping";
      lane.timer = this.#wheel.add(wakeAt, lane.id);
    } else if (this.#isHungry(lane)) {
      lane.place = "ready";
      this.#ring.push(lane);
    }
    // A full lane stays idle: the next handler that ends places it again.
  }
}

export function createLaneSchedule(options: LaneScheduleOptions): LaneSchedule {
  return new Schedule(options);
}
