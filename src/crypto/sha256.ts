// SHA-256 (FIPS 180-4) that answers at once. WebCrypto's digest hands every message to another thread and back, which costs
// more than hashing the few hundred bytes of a log entry; a platform hands in a faster one of its own.

import { type Bytes, toBytes } from "./utf8.ts";

/**
 * The 32 bytes of SHA-256; text counts as its UTF-8 bytes. Whoever calls it a million times hands in 32 bytes `into` which
 * the digest may be written; what is answered counts, for not every platform can do that.
 */
export type Sha256 = (data: string | Uint8Array, into?: Bytes) => Bytes;

const BLOCK_BYTES = 64;
/** The bit 1 and the message's length in bits, which end the last block. */
const TRAILER_BYTES = 9;

function isPrime(value: number): boolean {
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** The first 32 bits of the fractional part (section 4.2.2: cube roots, 5.3.3: square roots). */
function fraction(root: number): number {
  return Math.floor((root - Math.floor(root)) * 2 ** 32) >>> 0;
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let value = 2; primes.length < count; value++) if (isPrime(value)) primes.push(value);
  return primes;
}

const ROUND_CONSTANTS = Uint32Array.from(firstPrimes(64), (prime) => fraction(Math.cbrt(prime)));
const INITIAL_STATE = Uint32Array.from(firstPrimes(8), (prime) => fraction(Math.sqrt(prime)));

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

/** Section 6.2.2, step 1. */
function expand(schedule: Uint32Array, view: DataView, offset: number): void {
  for (let t = 0; t < 16; t++) schedule[t] = view.getUint32(offset + t * 4);
  for (let t = 16; t < 64; t++) {
    const [early, late] = [schedule[t - 15] as number, schedule[t - 2] as number];
    const small0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const small1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    schedule[t] = (schedule[t - 16] as number) + small0 + (schedule[t - 7] as number) + small1;
  }
}

/** Section 6.2.2, steps 2 to 4. */
function compress(state: Uint32Array, schedule: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let t = 0; t < 64; t++) {
    const big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const choice = (e & f) ^ (~e & g);
    const first = (h + big1 + choice + (ROUND_CONSTANTS[t] as number) + (schedule[t] as number)) | 0;
    const big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + big0 + majority) | 0];
  }
  const words = [a, b, c, d, e, f, g, h];
  for (let index = 0; index < 8; index++) state[index] = (state[index] as number) + (words[index] as number);
}

function pad(bytes: Uint8Array): DataView {
  const blocks = Math.ceil((bytes.length + TRAILER_BYTES) / BLOCK_BYTES);
  const padded = new Uint8Array(blocks * BLOCK_BYTES);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  return view;
}

/** SHA-256 in the language itself, for wherever no platform hands one in. */
export const portableSha256: Sha256 = (data, into = new Uint8Array(32)) => {
  const view = pad(toBytes(data));
  const state = INITIAL_STATE.slice();
  const schedule = new Uint32Array(64);
  for (let offset = 0; offset < view.byteLength; offset += BLOCK_BYTES) {
    expand(schedule, view, offset);
    compress(state, schedule);
  }
  const digest = new DataView(into.buffer, into.byteOffset, into.byteLength);
  for (const [index, word] of state.entries()) digest.setUint32(index * 4, word);
  return into;
};

/** Longer ones make the signer's buffer grow. */
const SHORT_MESSAGE_BYTES = 1_024;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/** What a signer's `signBehindRoom` has for itself. */
export const HMAC_ROOM_BYTES = BLOCK_BYTES;

/** Signs with one key. A code may be written `into` 32 bytes. */
export interface HmacSha256 {
  sign(message: Uint8Array, into?: Bytes): Bytes;
  /** Signs what stands behind the room at the beginning of `bytes`, and writes over that, so that no message is copied. */
  signBehindRoom(bytes: Uint8Array, into?: Bytes): Bytes;
}

/**
 * HMAC-SHA256 (RFC 2104) that answers at once. The signer keeps the padded key.
 *
 * @throws RangeError when the key is empty: anyone could sign with it.
 */
export function createHmacSha256(key: Uint8Array, sha256: Sha256): HmacSha256 {
  if (key.length === 0) throw new RangeError("Cannot sign with an empty key");
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? sha256(key) : key);
  const inner = block.map((byte) => byte ^ INNER_PAD);
  const outer = new Uint8Array(BLOCK_BYTES + 32);
  outer.set(block.map((byte) => byte ^ OUTER_PAD));
  const innerDigest = outer.subarray(BLOCK_BYTES);
  let scratch = new Uint8Array(HMAC_ROOM_BYTES + SHORT_MESSAGE_BYTES);

  const signBehindRoom = (bytes: Uint8Array, into?: Bytes): Bytes => {
    bytes.set(inner);
    const digest = sha256(bytes, innerDigest);
    if (digest !== innerDigest) innerDigest.set(digest);
    return sha256(outer, into);
  };
  return {
    sign(message, into) {
      const end = HMAC_ROOM_BYTES + message.length;
      if (end > scratch.length) scratch = new Uint8Array(end * 2);
      scratch.set(message, HMAC_ROOM_BYTES);
      return signBehindRoom(scratch.subarray(0, end), into);
    },
    signBehindRoom,
  };
}
