// Brings what a cache does not hold: one loader per key, whose answer is kept unless the key changed meanwhile, and an old
// value for those who may be answered with one.

import type { Json } from "../core/json.ts";
import { copyIn, copyOut } from "./cache-input.ts";
import { Flights } from "./flights.ts";

export interface Load {
  /** Application code: may throw, may answer anything. */
  readonly loader: () => unknown;
  /** An old value to answer at once; undefined to wait for the loader. */
  readonly old: Json | undefined;
  readonly nowMs: number;
  /** Keeps what was loaded; not called when the key was called off. */
  readonly store: (value: Json) => void;
}

export class Loads {
  readonly #flights = new Flights<Json | undefined>();

  /** A copy of the old value or of what is loaded; undefined when the loader answers that. Rejects as the loader does. */
  async answer(key: string, load: Load): Promise<Json | undefined> {
    const loading = this.#flights.join(key, load.nowMs, (isCurrent) => this.#run(key, load, isCurrent));
    if (load.old === undefined) {
      const loaded = await loading;
      return loaded === undefined ? undefined : copyOut(loaded);
    }
    // Whoever is answered with the old value does not hear that the new one could not be loaded.
    loading.catch(() => undefined);
    return copyOut(load.old);
  }

  /** What is being loaded for `key` is not kept, and nobody else joins. */
  callOff(key: string): void {
    this.#flights.callOff(key);
  }

  callOffPrefix(prefix: string): void {
    this.#flights.callOffPrefix(prefix);
  }

  async #run(key: string, { loader, store }: Load, isCurrent: () => boolean): Promise<Json | undefined> {
    // Inside of an async function a loader that throws is one that rejects.
    const loaded = await loader();
    if (loaded === undefined) return undefined;
    const kept = copyIn(loaded);
    if (isCurrent()) {
      store(kept);
      // From here on the entry answers.
      this.callOff(key);
    }
    return kept;
  }
}
