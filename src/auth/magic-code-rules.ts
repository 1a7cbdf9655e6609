// What may happen to a sign-in code, decided without effects. A code ends with its time, with its use or with five wrong
// guesses, and an address ends with a hundred wrong guesses a day.

/** Milliseconds. */
export const CODE_LIFE_MS = 10 * 60 * 1000;
export const RESEND_AFTER_MS = 60 * 1000;
const MAX_ATTEMPTS = 5;

/**
 * Five guesses a minute at new codes would find one in a few months. A hundred failures without a sign-in (NIST SP 800-63B
 * section 5.2.2) leave a guesser one chance in ten thousand a day.
 */
const MAX_FAILURES = 100;
const FAILURE_WINDOW_MS = 24 * 60 * 60 * 1000;

const CODE_DIGITS = 6;
const CODES = 10 ** CODE_DIGITS;
/** The largest multiple of a million below 2^32: numbers from it on would make low codes more likely. */
const UNBIASED_LIMIT = Math.floor(2 ** 32 / CODES) * CODES;

/** A row of `_pylon_magic_codes`, without its secret part. Times are epoch milliseconds. */
export interface CodeState {
  readonly attempts: number;
  readonly consumed: boolean;
  readonly sentAt: number;
  readonly expiresAt: number;
  readonly failures: number;
  readonly failingSince: number;
}

/** A uniformly distributed code of six digits. `fillRandom` fills the array from a CSPRNG. */
export function drawCode(
  fillRandom: (numbers: Uint32Array<ArrayBuffer>) => void = (numbers) => {
    crypto.getRandomValues(numbers);
  },
): string {
  const numbers = new Uint32Array(1);
  for (;;) {
    fillRandom(numbers);
    const number = numbers[0] ?? UNBIASED_LIMIT;
    if (number < UNBIASED_LIMIT) return String(number % CODES).padStart(CODE_DIGITS, "0");
  }
}

export type SendPlan =
  | { readonly kind: "wait"; readonly waitMs: number }
  | { readonly kind: "send"; readonly state: CodeState; readonly keepUntil: number };

/** A clock that went back must not make the wait longer than it ever is. */
function waitFrom(since: number, spanMs: number, now: number): number {
  return Math.min(spanMs, Math.max(0, since + spanMs - now));
}

/** Whether an address with `previous` state gets a new code at `now`, and the state that it then has. */
export function planSend(previous: CodeState | null, now: number): SendPlan {
  const resendWaitMs = previous ? waitFrom(previous.sentAt, RESEND_AFTER_MS, now) : 0;
  const failing = previous && previous.failures > 0 ? waitFrom(previous.failingSince, FAILURE_WINDOW_MS, now) : 0;
  const failures = failing > 0 ? (previous?.failures ?? 0) : 0;
  const waitMs = failures >= MAX_FAILURES ? Math.max(failing, resendWaitMs) : resendWaitMs;
  if (waitMs > 0) return { kind: "wait", waitMs };
  const failingSince = failures > 0 ? (previous?.failingSince ?? now) : now;
  const expiresAt = now + CODE_LIFE_MS;
  return {
    kind: "send",
    state: { attempts: 0, consumed: false, sentAt: now, expiresAt, failures, failingSince },
    keepUntil: expiresAt + FAILURE_WINDOW_MS,
  };
}

export type GuessPlan =
  /** Expired, used or burnt: nothing is counted any more. */
  | { readonly kind: "dead" }
  | { readonly kind: "wrong"; readonly attempts: number; readonly failures: number; readonly failingSince: number }
  | { readonly kind: "right" };

/** What a guess does to a code in `state`. A right guess at a dead code is no better than a wrong one. */
export function planGuess(state: CodeState, matches: boolean, now: number): GuessPlan {
  if (state.consumed || state.attempts >= MAX_ATTEMPTS || state.expiresAt <= now) return { kind: "dead" };
  if (matches) return { kind: "right" };
  const failingSince = state.failures > 0 ? state.failingSince : now;
  return { kind: "wrong", attempts: state.attempts + 1, failures: state.failures + 1, failingSince };
}
