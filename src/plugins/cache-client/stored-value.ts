// A value as it lies in the shared server: one line about its time, then its JSON. Written by another process, perhaps of
// another version: what does not parse is a miss.

import { utf8Length } from "../../cache/cache-input.ts";
import { isObject, type Json } from "../../core/json.ts";

export interface Lifetime {
  readonly ttlMs: number;
  /** How much longer `fetch` may answer it. */
  readonly staleMs: number;
}

export interface StoredValue extends Lifetime {
  readonly value: Json;
  /** What was known of the server's count of invalidations when the value came to be. */
  readonly stamp: number;
  /** Epoch milliseconds of the writer's clock. */
  readonly writtenAt: number;
}

/** What a message may carry along; larger values are read from the server by whoever wants them. */
const MAX_CARRIED_BYTES = 65_536;

export function encodeValue({ value, stamp, writtenAt, ttlMs, staleMs }: StoredValue): string {
  return `${JSON.stringify({ stamp, writtenAt, ttlMs, staleMs })}\n${JSON.stringify(value)}`;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

export function decodeValue(text: string): StoredValue | undefined {
  const end = text.indexOf("\n");
  try {
    const head: unknown = JSON.parse(text.slice(0, end));
    const value = JSON.parse(text.slice(end + 1)) as Json;
    if (!isObject(head)) return undefined;
    const { stamp, writtenAt, ttlMs, staleMs } = head;
    const fits = isTime(stamp) && isTime(writtenAt) && isTime(ttlMs) && isTime(staleMs);
    return fits ? { value, stamp, writtenAt, ttlMs, staleMs } : undefined;
  } catch {
    return undefined;
  }
}

/** How old it is, as far as the clocks of two machines can say. */
export function ageMs({ writtenAt }: StoredValue, nowMs: number): number {
  return Math.max(0, nowMs - writtenAt);
}

export function isCarried(text: string): boolean {
  return text.length <= MAX_CARRIED_BYTES && utf8Length(text) <= MAX_CARRIED_BYTES;
}
