// HMAC-SHA256 (RFC 2104) through WebCrypto. A secret is imported once for each signer and the key cannot be read back.
import { encodeHex } from "./hex.ts";
import { type Bytes, toBytes } from "./utf8.ts";

const HMAC_SHA256: HmacImportParams = { name: "HMAC", hash: "SHA-256" };

/** Signs and checks messages with one secret. */
export interface HmacSigner {
  /** The 32 bytes of the code; text is signed as UTF-8. */
  sign(message: string | Uint8Array): Promise<Bytes>;
  /** The same as 64 lower-case hexadecimal digits. */
  signHex(message: string | Uint8Array): Promise<string>;
  /** Whether `signature` is the message's code, in constant time. A signature of any other length is false. */
  verify(message: string | Uint8Array, signature: Uint8Array): Promise<boolean>;
}

/**
 * Imports a secret as a key that only signs and verifies. Text counts as its UTF-8 bytes.
 *
 * @throws RangeError when the secret is empty: anyone could sign with it.
 */
export async function importHmacKey(secret: string | Uint8Array): Promise<CryptoKey> {
  if (secret.length === 0) throw new RangeError("Cannot sign with an empty secret");
  return crypto.subtle.importKey("raw", toBytes(secret), HMAC_SHA256, false, ["sign", "verify"]);
}

/**
 * Creates a signer that imports `secret` at its first use and keeps the key.
 *
 * @throws RangeError when the secret is empty.
 */
export function createHmacSigner(secret: string | Uint8Array): HmacSigner {
  if (secret.length === 0) throw new RangeError("Cannot sign with an empty secret");
  let imported: Promise<CryptoKey> | undefined;
  const key = (): Promise<CryptoKey> => (imported ??= importHmacKey(secret));
  const sign = async (message: string | Uint8Array): Promise<Bytes> =>
    new Uint8Array(await crypto.subtle.sign("HMAC", await key(), toBytes(message)));
  return {
    sign,
    signHex: async (message) => encodeHex(await sign(message)),
    async verify(message, signature) {
      return crypto.subtle.verify("HMAC", await key(), toBytes(signature), toBytes(message));
    },
  };
}

/**
 * Creates a lookup of signers that keeps the `maxSigners` most recently used, so that a busy secret is imported once and
 * a million idle ones are not held.
 *
 * @default maxSigners 1000
 */
export function createHmacSigners(maxSigners = 1000): (secret: string) => HmacSigner {
  const signers = new Map<string, HmacSigner>();
  return (secret) => {
    const signer = signers.get(secret) ?? createHmacSigner(secret);
    signers.delete(secret);
    signers.set(secret, signer);
    const oldest = signers.size > maxSigners ? signers.keys().next() : undefined;
    if (oldest?.done === false) signers.delete(oldest.value);
    return signer;
  };
}
