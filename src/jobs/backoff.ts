// How long to wait before the next attempt. Pure: the time and the dice are arguments, and every delay is a finite number
// of milliseconds, 0 or more.

/** Delays carry up to this share on top, so that what failed together is not tried together again. */
const DEFAULT_JITTER_RATIO = 0.1;
/** The longest wait that a `Retry-After` is granted. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;
/** Longer than every form of the header by far; bounds the work on what a stranger sent. */
const MAX_HEADER_CHARS = 128;

export interface ExponentialDelay {
  readonly baseMs: number;
  /** The attempt that failed, counted from 1. */
  readonly attempt: number;
  /** Uniform in [0, 1), as `Math.random`. */
  readonly random: () => number;
  /** @default 0.1 */
  readonly jitterRatio?: number;
  /** Bounds the delay before jitter: at the bound, retries still spread. */
  readonly maxMs: number;
}

function jittered(delayMs: number, ratio: number, random: () => number): number {
  return delayMs + delayMs * ratio * random();
}

/** `baseMs × 2^(attempt-1)`, at most `maxMs`, plus up to `jitterRatio` of it. Milliseconds, with a fraction. */
export function exponentialDelayMs(delay: ExponentialDelay): number {
  const exponent = Math.max(0, delay.attempt - 1);
  // A base of 0 stays 0: 0 × 2^1024 would be NaN.
  const plainMs = delay.baseMs > 0 ? Math.min(delay.baseMs * 2 ** exponent, delay.maxMs) : 0;
  return jittered(plainMs, delay.jitterRatio ?? DEFAULT_JITTER_RATIO, delay.random);
}

/**
 * The delay behind attempt `attempt` (counted from 1) of a fixed schedule in milliseconds, plus up to 10 %; undefined
 * when the schedule is exhausted.
 */
export function scheduleDelayMs(
  scheduleMs: readonly number[],
  attempt: number,
  random: () => number,
): number | undefined {
  const delayMs = scheduleMs[attempt - 1];
  return delayMs === undefined ? undefined : jittered(delayMs, DEFAULT_JITTER_RATIO, random);
}

const MONTHS: readonly string[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const MONTH = `(${MONTHS.join("|")})`;
const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";
const TIME = String.raw`(\d{2}):(\d{2}):(\d{2})`;

/** A form of RFC 9110 section 5.6.7 and where its groups are. */
interface DateForm {
  readonly pattern: RegExp;
  /** Groups: day, month, year, hour, minute, second. */
  readonly groups: readonly [number, number, number, number, number, number];
}

const DATE_FORMS: readonly DateForm[] = [
  // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
  { pattern: new RegExp(String.raw`^${DAY}, (\d{2}) ${MONTH} (\d{4}) ${TIME} GMT$`), groups: [1, 2, 3, 4, 5, 6] },
  // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
  { pattern: new RegExp(String.raw`^${LONG_DAY}, (\d{2})-${MONTH}-(\d{2}) ${TIME} GMT$`), groups: [1, 2, 3, 4, 5, 6] },
  // asctime: Sun Nov  6 08:49:37 1994
  { pattern: new RegExp(String.raw`^${DAY} ${MONTH} (\d{2}| \d) ${TIME} (\d{4})$`), groups: [2, 1, 6, 3, 4, 5] },
];

/** The epoch of a calendar date and a time of day, undefined when there is no such day or time. */
function epochOf(year: number, month: number, day: number, secondOfDay: number): number | undefined {
  const date = new Date(0);
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month, day);
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return undefined;
  return date.getTime() + secondOfDay * 1000;
}

/** Of a two-digit year: the latest year with these digits that is at most 50 years ahead (RFC 9110 section 5.6.7). */
function fullYear(text: string, nowMs: number): number {
  if (text.length === 4) return Number(text);
  const latest = new Date(nowMs).getUTCFullYear() + 50;
  return latest - ((((latest - Number(text)) % 100) + 100) % 100);
}

function parseHttpDate(text: string, nowMs: number): number | undefined {
  for (const { pattern, groups } of DATE_FORMS) {
    const match = pattern.exec(text);
    if (!match) continue;
    const [day = "", month = "", year = "", hour, minute, second] = groups.map((group) => match[group] ?? "");
    // 60 is a leap second: the grammar allows it.
    if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
    const secondOfDay = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
    return epochOf(fullYear(year, nowMs), MONTHS.indexOf(month), Number(day), secondOfDay);
  }
  return undefined;
}

/**
 * The wait that a `Retry-After` header asks for (RFC 9110 section 10.2.3), in milliseconds from `nowMs`: delta-seconds or
 * a date in any of the three forms. At most 24 hours; 0 for a date gone by; undefined for anything else.
 */
export function retryAfterMs(headerValue: string | null | undefined, nowMs: number): number | undefined {
  if (!headerValue || headerValue.length > MAX_HEADER_CHARS) return undefined;
  const text = headerValue.replace(/^[ \t]+|[ \t]+$/g, "");
  const epochMs = /^\d+$/.test(text) ? nowMs + Number(text) * 1000 : parseHttpDate(text, nowMs);
  if (epochMs === undefined) return undefined;
  return Math.min(Math.max(0, epochMs - nowMs), MAX_RETRY_AFTER_MS);
}
