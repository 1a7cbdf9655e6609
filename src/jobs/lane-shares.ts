// How many of an engine's places one lane may hold. Lanes whose attempts end soon may hold all that they can use; those that
// take long share a quarter of the places once it gets crowded, so that a thousand receivers that hang leave room for the
// others. Pure: time is an argument.

/** What a lane's last attempt was like; nothing is known of a `new` one. */
export type LaneManner = "new" | "quick" | "slow";

/** What a share is reckoned from. */
export interface SharingLane {
  readonly name: string;
  readonly manner: LaneManner;
  /** Places that it holds. */
  readonly running: number;
  /** Places that it holds for jobs that are being claimed. */
  readonly reserved: number;
}

/** An attempt that took longer was slow. */
const SLOW_MS = 1_000;
/** How long it is remembered of a lane that has nothing more to do. */
const REMEMBERED_MS = 600_000;
const MAX_REMEMBERED = 10_000;
/** Of its limit, what a slow lane may hold when it is crowded, and a new one when it is getting so. */
const CROWDED_PART = 1 / 8;
const FILLING_PART = 1 / 4;
/** Of the places, what a new lane may claim ahead. */
const UNTRIED_AHEAD_PART = 1 / 64;

function partOf(limit: number, part: number): number {
  return Math.max(1, Math.floor(limit * part));
}

export class LaneShares {
  /** Places held by all lanes together. */
  held = 0;
  #slowHeld = 0;
  readonly #capacity: number;
  /** Until when a lane is remembered as slow. */
  readonly #slowUntil: Map<string, number> = new Map();

  /** @param capacity places of the engine; Infinity lets every lane have its limit. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether slow lanes may hold more than they do. */
  get hasRoomForSlow(): boolean {
    return this.#slowHeld < this.#capacity / 4;
  }

  /** Of a lane that was forgotten, or never known. */
  mannerOf(name: string, nowMs: number): LaneManner {
    const until = this.#slowUntil.get(name);
    if (until === undefined) return "new";
    if (until > nowMs) return "slow";
    this.#slowUntil.delete(name);
    return "new";
  }

  /** Places that the lane may hold, of the `limit` that its handler allows. */
  shareOf({ manner, running }: SharingLane, limit: number): number {
    if (manner === "quick" || this.held < this.#capacity / 4) return limit;
    if (manner === "slow") return this.hasRoomForSlow ? partOf(limit, CROWDED_PART) : running;
    return partOf(limit, this.held < this.#capacity / 2 ? FILLING_PART : CROWDED_PART);
  }

  /** Jobs that may be claimed ahead of their turn: they hold places for as long as the ones before them run. */
  aheadOf({ manner }: SharingLane): number {
    if (manner === "quick") return Infinity;
    return manner === "new" && this.held < this.#capacity / 4 ? Math.floor(this.#capacity * UNTRIED_AHEAD_PART) : 0;
  }

  /** The lane took places. */
  took({ manner }: SharingLane, count: number): void {
    this.held += count;
    if (manner === "slow") this.#slowHeld += count;
  }

  /** The lane gave one place back. @returns its manner from now on. @param ranMs null when nothing was run. */
  gaveBack(lane: SharingLane, ranMs: number | null, nowMs: number): LaneManner {
    this.took(lane, -1);
    const manner = ranMs === null ? lane.manner : ranMs >= SLOW_MS ? "slow" : "quick";
    if (manner !== lane.manner) this.#change(lane, manner);
    if (manner === "slow") this.#remember(lane.name, nowMs);
    return manner;
  }

  #change({ name, manner, running, reserved }: SharingLane, next: LaneManner): void {
    const others = running + reserved - 1;
    if (next === "slow") this.#slowHeld += others;
    if (manner !== "slow") return;
    this.#slowHeld -= others;
    this.#slowUntil.delete(name);
  }

  #remember(name: string, nowMs: number): void {
    // Behind the others: the one that goes first was slow longest ago.
    this.#slowUntil.delete(name);
    this.#slowUntil.set(name, nowMs + REMEMBERED_MS);
    const oldest = this.#slowUntil.size > MAX_REMEMBERED ? this.#slowUntil.keys().next() : undefined;
    if (oldest?.done === false) this.#slowUntil.delete(oldest.value);
  }
}
