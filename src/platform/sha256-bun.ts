// SHA-256 through Bun's own hasher: 0.3 µs for the few hundred bytes of a log entry. Only loaded on Bun.

import type { Sha256 } from "../crypto/sha256.ts";

/** The part of `Bun` that is called; an embedder's Deno checks this file too, and has no types of Bun. */
interface BunHashers {
  readonly SHA256: { hash(data: string | Uint8Array, into: Uint8Array): unknown };
}

const { SHA256 } = (globalThis as unknown as { readonly Bun: BunHashers }).Bun;

export const bunSha256: Sha256 = (data, into = new Uint8Array(32)) => {
  SHA256.hash(data, into);
  return into;
};
