// Identifiers. A ULID sorts by time and, within one source, by order of creation; a token is unguessable.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RANDOM_CHARS = 16;
const TIME_CHARS = 10;

/** Makes ULIDs that grow strictly, also within one millisecond and when the clock goes back. @throws RangeError */
export type UlidSource = (nowMs: number) => string;

function encodeTime(ms: number): string {
  let rest = ms;
  let text = "";
  for (let i = 0; i < TIME_CHARS; i++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/**
 * Creates a monotonic source (https://github.com/ulid/spec): 48 bits of milliseconds, then 80 random bits that are
 * counted up while the millisecond stays the same.
 */
export function createUlidSource(
  fillRandom: (bytes: Uint8Array<ArrayBuffer>) => void = (bytes) => {
    crypto.getRandomValues(bytes);
  },
): UlidSource {
  const digits = new Uint8Array(RANDOM_CHARS);
  const random = new Uint8Array(RANDOM_CHARS);
  let lastMs = -1;
  let time = "";
  const refill = (): void => {
    fillRandom(random);
    for (let i = 0; i < RANDOM_CHARS; i++) digits[i] = (random[i] as number) & 31;
  };
  const increment = (): boolean => {
    for (let i = RANDOM_CHARS - 1; i >= 0; i--) {
      const digit = digits[i] as number;
      if (digit < 31) {
        digits[i] = digit + 1;
        return true;
      }
      digits[i] = 0;
    }
    return false;
  };
  return (givenMs) => {
    const nowMs = Math.trunc(givenMs);
    if (!(nowMs >= 0 && nowMs < 2 ** 48)) throw new RangeError(`A ULID needs a time from 0 to 2^48-1 ms: ${givenMs}`);
    if (nowMs > lastMs) {
      lastMs = nowMs;
      time = encodeTime(nowMs);
      refill();
    } else if (!increment()) {
      lastMs += 1;
      time = encodeTime(lastMs);
      refill();
    }
    let text = time;
    for (let i = 0; i < RANDOM_CHARS; i++) text += ALPHABET.charAt(digits[i] as number);
    return text;
  };
}

const ULID_PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Whether `text` is a canonical ULID. */
export function isUlid(text: string): boolean {
  return ULID_PATTERN.test(text);
}

/** A random token of `byteCount` bytes as lowercase hex. */
export function randomHex(byteCount: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(byteCount));
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
