// The engines of this process as members of the group that all engines on the database are: each holds a lock with a number
// of its own, which everyone can read. What a reading means is decided in `engine-share.ts`.

import type { Clock } from "../../core/clock.ts";
import type { EngineGroup } from "../store.ts";
import type { PooledConnection } from "./connection-pool.ts";
import { EngineShare, type Reading } from "./engine-share.ts";
import { ENGINE_NUMBERS, holdEngine, readPresence, releaseEngine } from "./presence.ts";

/** Notified when an engine has come or gone: the others look at once. */
export const ENGINES_CHANNEL = "pylon_engines";

export interface EngineMembersOptions {
  readonly clock: Clock;
  readonly random: () => number;
}

interface Member {
  readonly share: EngineShare;
  readonly onChange: () => void;
  number: number;
  /** Where its lock is held; undefined while it is not. */
  connection: PooledConnection | undefined;
  /** The taking of its lock that is under way, or was last. Never rejects. */
  taking: Promise<void>;
  /** Whether it has been a member before. */
  isBack: boolean;
  stopTimer: () => void;
}

export interface EngineMembers {
  join(onChange: () => void): EngineGroup;
  /** The connection on which locks are held from now on. */
  attach(connection: PooledConnection): void;
  /** It is gone, and its locks with it. */
  detach(): void;
  /** Who was there, as read on the connection. */
  observe(reading: Reading): void;
}

class Members implements EngineMembers {
  readonly #options: EngineMembersOptions;
  readonly #members = new Set<Member>();
  #connection: PooledConnection | undefined;

  constructor(options: EngineMembersOptions) {
    this.#options = options;
  }

  join(onChange: () => void): EngineGroup {
    const { clock, random } = this.#options;
    const member: Member = {
      share: new EngineShare(),
      onChange,
      number: Math.floor(random() * ENGINE_NUMBERS),
      connection: undefined,
      taking: Promise.resolve(),
      isBack: false,
      stopTimer: () => undefined,
    };
    this.#members.add(member);
    if (this.#connection) member.taking = this.#take(member, this.#connection);
    return {
      owns: (lane) => member.share.owns(lane, clock.monotonic()),
      leave: () => this.#leave(member),
    };
  }

  attach(connection: PooledConnection): void {
    this.#connection = connection;
    for (const member of this.#members) member.taking = this.#take(member, connection);
  }

  detach(): void {
    this.#connection = undefined;
    for (const member of this.#members) {
      this.#forget(member);
      member.connection = undefined;
      member.onChange();
    }
  }

  observe(reading: Reading): void {
    for (const member of this.#members) {
      if (member.connection) this.#moved(member, member.share.observe(reading));
    }
  }

  /** First the lock, then the look: of two that come at once, one sees the other. */
  async #take(member: Member, connection: PooledConnection): Promise<void> {
    const { clock } = this.#options;
    try {
      member.number = await holdEngine(connection, member.number);
      const askedMs = clock.monotonic();
      const { engines } = await readPresence(connection);
      if (this.#connection !== connection) return;
      member.connection = connection;
      if (!this.#members.has(member)) return;
      member.share.join(member.number, { members: engines, askedMs, answeredMs: clock.monotonic() }, member.isBack);
      member.isBack = true;
      this.#moved(member, true);
      if (engines.length > 1) await notify(connection);
    } catch {
      // Nobody knows what it holds: the next beat finds it broken, and all is taken anew on another.
      connection.break();
    }
  }

  async #leave(member: Member): Promise<void> {
    if (!this.#members.delete(member)) return;
    this.#forget(member);
    await member.taking;
    const { connection } = member;
    if (!connection) return;
    try {
      await releaseEngine(connection, member.number);
      await notify(connection);
    } catch {
      // The connection is gone, and the lock with it.
    }
  }

  #forget(member: Member): void {
    member.share.lose();
    member.stopTimer();
  }

  /** After a reading: tells of a change, and watches for the next one that time alone brings. */
  #moved(member: Member, isChange: boolean): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonic();
    const delayMs = member.share.changesAt(nowMs) - nowMs;
    member.stopTimer();
    if (delayMs < Infinity) member.stopTimer = clock.setTimer(delayMs, () => this.#moved(member, true));
    if (isChange) member.onChange();
  }
}

async function notify(connection: PooledConnection): Promise<void> {
  await connection.query(`SELECT pg_notify('${ENGINES_CHANNEL}', '')`);
}

export function createEngineMembers(options: EngineMembersOptions): EngineMembers {
  return new Members(options);
}
