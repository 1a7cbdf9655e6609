// A lane as the schedule keeps it: what is known of it, by which name and number it is found, and the ring in which lanes wait
// for their turn.

import type { LaneManner } from "./lane-shares.ts";
import type { TimerHandle } from "./timer-wheel.ts";

/**
 * Where a lane is. `idle` lanes wait for a hint or a free slot, `sleeping` ones are on the wheel, `ready` ones in the
 * ring, a `claiming` lane is in the transaction under way, and a `crowded` one waits for others to give places back.
 */
type LanePlace = "idle" | "sleeping" | "ready" | "claiming" | "crowded";

/** A lane that has jobs under way or due within the horizon. */
export interface Lane {
  readonly name: string;
  /** Its place in the table of lanes: the wheel's value. */
  readonly id: number;
  /** Jobs of this lane that this engine holds: those whose handler runs, and those claimed ahead of their turn. */
  running: number;
  /** Jobs that the claim under way may bring. */
  reserved: number;
  place: LanePlace;
  manner: LaneManner;
  /** The earliest due time that is known; Infinity for none. Epoch milliseconds, like all times here. */
  dueAt: number;
  /** Not claimed before, whatever is due. */
  holdUntil: number;
  /** When jobs were last started, and how many: the interval behind them is the one that the lane has now. */
  pacedAt: number;
  pacedJobs: number;
  timer: TimerHandle;
}

/** Lanes in the order in which they became ready; taking from the front costs no copying. */
export class ReadyRing {
  #lanes: Lane[] = [];
  #head = 0;

  get size(): number {
    return this.#lanes.length - this.#head;
  }

  push(lane: Lane): void {
    this.#lanes.push(lane);
  }

  /** Puts lanes in front of the others. */
  unshift(lanes: readonly Lane[]): void {
    if (lanes.length === 0) return;
    this.#lanes = [...lanes, ...this.#lanes.slice(this.#head)];
    this.#head = 0;
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
export class LaneTable {
  readonly byName: Map<string, Lane> = new Map();
  readonly #byId: (Lane | undefined)[] = [];
  readonly #freeIds: number[] = [];

  byId(id: number): Lane | undefined {
    return this.#byId[id];
  }

  add(name: string, manner: LaneManner): Lane {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const times = { dueAt: Infinity, holdUntil: -Infinity, pacedAt: -Infinity, pacedJobs: 0 };
    const lane: Lane = { name, id, running: 0, reserved: 0, place: "idle", manner, ...times, timer: -1 };
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
