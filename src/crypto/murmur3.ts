// MurmurHash3_x86_32 (Austin Appleby, public domain) over the UTF-8 bytes of a text. Spreads users over percentages and
// chooses among variants; it is no secret-keeping hash. Nothing is allocated for ASCII text.

import { toBytes } from "./utf8.ts";

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;
const ASCII_END = 0x80;

function scramble(block: number): number {
  const mixed = Math.imul(block, C1);
  return Math.imul((mixed << 15) | (mixed >>> 17), C2);
}

function absorb(state: number, block: number): number {
  const mixed = state ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(state: number, tail: number, length: number): number {
  let hash = (length & 3) === 0 ? state : state ^ scramble(tail);
  hash ^= length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Hashes texts that begin alike; the beginning is read once. */
export interface PrefixHash {
  /** The hash of the prefix followed by `text`: an integer from 0 to 2^32 - 1. */
  hash(text: string): number;
}

function hashBytes(state: number, tail: number, start: number, bytes: Uint8Array): number {
  let hash = state;
  let block = tail;
  let length = start;
  for (let index = 0; index < bytes.length; index++, length++) {
    block |= (bytes[index] as number) << ((length & 3) << 3);
    if ((length & 3) !== 3) continue;
    hash = absorb(hash, block);
    block = 0;
  }
  return finish(hash, block, length);
}

/** Reads `prefix` once for many texts behind it. */
export function createPrefixHash(prefix: string, seed = 0): PrefixHash {
  const bytes = toBytes(prefix);
  let state = seed | 0;
  let tail = 0;
  for (let index = 0; index < bytes.length; index++) {
    tail |= (bytes[index] as number) << ((index & 3) << 3);
    if ((index & 3) !== 3) continue;
    state = absorb(state, tail);
    tail = 0;
  }
  return {
    hash(text) {
      let hash = state;
      let block = tail;
      let length = bytes.length;
      for (let index = 0; index < text.length; index++, length++) {
        const code = text.charCodeAt(index);
        if (code >= ASCII_END) return hashBytes(state, tail, bytes.length, toBytes(text));
        block |= code << ((length & 3) << 3);
        if ((length & 3) !== 3) continue;
        hash = absorb(hash, block);
        block = 0;
      }
      return finish(hash, block, length);
    },
  };
}

/** The hash of a text's UTF-8 bytes: an integer from 0 to 2^32 - 1. */
export function murmur3(text: string, seed = 0): number {
  return createPrefixHash(text, seed).hash("");
}
