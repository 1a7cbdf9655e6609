// HMAC-SHA256 through Bun's own hasher: half of what `node:crypto` takes for the few hundred bytes of a webhook. Only loaded on Bun.

import { timingSafeEqual } from "node:crypto";
import type { HmacSigner } from "../crypto/hmac.ts";
import type { Bytes } from "../crypto/utf8.ts";

/** The part of `Bun` that is called; an embedder's Deno checks this file too, and has no types of Bun. */
interface BunHmac {
  update(message: string | Uint8Array): BunHmac;
  digest(): Bytes;
  digest(encoding: "hex"): string;
}

interface BunHashers {
  readonly CryptoHasher: new (algorithm: "sha256", secret: string | Uint8Array) => BunHmac;
}

const { CryptoHasher } = (globalThis as unknown as { readonly Bun: BunHashers }).Bun;

/** @throws RangeError when the secret is empty. */
export function createBunHmacSigner(secret: string | Uint8Array): HmacSigner {
  if (secret.length === 0) throw new RangeError("Cannot sign with an empty secret");
  const sign = (message: string | Uint8Array): Bytes =>
    new Uint8Array(new CryptoHasher("sha256", secret).update(message).digest());
  return {
    sign: (message) => Promise.resolve(sign(message)),
    signHex: (message) => Promise.resolve(new CryptoHasher("sha256", secret).update(message).digest("hex")),
    verify: (message, signature) =>
      Promise.resolve(signature.length === 32 && timingSafeEqual(sign(message), signature)),
  };
}
