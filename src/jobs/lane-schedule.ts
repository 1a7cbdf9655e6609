// Which lanes are due, and how much may be claimed from each. Pure: time is an argument. The wheel holds lanes, not jobs:
// a lane with a million sleeping jobs is one entry, and losing an entry delays a lane until the next refresh, no more.

import { type Lane, LaneTable, ReadyRing } from "./lane.ts";
import { LaneShares } from "./lane-shares.ts";
import { createTimerWheel, type TimerWheel } from "./timer-wheel.ts";

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
  /** Places of all lanes together; lanes share them as {@link LaneShares} says. @default no bound */
  readonly capacity?: number;
  /**
   * Milliseconds between the starts of two jobs of the lane; 0 when there is no need. Asked before each claim. A lane with
   * an interval is not claimed ahead. @default none has one
   */
  readonly intervalOf?: (lane: string) => number;
  /**
   * Whether the lane is served here. One that is not is neither learned nor claimed, and forgotten at the next chance; when it
   * comes to be, it is learned from then on. @default every lane
   */
  readonly isServed?: (lane: string) => boolean;
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
  /**
   * Takes a place in a lane of which nothing is due or under way, without a job. Undefined when there is something, or the
   * lane is paced, slow or not served here, or half of all places are held: whoever comes with a job waits its turn.
   */
  enter(lane: string, nowMs: number): Lane | undefined;
  /** A job of the lane is not held any more, after its handler ran for `ranMs`; null when none did. */
  finished(lane: Lane, nowMs: number, ranMs?: number | null): void;
  /** Leaves the lane alone until `untilMs` and looks again then. */
  park(lane: Lane, untilMs: number, nowMs: number): void;
}

/**
 * A lane has something due and yet gives nothing while another process holds its rows: asking again at once would spin.
 */
const EMPTY_CLAIM_PAUSE_MS = 50;
/** A lane that wants shorter intervals gets several jobs at once: each claim costs a commit. */
const PACE_STEP_MS = 20;

class Schedule implements LaneSchedule {
  readonly #options: LaneScheduleOptions;
  readonly #wheel: TimerWheel;
  readonly #lanes: LaneTable = new LaneTable();
  readonly #ring: ReadyRing = new ReadyRing();
  /** Lanes with something due that may hold no more places for now. */
  readonly #crowd: ReadyRing = new ReadyRing();
  readonly #shares: LaneShares;
  #nowMs: number;

  constructor(options: LaneScheduleOptions) {
    this.#options = options;
    this.#nowMs = options.startMs;
    this.#wheel = createTimerWheel({ startMs: options.startMs });
    this.#shares = new LaneShares(options.capacity ?? Infinity);
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
    if (dueAt > nowMs + this.#options.horizonMs || !this.#isServed(name)) return;
    const lane = this.#lanes.byName.get(name) ?? this.#lanes.add(name, this.#shares.mannerOf(name, nowMs));
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
    const denied: Lane[] = [];
    for (let left = lanes; left > 0; left--) {
      const lane = this.#ring.shift();
      if (!lane) break;
      if (!this.#isServed(lane.name)) {
        this.#letGo(lane, nowMs);
        continue;
      }
      const limit = Math.min(this.#roomOf(lane), this.#paceOf(lane), Math.ceil(jobs / left));
      if (limit < 1 && lane.running === 0) {
        denied.push(lane);
        continue;
      }
      if (limit < 1 || this.#heldUntil(lane) > nowMs) {
        lane.place = "idle";
        this.#place(lane, nowMs);
        continue;
      }
      jobs -= limit;
      this.#reserve(lane, limit);
      lane.place = "claiming";
      // From here on only hints that come while the claim is under way count: it takes whatever was known before.
      lane.dueAt = Infinity;
      claims.push({ lane, limit });
    }
    // Where they were: behind the others some would never have their turn.
    for (const lane of denied) lane.place = "crowded";
    this.#crowd.unshift(denied);
    return claims;
  }

  claimed({ claim: { lane, limit }, count, nextDueAt, claimedAtMs }: LaneClaimed, nowMs: number): void {
    lane.place = "idle";
    this.#reserve(lane, 0);
    this.#shares.took(lane, count);
    lane.running += count;
    const next = count === limit ? nowMs : (nextDueAt ?? Infinity);
    if (next <= nowMs + this.#options.horizonMs) lane.dueAt = Math.min(lane.dueAt, next);
    if (count === 0 && next <= claimedAtMs) lane.holdUntil = nowMs + EMPTY_CLAIM_PAUSE_MS;
    if (count > 0) {
      lane.pacedAt = nowMs;
      lane.pacedJobs = count;
    }
    this.#place(lane, nowMs);
    this.#admit();
  }

  unclaimed({ lane }: LaneClaim, nowMs: number): void {
    lane.place = "idle";
    this.#reserve(lane, 0);
    lane.dueAt = Math.min(lane.dueAt, nowMs);
    this.#place(lane, nowMs);
  }

  enter(name: string, nowMs: number): Lane | undefined {
    const { capacity = Infinity, intervalOf } = this.#options;
    const known = this.#lanes.byName.get(name);
    const manner = known?.manner ?? this.#shares.mannerOf(name, nowMs);
    if (known && (known.place !== "idle" || known.running > 0 || known.dueAt < Infinity)) return undefined;
    if (manner === "slow" || this.#shares.held >= capacity / 2) return undefined;
    if (!this.#isServed(name) || (intervalOf?.(name) ?? 0) > 0) return undefined;
    const lane = known ?? this.#lanes.add(name, manner);
    this.#shares.took(lane, 1);
    lane.running++;
    return lane;
  }

  finished(lane: Lane, nowMs: number, ranMs: number | null = null): void {
    lane.manner = this.#shares.gaveBack(lane, ranMs, nowMs);
    lane.running--;
    if (lane.place === "idle") this.#place(lane, nowMs);
    this.#admit();
  }

  park(lane: Lane, untilMs: number, nowMs: number): void {
    lane.holdUntil = untilMs;
    lane.dueAt = Math.min(lane.dueAt, nowMs);
    if (lane.place === "idle" || lane.place === "sleeping") this.#place(lane, nowMs);
  }

  #isServed(lane: string): boolean {
    return this.#options.isServed?.(lane) ?? true;
  }

  /** Of a lane that is not served here any more nothing is due here. Its turn goes to the next. */
  #letGo(lane: Lane, nowMs: number): void {
    lane.place = "idle";
    lane.dueAt = Infinity;
    this.#place(lane, nowMs);
    this.#admit();
  }

  #limitOf(lane: Lane): number {
    return Math.max(1, Math.floor(this.#options.limitOf(lane.name)));
  }

  /** Places for what a claim may bring: those that are taken with it share with this lane already. */
  #reserve(lane: Lane, count: number): void {
    this.#shares.took(lane, count - lane.reserved);
    lane.reserved = count;
  }

  /** The end of the pause that the lane makes, whatever is due. */
  #heldUntil(lane: Lane): number {
    const intervalMs = this.#intervalOf(lane);
    return Math.max(lane.holdUntil, intervalMs > 0 ? lane.pacedAt + lane.pacedJobs * intervalMs : -Infinity);
  }

  #intervalOf(lane: Lane): number {
    return Math.max(0, this.#options.intervalOf?.(lane.name) ?? 0);
  }

  /** Jobs that may start at once. */
  #paceOf(lane: Lane): number {
    const intervalMs = this.#intervalOf(lane);
    return intervalMs > 0 ? Math.ceil(PACE_STEP_MS / intervalMs) : Infinity;
  }

  #aheadOf(lane: Lane, limit: number): number {
    if (this.#shares.held >= (this.#options.aheadBelow ?? Infinity)) return 0;
    if (this.#intervalOf(lane) > 0) return 0;
    return Math.min(limit * (this.#options.aheadPerSlot ?? 0), MAX_AHEAD, this.#shares.aheadOf(lane));
  }

  /** Jobs that may be claimed from the lane now. */
  #roomOf(lane: Lane): number {
    const limit = this.#shares.shareOf(lane, this.#limitOf(lane));
    return limit + this.#aheadOf(lane, limit) - lane.running;
  }

  /** Whether a slot is free, or half of what was claimed ahead is used up: claiming one by one would cost a commit each. */
  #isHungry(lane: Lane): boolean {
    const limit = this.#shares.shareOf(lane, this.#limitOf(lane));
    const ahead = this.#aheadOf(lane, limit);
    // At the half, not below it: half a batch of outcomes is when they are settled, and one commit does for both.
    return ahead > 0 ? lane.running <= limit + Math.floor(ahead / 2) : lane.running < limit;
  }

  /** After the clock was set back: a pause of a moment would have become one of an hour. */
  #liftHolds(nowMs: number): void {
    for (const lane of this.#lanes.byName.values()) {
      lane.holdUntil = -Infinity;
      lane.pacedAt = -Infinity;
      if (lane.place === "sleeping") this.#place(lane, nowMs);
    }
  }

  /** Puts an idle or sleeping lane where its due time and its free slots say. */
  #place(lane: Lane, nowMs: number): void {
    if (lane.place === "sleeping") this.#wheel.cancel(lane.timer);
    lane.place = "idle";
    if (lane.dueAt === Infinity) {
      if (lane.running === 0) this.#retire(lane, nowMs);
      return;
    }
    const wakeAt = Math.max(lane.dueAt, this.#heldUntil(lane));
    if (wakeAt > nowMs) {
      this.#sleep(lane, wakeAt);
    } else if (this.#isHungry(lane)) {
      // A slow one goes behind those that have waited for longer.
      if (lane.manner !== "slow" || this.#crowd.size === 0) return this.#offer(lane);
      this.#queue(lane);
      this.#admit();
    } else if (lane.running === 0) {
      this.#queue(lane);
    }
    // A full lane stays idle: the next handler that ends places it again.
  }

  #offer(lane: Lane): void {
    lane.place = "ready";
    this.#ring.push(lane);
  }

  #queue(lane: Lane): void {
    lane.place = "crowded";
    this.#crowd.push(lane);
  }

  #sleep(lane: Lane, untilMs: number): void {
    lane.place = "sleeping";
    lane.timer = this.#wheel.add(untilMs, lane.id);
  }

  /** Forgets a lane that has nothing more to do, once its pause is over: what comes next has to keep it. */
  #retire(lane: Lane, nowMs: number): void {
    const heldUntil = this.#heldUntil(lane);
    if (heldUntil > nowMs) this.#sleep(lane, heldUntil);
    else this.#lanes.remove(lane);
  }

  /** Offers the lane that has waited longest for a place, when there may be one. */
  #admit(): void {
    if (!this.#shares.hasRoomForSlow) return;
    const lane = this.#crowd.shift();
    if (!lane) return;
    if (this.#isHungry(lane)) this.#offer(lane);
    else lane.place = "idle";
  }
}

export function createLaneSchedule(options: LaneScheduleOptions): LaneSchedule {
  return new Schedule(options);
}
