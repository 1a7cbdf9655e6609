// Verifies webhooks by the Standard Webhooks specification. What a sender controls (headers, body) is answered with a value;
// only a secret that is malformed throws. Comparisons take the same time wherever two signatures differ.
import { decodeBase64 } from "./base64.ts";
import { ed25519PublicKey, verifyEd25519 } from "./ed25519.ts";
import { createHmacSigner } from "./hmac.ts";
import { signedContent } from "./sign-webhook.ts";
import { listSecrets, parseWebhookSecret, type WebhookKey } from "./webhook-secret.ts";

export type WebhookVerdict =
  | true
  | "MISSING_ID"
  | "MISSING_TIMESTAMP"
  | "MISSING_SIGNATURE"
  /** More than the tolerance away from now, in either direction. */
  | "REPLAYED"
  | "INVALID_SIGNATURE";

type HeaderValue = string | number | readonly string[] | null | undefined;

/**
 * `{id, timestamp, signature}`, a `Headers`, or a plain object of headers in any case: `webhook-*`, or `svix-*` when there is
 * none of those.
 */
export type WebhookHeaders =
  | Headers
  | { readonly id: HeaderValue; readonly timestamp: HeaderValue; readonly signature: HeaderValue }
  | { readonly [name: string]: HeaderValue };

export interface VerifyOptions {
  /** How far the timestamp may be from now, in seconds. @default 300 */
  readonly toleranceSecs?: number;
  /** Unix seconds. @default the system's clock */
  readonly nowSecs?: number;
}

interface Parts {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
}

const NAMES = ["id", "timestamp", "signature"] as const;
/** In this order: a request may carry a `Signature` header of its own. */
const PREFIXES: readonly string[] = ["webhook-", "svix-", ""];
const DEFAULT_TOLERANCE_SECS = 300;
/** Longer than a rotation with all its secrets needs; bounds the work on what a stranger sent. */
const MAX_ENTRIES = 64;
const MAX_HEADER_CHARS = 8_192;
const SECONDS = /^(?:0|[1-9]\d{0,14})$/;

function textOf(value: HeaderValue): string {
  const first = Array.isArray(value) ? (value as readonly string[])[0] : value;
  return typeof first === "number" ? String(first) : typeof first === "string" ? first : "";
}

function lowerCased(headers: WebhookHeaders): ReadonlyMap<string, string> {
  const entries: [string, HeaderValue][] = headers instanceof Headers ? [...headers] : Object.entries(headers);
  return new Map(entries.map(([name, value]) => [name.toLowerCase(), textOf(value)]));
}

function readParts(headers: WebhookHeaders): Parts {
  const given = lowerCased(headers);
  const has = (prefix: string): boolean => NAMES.some((name) => given.has(prefix + name));
  const prefix = PREFIXES.find(has) ?? "";
  const [id = "", timestamp = "", signature = ""] = NAMES.map((name) => given.get(prefix + name));
  return { id, timestamp, signature };
}

/** No early exit: the time says nothing about where two codes differ. Their length is known to everyone. */
function isSameCode(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

/** The signatures of a scheme. Versions that are not known are passed over, as the specification asks. */
function signaturesOf(version: "v1" | "v1a", header: string): Uint8Array[] {
  const entries = header.slice(0, MAX_HEADER_CHARS).split(" ").slice(0, MAX_ENTRIES);
  return entries.flatMap((entry) => {
    const comma = entry.indexOf(",");
    if (entry.slice(0, comma) !== version) return [];
    const bytes = decodeBase64(entry.slice(comma + 1));
    return bytes ? [bytes] : [];
  });
}

async function isSignedBy(key: WebhookKey, content: string | Uint8Array, header: string): Promise<boolean> {
  if (key.scheme === "hmac") {
    const code = await createHmacSigner(key.key).sign(content);
    return signaturesOf("v1", header).filter((signature) => isSameCode(code, signature)).length > 0;
  }
  const publicKey = key.publicKey ?? (await ed25519PublicKey(key.seed ?? new Uint8Array(0)));
  const signatures = signaturesOf("v1a", header);
  const verdicts = await Promise.all(signatures.map((signature) => verifyEd25519(publicKey, content, signature)));
  return verdicts.includes(true);
}

/**
 * Whether a request was signed with one of `secrets` (`whsec_…`, `whsk_…`, `whpk_…` or plain text) and is fresh.
 *
 * @param rawBody the bytes as they came: parsing and printing JSON again changes them.
 * @returns true, or why not.
 * @throws WEBHOOK_SECRET_INVALID for a secret that is missing, malformed or empty: nothing may be accepted with it.
 */
export async function verifyWebhook(
  secrets: string | readonly string[],
  headers: WebhookHeaders,
  rawBody: string | Uint8Array,
  options: VerifyOptions = {},
): Promise<WebhookVerdict> {
  const keys = listSecrets(secrets).map(parseWebhookSecret);
  const { id, timestamp, signature } = readParts(headers);
  if (id === "") return "MISSING_ID";
  if (timestamp === "") return "MISSING_TIMESTAMP";
  if (signature === "") return "MISSING_SIGNATURE";
  // In any other spelling nobody can have signed it.
  if (!SECONDS.test(timestamp)) return "INVALID_SIGNATURE";
  const nowSecs = options.nowSecs ?? Math.floor(Date.now() / 1000);
  const toleranceSecs = options.toleranceSecs ?? DEFAULT_TOLERANCE_SECS;
  // Not `> toleranceSecs`: with a NaN that would accept everything.
  if (!(Math.abs(nowSecs - Number(timestamp)) <= toleranceSecs)) return "REPLAYED";
  const content = signedContent(id, timestamp, rawBody);
  const verdicts = await Promise.all(keys.map((key) => isSignedBy(key, content, signature)));
  return verdicts.includes(true) ? true : "INVALID_SIGNATURE";
}
