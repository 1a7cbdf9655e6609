// Which lanes one engine owns, by what it has read of who is there. Pure: times are arguments, milliseconds of a monotonic
// clock. Two engines do not own a lane at once, also when one of them has lost the others and does not know it:
//
// - What was read is believed for a while only. An engine whose connection is dead, and whose place others take, has stopped
//   before they begin.
// - A lane is owned when every membership that somebody may still believe in gives it to this engine: one that is gained is
//   owned when the old membership has been over for longer than anyone believes, one that is lost is let go at once.

import { createLaneOwner, type LaneOwner } from "./lane-owner.ts";

/** How long a reading is believed, from when it was asked for: two beats. */
export const BELIEVED_MS = 3_000;
/** How long a membership counts when it was found to be over. Longer than it is believed: attempts that are just beginning begin. */
export const HANDOVER_MS = 3_500;

/** Who was there: asked at one time, answered at another. */
export interface Reading {
  readonly members: readonly number[];
  readonly askedMs: number;
  readonly answeredMs: number;
}

const NOBODY: LaneOwner = () => undefined;

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((member) => other.includes(member));
}

export class EngineShare {
  #member: number | undefined;
  #members: readonly number[] = [];
  #ownerOf: LaneOwner = NOBODY;
  #believedUntilMs = -Infinity;
  /** Memberships that are over and may still be believed in. */
  #past: { readonly ownerOf: LaneOwner; readonly untilMs: number }[] = [];

  /**
   * The first reading behind becoming a member. Others in it do not know of this one yet. Who `isBack` was a member before
   * and lost touch: those whom it does not see may have lost touch as well, and not know it yet.
   */
  join(member: number, reading: Reading, isBack: boolean): void {
    const isAlone = !isBack && reading.members.every((other) => other === member);
    this.#member = member;
    this.#past = isAlone ? [] : [{ ownerOf: NOBODY, untilMs: reading.answeredMs + HANDOVER_MS }];
    this.#believe(reading);
  }

  /** A later reading. Answers whether `owns` may answer otherwise than before it. */
  observe(reading: Reading): boolean {
    const hadLapsed = reading.answeredMs >= this.#believedUntilMs;
    const isNew = !isSame(reading.members, this.#members);
    if (isNew) {
      this.#past = this.#past.filter(({ untilMs }) => untilMs > reading.answeredMs);
      this.#past.push({ ownerOf: this.#ownerOf, untilMs: reading.answeredMs + HANDOVER_MS });
      this.#believe(reading);
    } else {
      this.#believedUntilMs = reading.askedMs + BELIEVED_MS;
    }
    return isNew || hadLapsed;
  }

  /** No member any more, or it cannot be known. */
  lose(): void {
    this.#member = undefined;
    this.#believedUntilMs = -Infinity;
  }

  owns(lane: string, nowMs: number): boolean {
    if (this.#member === undefined || nowMs >= this.#believedUntilMs) return false;
    if (this.#ownerOf(lane) !== this.#member) return false;
    return this.#past.every(({ ownerOf, untilMs }) => untilMs <= nowMs || ownerOf(lane) === this.#member);
  }

  /** When `owns` may come to answer otherwise if nothing is read until then; Infinity for never. */
  changesAt(nowMs: number): number {
    const times = [this.#believedUntilMs, ...this.#past.map(({ untilMs }) => untilMs)];
    return Math.min(...times.filter((time) => time > nowMs));
  }

  #believe({ members, askedMs }: Reading): void {
    this.#members = members;
    this.#ownerOf = createLaneOwner(members);
    this.#believedUntilMs = askedMs + BELIEVED_MS;
  }
}
