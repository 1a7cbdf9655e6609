// Secrets at rest: AES-256-GCM under the operator's key, bound to where they are stored. Without a key they are stored as
// they are, and what was stored so can still be read once there is one.
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { decodeHex } from "./hex.ts";
import { type Bytes, toBytes } from "./utf8.ts";

export const SECRET_KEY_BYTES = 32;
const IV_BYTES = 12;
const PLAIN = "plain:";
const SEALED = "aes-gcm:";

export interface SecretBox {
  /** What to store. `place` (such as the row's id) must be the same when it is opened. */
  seal(secret: string, place: string): Promise<string>;
  /** The secret, or undefined when it was sealed with another key, for another place, or was changed. */
  open(stored: string, place: string): Promise<string | undefined>;
}

/** The 32 bytes that 64 hexadecimal digits or standard base64 spell; undefined for anything else. */
export function parseSecretKey(text: string): Bytes | undefined {
  const bytes = text.length === SECRET_KEY_BYTES * 2 ? decodeHex(text) : decodeBase64(text);
  return bytes?.length === SECRET_KEY_BYTES ? bytes : undefined;
}

/** @param key 32 bytes; null stores secrets as they are. */
export function createSecretBox(key: Uint8Array | null): SecretBox {
  let imported: Promise<CryptoKey> | undefined;
  const cipherKey = (bytes: Uint8Array): Promise<CryptoKey> =>
    (imported ??= crypto.subtle.importKey("raw", toBytes(bytes), "AES-GCM", false, ["encrypt", "decrypt"]));
  return {
    async seal(secret, place) {
      if (!key) return PLAIN + secret;
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const algorithm = { name: "AES-GCM", iv, additionalData: toBytes(place) };
      const sealed = new Uint8Array(await crypto.subtle.encrypt(algorithm, await cipherKey(key), toBytes(secret)));
      return SEALED + encodeBase64(new Uint8Array([...iv, ...sealed]));
    },
    async open(stored, place) {
      if (stored.startsWith(PLAIN)) return stored.slice(PLAIN.length);
      const bytes = stored.startsWith(SEALED) ? decodeBase64(stored.slice(SEALED.length)) : undefined;
      if (!key || !bytes || bytes.length <= IV_BYTES) return undefined;
      const algorithm = { name: "AES-GCM", iv: bytes.subarray(0, IV_BYTES), additionalData: toBytes(place) };
      try {
        const opened = await crypto.subtle.decrypt(algorithm, await cipherKey(key), bytes.subarray(IV_BYTES));
        return new TextDecoder().decode(opened);
      } catch {
        return undefined;
      }
    },
  };
}
