// Moments as text: any ISO 8601 date and time with an offset in, always `YYYY-MM-DDTHH:mm:ss.sssZ` out, so that stored
// datetimes sort as text in the order of time.

const PATTERN = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(?:Z|([+-])(\d{2}):(\d{2}))$/i;
const MAX_CHARS = 40;
const MIN_EPOCH_MS = -62_167_219_200_000;
const MAX_EPOCH_MS = 253_402_300_799_999;

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function epochOf(match: RegExpExecArray): number {
  const at = (group: number): number => Number(match[group] ?? 0);
  const [year, month, day, hour, minute, second] = [at(1), at(2), at(3), at(4), at(5), at(6)];
  const [offsetHours, offsetMinutes] = [at(9), at(10)];
  const dateFits = month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  const timeFits = hour < 24 && minute < 60 && second < 60 && offsetHours < 24 && offsetMinutes < 60;
  if (!dateFits || !timeFits) return Number.NaN;
  const millis = Number((match[7] ?? "").slice(0, 3).padEnd(3, "0"));
  // Date.UTC moves the years 0–99 to 1900–1999; setUTCFullYear does not.
  const utc = new Date(0).setUTCFullYear(year, month - 1, day) + ((hour * 60 + minute) * 60 + second) * 1000 + millis;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  return match[8] === "-" ? utc + offsetMs : utc - offsetMs;
}

/**
 * The moment that `text` names, in UTC with milliseconds; undefined when it names none. Takes ISO 8601 with `Z` or
 * `±HH:MM`, seconds and fractions optional (digits behind milliseconds are cut off); refuses days and times that do not
 * exist, leap seconds, and moments outside the years 0000–9999 in UTC.
 */
export function normalizeDatetime(text: string): string | undefined {
  const match = text.length <= MAX_CHARS ? PATTERN.exec(text) : null;
  if (!match) return undefined;
  const epochMs = epochOf(match);
  return epochMs >= MIN_EPOCH_MS && epochMs <= MAX_EPOCH_MS ? new Date(epochMs).toISOString() : undefined;
}
