// The secrets of Standard Webhooks: what each spelling stands for. A malformed one is refused with a code, and never shown.
import type { PylonError } from "../core/errors.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { cryptoError } from "./crypto-errors.ts";
import { ED25519_KEY_BYTES } from "./ed25519.ts";
import { type Bytes, toBytes } from "./utf8.ts";

/** `hmac` signs and verifies `v1`; `ed25519` does so with `v1a`, and without a seed only verifies. */
export type WebhookKey =
  | { readonly scheme: "hmac"; readonly key: Bytes }
  | { readonly scheme: "ed25519"; readonly seed: Bytes | null; readonly publicKey: Bytes | null };

const SYMMETRIC = "whsec_";
const SIGNING = "whsk_";
const VERIFYING = "whpk_";
/** The specification asks for 24 to 64 bytes. */
const GENERATED_BYTES = 24;
const MAX_SECRET_CHARS = 512;

function invalid(message: string): PylonError {
  return cryptoError("WEBHOOK_SECRET_INVALID", { message });
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

/** What an environment variable that is not set comes to. */
function missing(): PylonError {
  return invalid("The webhook secret is missing: is the variable set that holds it?");
}

/** One secret or several, as a list. @throws WEBHOOK_SECRET_INVALID when there is none */
export function listSecrets(secrets: string | readonly string[]): readonly string[] {
  if (isMissing(secrets)) throw missing();
  const list = Array.isArray(secrets) ? (secrets as readonly string[]) : [secrets as string];
  if (list.length === 0) throw invalid("The list of webhook secrets is empty");
  return list;
}

function parseSymmetric(secret: string): WebhookKey {
  const key = secret.startsWith(SYMMETRIC) ? decodeBase64(secret.slice(SYMMETRIC.length)) : toBytes(secret);
  if (!key) throw invalid("A whsec_ secret needs standard base64 with padding behind its prefix");
  if (key.length === 0) throw invalid("The webhook secret is empty");
  return { scheme: "hmac", key };
}

/** The seed alone, or the seed with its public key behind it. */
function parseSigning(secret: string): WebhookKey {
  const bytes = decodeBase64(secret.slice(SIGNING.length));
  if (bytes?.length !== ED25519_KEY_BYTES && bytes?.length !== ED25519_KEY_BYTES * 2) {
    throw invalid("A whsk_ secret needs the base64 of 32 or 64 bytes behind its prefix");
  }
  const publicKey = bytes.length > ED25519_KEY_BYTES ? bytes.slice(ED25519_KEY_BYTES) : null;
  return { scheme: "ed25519", seed: bytes.slice(0, ED25519_KEY_BYTES), publicKey };
}

function parseVerifying(secret: string): WebhookKey {
  const bytes = decodeBase64(secret.slice(VERIFYING.length));
  if (bytes?.length !== ED25519_KEY_BYTES) {
    throw invalid("A whpk_ key needs the base64 of 32 bytes behind its prefix");
  }
  return { scheme: "ed25519", seed: null, publicKey: bytes };
}

/**
 * What a secret stands for: `whsec_` and base64, `whsk_` (Ed25519 seed, with or without its public key), `whpk_` (Ed25519
 * public key), anything else is its own UTF-8 bytes.
 *
 * @throws WEBHOOK_SECRET_INVALID
 */
export function parseWebhookSecret(secret: string): WebhookKey {
  if (isMissing(secret)) throw missing();
  if (typeof secret !== "string") throw invalid("A webhook secret is a string");
  if (secret.length > MAX_SECRET_CHARS) throw invalid(`A webhook secret has at most ${MAX_SECRET_CHARS} characters`);
  if (secret.startsWith(SIGNING)) return parseSigning(secret);
  if (secret.startsWith(VERIFYING)) return parseVerifying(secret);
  return parseSymmetric(secret);
}

/** A new symmetric secret: `whsec_` and base64 of 24 random bytes. */
export function generateWebhookSecret(): string {
  return SYMMETRIC + encodeBase64(crypto.getRandomValues(new Uint8Array(GENERATED_BYTES)));
}
