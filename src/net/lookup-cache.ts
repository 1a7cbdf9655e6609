// Remembers the addresses of names for a few seconds and asks once for any number of waiting callers. Harmless to the
// guard, because what is checked is what is connected to; failures are never remembered.
import type { Clock } from "../core/clock.ts";

export interface LookupCacheOptions {
  readonly resolve: (host: string) => Promise<readonly string[]>;
  readonly clock: Clock;
  /** How long an answer is used. @default 5000 */
  readonly ttlMs?: number;
  /** Names held at once, the oldest leaving first. @default 1000 */
  readonly maxEntries?: number;
}

/** An answer, now or later, and when it is no longer used, on the monotonic clock. */
export interface Lookup {
  readonly addresses: Promise<readonly string[]>;
  readonly expiresAtMs: number;
}

/** Creates a lookup. Its `addresses` reject as `resolve` does. */
export function createLookupCache(options: LookupCacheOptions): (host: string) => Lookup {
  const { resolve, clock, ttlMs = 5000, maxEntries = 1000 } = options;
  const entries = new Map<string, Lookup>();

  const forget = (host: string, entry: Lookup): void => {
    if (entries.get(host) === entry) entries.delete(host);
  };

  const start = (host: string): Lookup => {
    // The time counts from the question, so that a lookup that hangs is asked anew by those who come later.
    const entry: Lookup = { addresses: resolve(host), expiresAtMs: clock.monotonic() + ttlMs };
    entries.delete(host);
    entries.set(host, entry);
    entry.addresses.catch(() => forget(host, entry));
    const oldest = entries.size > maxEntries ? entries.keys().next() : undefined;
    if (oldest?.done === false) entries.delete(oldest.value);
    return entry;
  };

  return (host) => {
    const known = entries.get(host);
    return known && clock.monotonic() < known.expiresAtMs ? known : start(host);
  };
}
