// Identifiers. A ULID sorts by time and, within one source, by order of creation; a token is unguessable.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_CHARS = 10;
/** Characters that stay the same within a millisecond, and those that count up. */
const FIXED_CHARS = 12;
const COUNTER_LIMIT = 2 ** 20;

/** Two characters for every number below 1024. */
const PAIRS: readonly string[] = Array.from(
  { length: 1_024 },
  (_, index) => ALPHABET.charAt(index >> 5) + ALPHABET.charAt(index & 31),
);

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
 * Creates a monotonic source (https://github.com/ulid/spec): 48 bits of milliseconds, then 80 random bits, the last 20 of
 * which are counted up while the millisecond stays the same.
 */
export function createUlidSource(
  fillRandom: (bytes: Uint8Array<ArrayBuffer>) => void = (bytes) => {
    crypto.getRandomValues(bytes);
  },
): UlidSource {
  const random = new Uint8Array(FIXED_CHARS + 4);
  let lastMs = -1;
  let prefix = "";
  let counter = 0;
  const begin = (ms: number): void => {
    lastMs = ms;
    fillRandom(random);
    prefix = encodeTime(ms);
    for (let i = 0; i < FIXED_CHARS; i++) prefix += ALPHABET.charAt((random[i] as number) & 31);
    counter = 0;
    for (let i = FIXED_CHARS; i < random.length; i++) counter = counter * 32 + ((random[i] as number) & 31);
  };
  return (givenMs) => {
    const nowMs = Math.trunc(givenMs);
    if (!(nowMs >= 0 && nowMs < 2 ** 48)) throw new RangeError(`A ULID needs a time from 0 to 2^48-1 ms: ${givenMs}`);
    if (nowMs > lastMs) begin(nowMs);
    else if (++counter === COUNTER_LIMIT) begin(lastMs + 1);
    return prefix + (PAIRS[counter >> 10] as string) + (PAIRS[counter & 1_023] as string);
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
