// A server that several processes share, as a platform's driver gives it: reading and writing texts under names, and a bus
// where the server has one. What the texts mean is `cache_client`'s business.

import type { Clock } from "../core/clock.ts";

export type SharedWrite =
  | { readonly op: "set"; readonly name: string; readonly text: string; readonly ttlMs: number }
  /** Sets what does not exist yet, without an end. */
  | { readonly op: "add"; readonly name: string; readonly text: string }
  /** Adds to the end of what exists. */
  | { readonly op: "append"; readonly name: string; readonly text: string }
  | { readonly op: "remove"; readonly name: string }
  /** To everyone who is connected, the sender included. */
  | { readonly op: "publish"; readonly text: string };

/** The server answered, and refused: asking again will not help. */
export interface ServerRefusal extends Error {
  readonly refused: true;
  /** One upper-case word, such as `OOM`; never a part of an address or of what was sent. */
  readonly reason: string;
}

export function isServerRefusal(error: unknown): error is ServerRefusal {
  return error instanceof Error && "refused" in error && error.refused === true;
}

/** Every call ends within the timeout; it rejects when the server is gone, too slow, or refuses. */
export interface SharedServer {
  /** Whether `publish` reaches anyone. */
  readonly hasBus: boolean;
  /** The texts in the order of the names, null for those that do not exist. */
  read(names: readonly string[]): Promise<readonly (string | null)[]>;
  /** In order. With a bus it is all or nothing unless it only removes, and messages go out with the change they tell of. */
  write(writes: readonly SharedWrite[]): Promise<void>;
  /** Adds 1 and answers the sum; what does not exist begins at `initial`. */
  count(name: string, initial: number): Promise<number>;
  /** Resolves when everything is released; nothing is called back any more. */
  close(): Promise<void>;
}

export interface SharedServerOptions {
  readonly backend: "redis" | "memcached";
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  /** Redis only. */
  readonly database?: number;
  readonly tls: boolean;
  readonly channel: string;
  /** Of one call. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads reconnects. */
  readonly random: () => number;
  /** Calls are possible, and messages arrive from now on. */
  readonly onUp: () => void;
  /** The connection is lost or could not be made; messages may be missed. `reason` is one word for the log. */
  readonly onDown: (reason: string) => void;
  readonly onMessage: (text: string) => void;
}

/** Begins to connect, and reconnects for as long as it is open. */
export type OpenSharedServer = (options: SharedServerOptions) => Promise<SharedServer>;
