// Loaders that are under way, one per key. A flight that is called off goes on for those who wait for it, and nobody else
// joins it or keeps what it brings.

export interface Flight<T> {
  readonly result: Promise<T>;
  readonly startedAt: number;
}

/** After this many milliseconds a loader that has not answered no longer keeps others from loading. */
const PATIENCE_MS = 30_000;

export class Flights<T> {
  readonly #byKey = new Map<string, Flight<T>>();

  /** What a flight for `key` brings: of the one that is under way, or of a new one. */
  join(key: string, nowMs: number, load: (isCurrent: () => boolean) => Promise<T>): Promise<T> {
    const known = this.#byKey.get(key);
    if (known && nowMs - known.startedAt < PATIENCE_MS) return known.result;
    const { promise: result, resolve, reject } = Promise.withResolvers<T>();
    const flight: Flight<T> = { result, startedAt: nowMs };
    this.#byKey.set(key, flight);
    const isCurrent = (): boolean => this.#byKey.get(key) === flight;
    const land = (): void => {
      if (isCurrent()) this.#byKey.delete(key);
    };
    load(isCurrent).then(resolve, reject);
    result.then(land, land);
    return result;
  }

  callOff(key: string): void {
    if (this.#byKey.size > 0) this.#byKey.delete(key);
  }

  callOffPrefix(prefix: string): void {
    for (const key of this.#byKey.keys()) if (key.startsWith(prefix)) this.#byKey.delete(key);
  }
}
