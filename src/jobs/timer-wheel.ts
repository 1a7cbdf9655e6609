// A hierarchical timer wheel (Varghese & Lauck 1987): adding and cancelling cost the same however many timers wait, and
// stretches without timers are skipped. A timer never fires before it is due, and time is only what `advance` is told.
//
// A timer lives on the lowest level whose 256 slots share the higher digits of the wheel's time. So every timer of a
// level is due before every timer of the level above, and the first slot in use of the lowest level in use comes next.

import { BEYOND, FIRING, LATE, LEVELS, MAX_NODES, NONE, SLOT_BITS, SLOTS, TimerRings } from "./timer-rings.ts";

/** Ticks that the levels can tell apart; what is due in a later block of this size waits in a list. */
const BLOCK_TICKS = 2 ** (SLOT_BITS * LEVELS);
/** Above it `due` and `tick` would lose their last bits; ten times longer than any date can be away. */
const MAX_TICK = 2 ** 52;

/** Names one timer; never reused for another one within 2^26 uses of its place. */
export type TimerHandle = number;

export interface TimerWheelOptions {
  /** The wheel's time at creation, in the milliseconds that `add` and `advance` use. */
  readonly startMs: number;
  /** @default 1 */
  readonly tickMs?: number;
}

/** A set of timers, each with a 32-bit integer of the caller's. Times are milliseconds on the caller's clock. */
export interface TimerWheel {
  readonly size: number;
  /** Adds a timer; one that is due already fires at the next `advance`. */
  add(dueMs: number, value: number): TimerHandle;
  /** Whether the timer was still waiting. */
  cancel(handle: TimerHandle): boolean;
  /**
   * Moves the wheel to `nowMs` and tells of each timer that is due, in order of its tick, at most `limit` of them.
   * Answers how many. A `nowMs` that lies before the wheel's time (a clock set back) sorts all timers anew.
   */
  advance(nowMs: number, onExpired: (value: number, dueMs: number) => void, limit?: number): number;
  /**
   * When to call `advance` next: never later than the earliest timer, and exact once that is less than 256 ticks away.
   * Not after the wheel's time when timers wait that are due already. Undefined when the wheel is empty.
   */
  nextExpiry(): number | undefined;
}

/** What comes next: a slot, the tick it starts at, and its level. */
interface NextSlot {
  readonly list: number;
  readonly level: number;
  readonly tick: number;
}

class Wheel implements TimerWheel {
  readonly #rings: TimerRings = new TimerRings();
  readonly #tickMs: number;
  #originMs: number;
  /** Everything due at or before this tick has fired, or waits in LATE or FIRING. */
  #tick = 0;
  /** The first tick of the block that `#tick` is in: a division saved per timer. */
  #block = 0;

  constructor(options: TimerWheelOptions) {
    this.#tickMs = options.tickMs ?? 1;
    this.#originMs = options.startMs;
  }

  get size(): number {
    return this.#rings.size;
  }

  add(dueMs: number, value: number): TimerHandle {
    if (Number.isNaN(dueMs)) throw new RangeError("Cannot add a timer that is due at: NaN");
    const node = this.#rings.allocate(dueMs, value);
    this.#place(node);
    return (this.#rings.generation[node] as number) * MAX_NODES + node;
  }

  cancel(handle: TimerHandle): boolean {
    const node = handle % MAX_NODES;
    if (!this.#rings.isWaiting(node, Math.floor(handle / MAX_NODES))) return false;
    this.#rings.unlink(node);
    this.#rings.release(node);
    return true;
  }

  advance(nowMs: number, onExpired: (value: number, dueMs: number) => void, limit = Infinity): number {
    if (!Number.isFinite(nowMs)) throw new RangeError(`Cannot move the wheel to: ${nowMs}`);
    const target = Math.min(Math.floor((nowMs - this.#originMs) / this.#tickMs), MAX_TICK);
    if (target < this.#tick) {
      this.#rebase(nowMs);
      return this.advance(nowMs, onExpired, limit);
    }
    // What a callback adds for a time gone by lands in LATE and waits for the next call: no callback can loop in here.
    this.#rings.splice(LATE, FIRING);
    let fired = this.#fire(onExpired, limit);
    while (fired < limit) {
      const slot = this.#nextSlot();
      if (!slot || slot.tick > target) break;
      this.#enter(slot, target);
      fired += this.#fire(onExpired, limit - fired);
    }
    if (this.#rings.isEmpty(FIRING)) this.#settleAt(target, fired < limit);
    return fired;
  }

  nextExpiry(): number | undefined {
    if (this.size === 0) return undefined;
    if (!this.#rings.isEmpty(LATE) || !this.#rings.isEmpty(FIRING)) return this.#msOf(this.#tick);
    const slot = this.#nextSlot();
    return slot && this.#msOf(slot.tick);
  }

  #moveTo(tick: number): void {
    this.#tick = tick;
    this.#block = tick - (tick % BLOCK_TICKS);
  }

  #msOf(tick: number): number {
    return this.#originMs + tick * this.#tickMs;
  }

  #tickOf(dueMs: number): number {
    return Math.min(Math.ceil((dueMs - this.#originMs) / this.#tickMs), MAX_TICK);
  }

  #place(node: number): void {
    const rings = this.#rings;
    const tick = this.#tickOf(rings.due[node] as number);
    if (tick <= this.#tick) return rings.append(LATE, node);
    this.#placeAhead(node, tick);
  }

  /** For a tick that has not begun, or is being entered. */
  #placeAhead(node: number, tick: number): void {
    const low = tick - this.#block;
    if (low >= BLOCK_TICKS) return this.#rings.append(BEYOND, node);
    const differing = (low ^ (this.#tick - this.#block)) >>> 0;
    const level = differing === 0 ? 0 : (31 - Math.clz32(differing)) >>> 3;
    this.#rings.append(level * SLOTS + ((low >>> (level * SLOT_BITS)) & (SLOTS - 1)), node);
  }

  #nextSlot(): NextSlot | undefined {
    const block = this.#block;
    const low = this.#tick - block;
    for (let level = 0; level < LEVELS; level++) {
      const shift = level * SLOT_BITS;
      const slot = this.#rings.slotFrom(level, (low >>> shift) & (SLOTS - 1));
      if (slot === NONE) continue;
      const span = 2 ** (shift + SLOT_BITS);
      return { list: level * SLOTS + slot, level, tick: block + Math.floor(low / span) * span + slot * 2 ** shift };
    }
    if (this.#rings.isEmpty(BEYOND)) return undefined;
    return { list: BEYOND, level: LEVELS, tick: block + BLOCK_TICKS };
  }

  /** Moves the wheel to the start of `slot`: timers of that very tick fire, the others move to a lower level. */
  #enter(slot: NextSlot, target: number): void {
    const rings = this.#rings;
    if (slot.level === 0) {
      this.#moveTo(slot.tick);
      rings.splice(slot.list, FIRING);
      return;
    }
    this.#moveTo(slot.level === LEVELS ? this.#nextBlock(target) : slot.tick);
    // The timers of a later block go back into the same list: one round, up to the node that is the last now.
    const last = rings.prev[slot.list] as number;
    let node: number;
    do {
      node = rings.first(slot.list);
      rings.unlink(node);
      this.#placeAhead(node, this.#tickOf(rings.due[node] as number));
    } while (node !== last);
  }

  /** The start of the block that the earliest timer beyond is in, or of the block of `target` when that is earlier. */
  #nextBlock(target: number): number {
    const rings = this.#rings;
    let earliest = target;
    for (let node = rings.first(BEYOND); node !== BEYOND; node = rings.next[node] as number) {
      earliest = Math.min(earliest, this.#tickOf(rings.due[node] as number));
    }
    return earliest - (earliest % BLOCK_TICKS);
  }

  #fire(onExpired: (value: number, dueMs: number) => void, limit: number): number {
    const rings = this.#rings;
    let fired = 0;
    while (fired < limit && !rings.isEmpty(FIRING)) {
      const node = rings.first(FIRING);
      const value = rings.value[node] as number;
      const dueMs = rings.due[node] as number;
      rings.unlink(node);
      rings.release(node);
      fired++;
      onExpired(value, dueMs);
    }
    return fired;
  }

  /** Skips the empty stretch up to `target`; the digits change, so nothing may wait on a slot that they pass. */
  #settleAt(target: number, reached: boolean): void {
    if (!reached) {
      const slot = this.#nextSlot();
      if (slot && slot.tick <= target) return;
    }
    this.#moveTo(target);
  }

  /** Starts again at `nowMs` with every timer sorted anew; O(timers), for a clock that was set back. */
  #rebase(nowMs: number): void {
    const rings = this.#rings;
    for (let list = 0; list < LATE; list++) rings.splice(list, FIRING);
    rings.splice(LATE, FIRING);
    rings.splice(BEYOND, FIRING);
    this.#originMs = nowMs;
    this.#moveTo(0);
    while (!rings.isEmpty(FIRING)) {
      const node = rings.first(FIRING);
      rings.unlink(node);
      this.#place(node);
    }
  }
}

/** @throws RangeError when `tickMs` is not above 0. */
export function createTimerWheel(options: TimerWheelOptions): TimerWheel {
  if (options.tickMs !== undefined && !(options.tickMs > 0)) {
    throw new RangeError(`Cannot turn a wheel by ticks of: ${options.tickMs}`);
  }
  return new Wheel(options);
}
