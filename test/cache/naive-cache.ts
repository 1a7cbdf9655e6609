// A cache that is plainly right: an array in the order of use, looked through from end to end. The model that the real one
// is compared with.

export interface NaiveEntry {
  readonly key: string;
  readonly text: string;
  readonly staleAt: number;
  readonly goneAt: number;
}

export interface NaiveOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

const utf8 = new TextEncoder();
const bytesOf = ({ key, text }: Pick<NaiveEntry, "key" | "text">): number =>
  utf8.encode(key).length + utf8.encode(text).length;

export class NaiveCache {
  /** The least recently used first. */
  entries: NaiveEntry[] = [];
  hits = 0;
  misses = 0;
  evictions = 0;
  expirations = 0;
  readonly #options: NaiveOptions;
  #sweptSecond: number | undefined;

  constructor(options: NaiveOptions) {
    this.#options = options;
  }

  get(key: string, now: number): unknown {
    const entry = this.#find(key, now);
    if (!entry || now >= entry.staleAt) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    return this.#use(entry);
  }

  /** What `fetch` would answer without waiting; undefined when it has to load. */
  getStale(key: string, now: number): unknown {
    const entry = this.#find(key, now);
    return entry && this.#use(entry);
  }

  set(key: string, value: unknown, at: { now: number; ttlMs: number; staleMs: number }): void {
    const second = Math.floor(at.now / 1_000);
    if (second !== this.#sweptSecond) this.sweep(at.now);
    const text = JSON.stringify(value);
    const isTooLarge = bytesOf({ key, text }) > this.#options.maxBytes;
    const had = this.entries.some((entry) => entry.key === key);
    this.entries = this.entries.filter((entry) => entry.key !== key);
    if (isTooLarge) this.evictions++;
    if (isTooLarge || at.ttlMs + at.staleMs <= 0) return;
    if (!had && this.entries.length >= this.#options.maxEntries) this.#evict();
    this.entries.push({ key, text, staleAt: at.now + at.ttlMs, goneAt: at.now + at.ttlMs + at.staleMs });
    while (this.bytes > this.#options.maxBytes) this.#evict();
  }

  delete(key: string, now: number): boolean {
    const had = this.#find(key, now) !== undefined;
    this.entries = this.entries.filter((entry) => entry.key !== key);
    return had;
  }

  invalidate(prefix: string, now: number): number {
    const matching = this.entries.filter((entry) => entry.key.startsWith(prefix));
    return matching.filter((entry) => this.delete(entry.key, now)).length;
  }

  sweep(now: number): void {
    this.#sweptSecond = Math.floor(now / 1_000);
    for (const entry of this.entries) this.#find(entry.key, now);
  }

  get bytes(): number {
    return this.entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
  }

  #evict(): void {
    this.entries.shift();
    this.evictions++;
  }

  #use(entry: NaiveEntry): unknown {
    this.entries = [...this.entries.filter((other) => other !== entry), entry];
    return JSON.parse(entry.text) as unknown;
  }

  #find(key: string, now: number): NaiveEntry | undefined {
    const entry = this.entries.find((candidate) => candidate.key === key);
    if (!entry || now < entry.goneAt) return entry;
    this.entries = this.entries.filter((other) => other !== entry);
    this.expirations++;
    return undefined;
  }
}
