// Ed25519 (RFC 8032) through WebCrypto, from the 32 bytes of a seed, and the derivation of such a seed by HKDF (RFC 5869).

import { decodeBase64Url } from "./base64.ts";
import { type Bytes, toBytes } from "./utf8.ts";

export const ED25519_KEY_BYTES = 32;
/** RFC 8410: what stands before the seed in PKCS #8. */
const PKCS8_PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);

export interface Ed25519Signer {
  readonly publicKey: Bytes;
  /** The 64 bytes of the signature; text is signed as UTF-8. */
  sign(message: string | Uint8Array): Promise<Bytes>;
}

/** @throws RangeError unless the seed has 32 bytes. */
export async function createEd25519Signer(seed: Uint8Array): Promise<Ed25519Signer> {
  if (seed.length !== ED25519_KEY_BYTES) throw new RangeError("An Ed25519 seed has 32 bytes");
  const pkcs8 = new Uint8Array(PKCS8_PREFIX.length + ED25519_KEY_BYTES);
  pkcs8.set(PKCS8_PREFIX);
  pkcs8.set(seed, PKCS8_PREFIX.length);
  // Extractable, because WebCrypto tells the public key in no other way.
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const publicKey = decodeBase64Url(x ?? "");
  if (publicKey?.length !== ED25519_KEY_BYTES) throw new RangeError("The platform gives no Ed25519 public key");
  return {
    publicKey,
    sign: async (message) => new Uint8Array(await crypto.subtle.sign("Ed25519", key, toBytes(message))),
  };
}

/** Whether `signature` is the message's under `publicKey`. False for a key or a signature that is none. */
export async function verifyEd25519(
  publicKey: Uint8Array,
  message: string | Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (publicKey.length !== ED25519_KEY_BYTES) return false;
  try {
    const key = await crypto.subtle.importKey("raw", toBytes(publicKey), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, toBytes(signature), toBytes(message));
  } catch {
    return false;
  }
}

/** HKDF-SHA256 without salt: 32 bytes for one purpose, which `info` names. @throws RangeError when the secret is empty */
export async function deriveSeed(secret: string | Uint8Array, info: string): Promise<Bytes> {
  if (secret.length === 0) throw new RangeError("Cannot derive from an empty secret");
  const key = await crypto.subtle.importKey("raw", toBytes(secret), "HKDF", false, ["deriveBits"]);
  const parameters = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: toBytes(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, ED25519_KEY_BYTES * 8));
}
