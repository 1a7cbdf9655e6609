// A bounded number of connections, each used by one caller at a time. Nobody waits without end: not for a connection, not for
// a server that does not answer, not for one that was told to end.

import type { Clock } from "../../core/clock.ts";
import { storeError } from "../store-errors.ts";
import type { PostgresConnection, SqlResult, SqlValue } from "./postgres-client.ts";
import { ConnectionLost, endsConnection, toStoreError } from "./postgres-errors.ts";

/** After a failed connection attempt others fail at once for so long: a server that is away is not asked by every request. */
const DOWN_MS = 200;
const WATCH_EVERY_MS = 2_000;

/** What the last attempt to connect came to; shared by the pools of one server. */
export interface Reachability {
  /** @throws what the last attempt came to, when that was just now */
  assertUp(): void;
  note(error: unknown): void;
}

export function createReachability(clock: Clock): Reachability {
  let down: { readonly untilMs: number; readonly error: unknown } | undefined;
  return {
    assertUp() {
      if (down && clock.monotonic() < down.untilMs) throw down.error;
    },
    note(error) {
      down = error === undefined ? undefined : { untilMs: clock.monotonic() + DOWN_MS, error };
    },
  };
}

/** A connection that knows when it can no longer be trusted. */
export class PooledConnection {
  readonly #connection: PostgresConnection;
  readonly #clock: Clock;
  #broken = false;
  #underWay = 0;
  #progressMs = 0;

  constructor(connection: PostgresConnection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  get isBroken(): boolean {
    return this.#broken;
  }

  /** How long the server has owed an answer. */
  get silentMs(): number {
    return this.#underWay === 0 ? 0 : this.#clock.monotonic() - this.#progressMs;
  }

  readonly query = (sql: string, values?: readonly SqlValue[]): Promise<SqlResult> =>
    this.#tracked(() => this.#connection.query(sql, values));

  readonly script = (sql: string): Promise<void> => this.#tracked(() => this.#connection.script(sql));

  /** The transaction that was open on it is gone: a statement sent now would be on its own. */
  break(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#connection.destroy();
  }

  async #tracked<T>(send: () => Promise<T>): Promise<T> {
    if (this.#broken) throw new ConnectionLost();
    if (this.#underWay === 0) this.#progressMs = this.#clock.monotonic();
    this.#underWay += 1;
    try {
      return await send();
    } catch (error) {
      if (endsConnection(error)) this.break();
      throw error;
    } finally {
      this.#underWay -= 1;
      this.#progressMs = this.#clock.monotonic();
    }
  }
}

export interface ConnectionPoolOptions {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /** The longest that a caller waits for a connection. */
  readonly waitMs: number;
  /** A connection that owes an answer for longer is given up. */
  readonly silenceMs: number;
  readonly clock: Clock;
  readonly reachability: Reachability;
  /** Opens a connection; `onClosed` is called when it has gone by itself. */
  readonly connect: (onClosed: () => void) => Promise<PostgresConnection>;
}

export interface ConnectionPool {
  /** How many connections there are at most; when all of them died while idle, so many uses find that out. */
  readonly size: number;
  /** @throws STORE_BUSY when none is free in time, STORE_UNAVAILABLE when the server cannot be reached */
  use<T>(run: (connection: PooledConnection) => Promise<T>): Promise<T>;
  /** Connections in use and callers that wait for one. */
  readonly load: { readonly used: number; readonly waiting: number };
  /** Resolves when nothing is in use; waits for what is. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (connection: PooledConnection) => void;
  readonly reject: (error: unknown) => void;
}

class Pool implements ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #idle: PooledConnection[] = [];
  readonly #used = new Set<PooledConnection>();
  readonly #waiting: Waiting[] = [];
  readonly #drained: (() => void)[] = [];
  #opening = 0;
  #closed = false;
  #stopWatching: () => void = () => undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#watch();
  }

  get size(): number {
    return this.#options.size;
  }

  get load(): { readonly used: number; readonly waiting: number } {
    return { used: this.#used.size, waiting: this.#waiting.length };
  }

  async use<T>(run: (connection: PooledConnection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    try {
      return await run(connection);
    } finally {
      this.#release(connection);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#used.size + this.#opening + this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#drained.push(resolve));
    }
    this.#stopWatching();
    for (const connection of this.#idle.splice(0)) connection.break();
  }

  #acquire(): Promise<PooledConnection> {
    if (this.#closed) return Promise.reject(storeError("STORE_CLOSED"));
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      if (idle.isBroken) continue;
      this.#used.add(idle);
      return Promise.resolve(idle);
    }
    return this.#used.size + this.#opening < this.#options.size ? this.#open() : this.#wait();
  }

  async #open(): Promise<PooledConnection> {
    const { clock, connect, reachability } = this.#options;
    reachability.assertUp();
    this.#opening += 1;
    let opened: PooledConnection | undefined;
    try {
      opened = new PooledConnection(await connect(() => opened?.break()), clock);
      reachability.note(undefined);
      this.#used.add(opened);
      return opened;
    } catch (error) {
      const coded = toStoreError(error);
      reachability.note(coded);
      throw coded;
    } finally {
      this.#opening -= 1;
      if (!opened) this.#serveNext();
    }
  }

  #wait(): Promise<PooledConnection> {
    const { clock, waitMs, size, name } = this.#options;
    return new Promise((resolve, reject) => {
      const cancel = clock.setTimer(waitMs, () => {
        const place = this.#waiting.indexOf(waiting);
        if (place < 0) return;
        this.#waiting.splice(place, 1);
        const message = `All ${size} connections for ${name} are in use`;
        reject(storeError("STORE_BUSY", { message, retryAfterSecs: 1 }));
      });
      const waiting: Waiting = {
        resolve: (connection) => {
          cancel();
          resolve(connection);
        },
        reject: (error) => {
          cancel();
          reject(error);
        },
      };
      this.#waiting.push(waiting);
    });
  }

  #release(connection: PooledConnection): void {
    this.#used.delete(connection);
    if (!connection.isBroken) this.#idle.push(connection);
    this.#serveNext();
  }

  /** A place is free: whoever waits longest gets it. */
  #serveNext(): void {
    const next = this.#waiting.shift();
    if (next) {
      // A closing pool still serves those who asked before it closed.
      const idle = this.#idle.pop();
      if (idle && !idle.isBroken) {
        this.#used.add(idle);
        next.resolve(idle);
      } else this.#open().then(next.resolve, next.reject);
      return;
    }
    if (this.#closed && this.#used.size + this.#opening === 0) for (const drained of this.#drained.splice(0)) drained();
  }

  #watch(): void {
    const { clock, silenceMs } = this.#options;
    this.#stopWatching = clock.setTimer(WATCH_EVERY_MS, () => {
      for (const connection of this.#used) if (connection.silentMs > silenceMs) connection.break();
      if (!this.#closed || this.#used.size > 0) this.#watch();
    });
  }
}

/** Creates a pool; it connects when it is used. */
export function createConnectionPool(options: ConnectionPoolOptions): ConnectionPool {
  return new Pool(options);
}
