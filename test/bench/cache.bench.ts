// (f) The cache of one process against lru-cache, both with a time to live, and an invalidation against a full scan.
// Processes of the two take turns and the best of each counts, because other work on the machine only ever adds.

import { script } from "./bench-app.ts";
import { informative, judged, type Figure } from "./figure.ts";

const TURNS = 3;

async function measure(name: string, load: string): Promise<number> {
  return Number(await script("cache-loops.ts", [name, load]).line("result "));
}

/** The best of each, ours first. */
async function race(load: string): Promise<readonly [number, number]> {
  let [ours, theirs] = [Infinity, Infinity];
  for (let turn = 0; turn < TURNS; turn++) {
    ours = Math.min(ours, await measure("ours", load));
    theirs = Math.min(theirs, await measure("lru-cache", load));
  }
  return [ours, theirs];
}

async function against(name: string, load: string): Promise<Figure> {
  const [ours, theirs] = await race(load);
  const detail = `${ours.toFixed(0)} ns against ${theirs.toFixed(0)} ns of lru-cache, both with a TTL`;
  return judged({ name, value: theirs / ours, unit: "×", detail }, ">=", 0.8);
}

async function scattered(): Promise<Figure> {
  const [ours, theirs] = await race("scattered");
  const detail = `${ours.toFixed(0)} ns against ${theirs.toFixed(0)} ns, one per task: an await and the prefix index included`;
  return informative({ name: "cache: set, scattered", value: theirs / ours, unit: "×", detail });
}

async function invalidation(): Promise<Figure> {
  const [ours, scan] = await race("invalidate");
  const detail = `${ours.toFixed(1)} ms against ${scan.toFixed(0)} ms to remove 10,000 of 1,000,000`;
  return judged({ name: "cache: invalidate 1 %", value: scan / ours, unit: "×", detail }, ">=", 50);
}

export async function cacheBench(): Promise<Figure[]> {
  return [
    await against("cache: get, hit", "get"),
    await against("cache: set with eviction", "set"),
    await scattered(),
    await invalidation(),
  ];
}
