// Ed25519 (RFC 8032) through WebCrypto, with raw keys: a 32-byte seed signs, a 32-byte public key verifies; and the derivation of
// such a seed by HKDF (RFC 5869).
import { decodeBase64Url } from "./base64.ts";
import { type Bytes, toBytes } from "./utf8.ts";

const ED25519 = "Ed25519";
export const ED25519_KEY_BYTES = 32;
/** PKCS #8 around a raw seed (RFC 8410 section 7): WebCrypto imports private keys in no shorter form. */
const PKCS8_HEAD: readonly number[] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

function importSeed(seed: Uint8Array, extractable: boolean): Promise<CryptoKey> {
  if (seed.length !== ED25519_KEY_BYTES) throw new RangeError(`Expected a seed of ${ED25519_KEY_BYTES} bytes`);
  return crypto.subtle.importKey("pkcs8", new Uint8Array([...PKCS8_HEAD, ...seed]), ED25519, extractable, ["sign"]);
}

/** A key that signs and cannot be read back. @throws RangeError when the seed is not 32 bytes. */
export function importEd25519Seed(seed: Uint8Array): Promise<CryptoKey> {
  return importSeed(seed, false);
}

/** The 64 bytes of the signature. */
export async function signEd25519(key: CryptoKey, message: string | Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(ED25519, key, toBytes(message)));
}

/** The public key of a seed. */
export async function ed25519PublicKey(seed: Uint8Array): Promise<Bytes> {
  const { x } = await crypto.subtle.exportKey("jwk", await importSeed(seed, true));
  return decodeBase64Url(x ?? "") ?? new Uint8Array(0);
}

/** A key pair that signs. */
export interface Ed25519Signer {
  readonly publicKey: Bytes;
  /** The 64 bytes of the signature; text is signed as UTF-8. */
  sign(message: string | Uint8Array): Promise<Bytes>;
}

/** @throws RangeError when the seed is not 32 bytes, or the platform does not tell the public key. */
export async function createEd25519Signer(seed: Uint8Array): Promise<Ed25519Signer> {
  const [key, publicKey] = await Promise.all([importEd25519Seed(seed), ed25519PublicKey(seed)]);
  if (publicKey.length !== ED25519_KEY_BYTES) throw new RangeError("The platform gives no Ed25519 public key");
  return { publicKey, sign: (message) => signEd25519(key, message) };
}

/** Whether `signature` is the message's under `publicKey`. Anything malformed is false. */
export async function verifyEd25519(
  publicKey: Uint8Array,
  message: string | Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey("raw", toBytes(publicKey), ED25519, false, ["verify"]);
    return await crypto.subtle.verify(ED25519, key, toBytes(signature), toBytes(message));
  } catch {
    // Bytes that are no point of the curve.
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
