// SHA-256 through WebCrypto. Text is hashed as UTF-8.
import { encodeHex } from "./hex.ts";
import { type Bytes, toBytes } from "./utf8.ts";

/** The 32 bytes of SHA-256 (FIPS 180-4). */
export async function sha256(data: string | Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", toBytes(data)));
}

/** SHA-256 as 64 lower-case hexadecimal digits. */
export async function sha256Hex(data: string | Uint8Array): Promise<string> {
  return encodeHex(await sha256(data));
}
