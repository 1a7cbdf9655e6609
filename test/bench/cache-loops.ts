// One cache under one load, in a process of its own: caches that share a process share the compiler's guesses as well.
// `cache-loops.ts ours|lru-cache get|set|scattered|invalidate` prints what a call, or an invalidation, takes.

import process from "node:process";
import { LRUCache } from "lru-cache";
import { createLru } from "../../src/cache/lru.ts";

const ENTRIES = 10_000;
const TTL_SECS = 300;
const CALLS = 1_000_000;
const ROUNDS = 7;
const MANY = 1_000_000;
const GROUPS = 100;

interface Subject {
  get(key: string): unknown;
  set(key: string, value: string): unknown;
  invalidate(prefix: string): number;
}

function createSubject(name: string, entries: number): Subject {
  if (name === "ours") return createLru({ maxEntries: entries, defaultTtlSecs: TTL_SECS });
  const cache = new LRUCache<string, string>({ max: entries, ttl: TTL_SECS * 1_000 });
  return Object.assign(cache, {
    // What a cache without an index does.
    invalidate(prefix: string): number {
      let count = 0;
      for (const key of cache.keys()) if (key.startsWith(prefix) && cache.delete(key)) count++;
      return count;
    },
  });
}

/** Of this process: other work on the machine does not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** The best of some rounds in milliseconds; each begins with what the last one left behind done. */
async function best(round: () => void | Promise<void>): Promise<number> {
  let least = Infinity;
  for (let turn = 0; turn < ROUNDS; turn++) {
    const startedMs = cpuMs();
    await round();
    least = Math.min(least, cpuMs() - startedMs);
  }
  return least;
}

/** What the last run left for its end is done. */
const runEnds = (): Promise<void> => Promise.resolve();

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `user:${i}:profile`);

async function measureGet(subject: Subject): Promise<number> {
  const keys = keysOf(ENTRIES);
  for (const key of keys) subject.set(key, "value");
  const order = Uint32Array.from({ length: 65_536 }, (_, i) => (i * 7_919) % ENTRIES);
  let found = 0;
  const ms = await best(() => {
    for (let i = 0; i < CALLS; i++) if (subject.get(keys[order[i & 65_535] as number] as string) !== undefined) found++;
  });
  if (found !== ROUNDS * CALLS) throw new Error("A get missed");
  return (ms * 1e6) / CALLS;
}

async function measureSet(subject: Subject): Promise<number> {
  const keys = keysOf(20 * ENTRIES);
  const ms = await best(() => {
    for (let i = 0; i < CALLS; i++) subject.set(keys[i % keys.length] as string, "value");
  });
  return (ms * 1e6) / CALLS;
}

/** Every write in a run of its own, so that every entry joins the prefix index. */
async function measureScattered(subject: Subject): Promise<number> {
  const keys = keysOf(20 * ENTRIES);
  const calls = CALLS / 4;
  const ms = await best(async () => {
    for (let i = 0; i < calls; i++) {
      subject.set(keys[i % keys.length] as string, "value");
      await runEnds();
    }
  });
  return (ms * 1e6) / calls;
}

/** Milliseconds to remove 1 % of a million entries. */
async function measureInvalidate(subject: Subject): Promise<number> {
  for (let i = 0; i < MANY; i++) subject.set(`post:${i % GROUPS}:${i}`, "value");
  await runEnds();
  let group = GROUPS / 2;
  return best(() => {
    if (subject.invalidate(`post:${group++}:`) !== MANY / GROUPS) throw new Error("It removed something else");
  });
}

const LOADS: Readonly<Record<string, (subject: Subject) => Promise<number>>> = {
  get: measureGet,
  set: measureSet,
  scattered: measureScattered,
  invalidate: measureInvalidate,
};

const [name = "", load = ""] = process.argv.slice(2);
const measured = await LOADS[load]?.(createSubject(name, load === "invalidate" ? MANY : ENTRIES));
console.log(`result ${measured}`);
