// The one connection that stays open: replicas hear through it of each other's work and see who is alive. News of work is a
// hint; while the connection is away, polling finds the work, leases end by themselves, and lanes that one engine serves alone
// wait.

import type { Clock } from "../../core/clock.ts";
import { earliestPerLane } from "../lane-due.ts";
import type { LaneDue } from "../store.ts";
import { PooledConnection } from "./connection-pool.ts";
import { decodeDue, encodeDue } from "./due-messages.ts";
import { type EngineMembers, ENGINES_CHANNEL } from "./engine-members.ts";
import type { PostgresConnection } from "./postgres-client.ts";
import { createAbsenceWatch, endWhenSilent, enterStore, holdPresence, readPresence } from "./presence.ts";

const CHANNEL = "pylon_due";
/** News within this time is sent together. */
const GATHER_MS = 15;
/** Lanes of which news is kept while the channel is down; of more than these one hears by looking. */
const MAX_KEPT = 1_000;
/** How often the connection is used, so that a dead one is noticed, and how long an answer may take. */
const BEAT_MS = 1_500;
const ANSWER_MS = 5_000;
const FIRST_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 3_000;

export interface ReplicaChannelOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** The engines that live here. */
  readonly engines: EngineMembers;
  readonly connect: (events: {
    readonly onNotify: (channel: string, payload: string) => void;
    readonly onClosed: () => void;
  }) => Promise<PostgresConnection>;
  /** Another replica has work ready. */
  readonly onDue: (due: readonly LaneDue[]) => void;
  /** News may have been missed: look. */
  readonly onGap: () => void;
  /** There are owners that are gone, and what they have left. Told again while it is so. */
  readonly onGone: () => void;
}

export interface ReplicaChannel {
  /** Whether no other process had the store open. */
  readonly openedAlone: boolean;
  /** Tells the others, soon. */
  publish(due: readonly LaneDue[]): void;
  /** An owner of leases lives here. */
  hold(owners: ReadonlySet<string>): void;
  /** Owners whose leases are left-overs. */
  goneOwners(): readonly string[];
  close(): Promise<void>;
}

class Channel implements ReplicaChannel {
  readonly #options: ReplicaChannelOptions;
  readonly #sender = crypto.randomUUID();
  readonly #owners = new Set<string>();
  readonly #absence = createAbsenceWatch();
  #openedAlone = false;
  #connection: PooledConnection | undefined;
  #news: LaneDue[] = [];
  #gathering = false;
  #failures = 0;
  #closed = false;
  #isLooking = false;
  /** An engine has come or gone: the next look is soon. */
  #hasNewsOfEngines = false;
  #stopBeat: () => void = () => undefined;

  constructor(options: ReplicaChannelOptions) {
    this.#options = options;
  }

  get openedAlone(): boolean {
    return this.#openedAlone;
  }

  /** The first connection: it fails when the server is away. */
  async open(): Promise<void> {
    this.#openedAlone = await this.#connect();
  }

  publish(due: readonly LaneDue[]): void {
    if (this.#closed) return;
    this.#news.push(...due);
    if (this.#gathering) return;
    this.#gathering = true;
    this.#options.clock.setTimer(GATHER_MS, () => this.#send());
  }

  hold(owners: ReadonlySet<string>): void {
    for (const owner of owners) {
      if (this.#owners.has(owner)) continue;
      this.#owners.add(owner);
      if (this.#connection) holdPresence(this.#connection, owner).catch(() => undefined);
    }
  }

  goneOwners(): readonly string[] {
    return this.#absence.gone(this.#options.clock.monotonic()).filter((owner) => !this.#owners.has(owner));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopBeat();
    const connection = this.#connection;
    this.#connection = undefined;
    this.#options.engines.detach();
    // Given back here, not when the server notices: whoever opens the store next is then alone.
    await connection?.query("SELECT pg_advisory_unlock_all()").catch(() => undefined);
    connection?.break();
  }

  async #connect(): Promise<boolean> {
    const { clock, connect, engines } = this.#options;
    let connection: PooledConnection | undefined;
    const raw = await connect({
      onNotify: (channel, payload) => this.#hear(channel, payload),
      onClosed: () => this.#lose(connection),
    });
    connection = new PooledConnection(raw, clock);
    try {
      await endWhenSilent(connection);
      const alone = await enterStore(connection);
      for (const owner of this.#owners) await holdPresence(connection, owner);
      await connection.query(`LISTEN ${CHANNEL}`);
      await connection.query(`LISTEN ${ENGINES_CHANNEL}`);
      if (this.#closed || connection.isBroken) throw new Error("Closed while it connected");
      this.#connection = connection;
      this.#absence.forget();
      this.#failures = 0;
      this.#isLooking = false;
      this.#hasNewsOfEngines = false;
      engines.attach(connection);
      this.#beat(connection, BEAT_MS);
      if (this.#news.length > 0) this.#send();
      return alone;
    } catch (error) {
      connection.break();
      throw error;
    }
  }

  #hear(channel: string, payload: string): void {
    if (channel === ENGINES_CHANNEL) return this.#lookSoon();
    const message = channel === CHANNEL ? decodeDue(payload) : undefined;
    if (!message || message.sender === this.#sender || this.#closed) return;
    if (message.due) this.#options.onDue(message.due);
    else this.#options.onGap();
  }

  #send(): void {
    this.#gathering = false;
    const connection = this.#connection;
    // What nobody can be told now is told when the channel is mended.
    this.#news = earliestPerLane(this.#news).slice(-MAX_KEPT);
    if (!connection) return;
    const due = this.#news;
    this.#news = [];
    for (const payload of encodeDue(this.#sender, due)) {
      connection.query(`SELECT pg_notify('${CHANNEL}', $1)`, [payload]).catch(() => this.#keep(due));
    }
  }

  #keep(due: readonly LaneDue[]): void {
    if (!this.#closed) this.#news = earliestPerLane([...due, ...this.#news]).slice(-MAX_KEPT);
  }

  #lookSoon(): void {
    if (this.#hasNewsOfEngines) return;
    this.#hasNewsOfEngines = true;
    if (this.#connection && !this.#isLooking) this.#beat(this.#connection, GATHER_MS);
  }

  #beat(connection: PooledConnection, delayMs: number): void {
    this.#stopBeat();
    this.#stopBeat = this.#options.clock.setTimer(delayMs, () => this.#look(connection));
  }

  /** Reads who is there, and again in a beat. */
  #look(connection: PooledConnection): void {
    const { clock, engines } = this.#options;
    this.#isLooking = true;
    this.#hasNewsOfEngines = false;
    const giveUp = clock.setTimer(ANSWER_MS, () => {
      connection.break();
      this.#lose(connection);
    });
    const askedMs = clock.monotonic();
    readPresence(connection)
      .then(
        ({ absentOwners, engines: members }) => {
          if (this.#connection !== connection) return;
          const answeredMs = clock.monotonic();
          this.#isLooking = false;
          this.#absence.observe(absentOwners, answeredMs);
          engines.observe({ members, askedMs, answeredMs });
          if (this.goneOwners().length > 0) this.#options.onGone();
          this.#beat(connection, this.#hasNewsOfEngines ? GATHER_MS : BEAT_MS);
        },
        () => this.#lose(connection),
      )
      .finally(giveUp);
  }

  #lose(connection: PooledConnection | undefined): void {
    if (!connection || this.#connection !== connection) return;
    connection.break();
    this.#connection = undefined;
    this.#stopBeat();
    this.#absence.forget();
    this.#options.engines.detach();
    this.#reconnect();
  }

  #reconnect(): void {
    const { clock, random, onGap } = this.#options;
    const longestMs = Math.min(MAX_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#stopBeat = clock.setTimer(longestMs * (0.5 + random() / 2), () => {
      if (this.#closed) return;
      this.#connect().then(
        () => onGap(),
        () => this.#closed || this.#reconnect(),
      );
    });
  }
}

/** Opens the channel. @throws the driver's error when the server cannot be reached */
export async function openReplicaChannel(options: ReplicaChannelOptions): Promise<ReplicaChannel> {
  const channel = new Channel(options);
  await channel.open();
  return channel;
}
