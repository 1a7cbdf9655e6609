// Signs webhooks by the Standard Webhooks specification: HMAC-SHA256 as `v1`, Ed25519 as `v1a`, one entry for each secret.
import { cryptoError } from "./crypto-errors.ts";
import { encodeBase64 } from "./base64.ts";
import { importEd25519Seed, signEd25519 } from "./ed25519.ts";
import { createHmacSigner, type HmacSigner } from "./hmac.ts";
import { type Bytes, toBytes } from "./utf8.ts";
import { listSecrets, parseWebhookSecret } from "./webhook-secret.ts";

export interface WebhookMessage<Timestamp extends number | string = number | string> {
  /** Visible ASCII without a full stop: it ends at the first one in what is signed. */
  readonly id: string;
  /** Whole Unix seconds of this attempt. */
  readonly timestamp: Timestamp;
  /** Exactly what is sent. */
  readonly body: string | Uint8Array;
  /** Each signs; the receiver accepts any. One, or several while they are being rotated. */
  readonly secrets: string | readonly string[];
}

/** The values of `webhook-id`, `webhook-timestamp` and `webhook-signature`. */
export interface SignedWebhook<Timestamp extends number | string = number | string> {
  readonly id: string;
  readonly timestamp: Timestamp;
  readonly signature: string;
}

/** Signs with one secret. */
export interface WebhookSigner {
  /** One entry of the signature header: `v1,<base64>` or `v1a,<base64>`. */
  sign(content: string | Uint8Array): Promise<string>;
}

const ID = /^[\x21-\x2d\x2f-\x7e]{1,256}$/;
const SECONDS = /^(?:0|[1-9]\d{0,14})$/;

/** What is signed: `id.timestamp.body`. Bytes stay bytes, whether or not they are UTF-8. */
export function signedContent(id: string, timestamp: number | string, body: string | Uint8Array): string | Bytes {
  const head = `${id}.${timestamp}.`;
  if (typeof body === "string") return head + body;
  const start = toBytes(head);
  const content = new Uint8Array(start.length + body.length);
  content.set(start);
  content.set(body, start.length);
  return content;
}

/**
 * Keys are imported at the first signature and kept.
 *
 * @param createHmac a faster HMAC of the platform.
 * @throws WEBHOOK_SECRET_INVALID for one that is malformed or can only verify.
 */
export function createWebhookSigner(
  secret: string,
  createHmac: (key: Uint8Array) => HmacSigner = createHmacSigner,
): WebhookSigner {
  const parsed = parseWebhookSecret(secret);
  if (parsed.scheme === "hmac") {
    const hmac = createHmac(parsed.key);
    return { sign: async (content) => `v1,${encodeBase64(await hmac.sign(content))}` };
  }
  const { seed } = parsed;
  if (!seed) throw cryptoError("WEBHOOK_SECRET_INVALID", { message: "A whpk_ key verifies and cannot sign" });
  let key: Promise<CryptoKey> | undefined;
  return {
    sign: async (content) => `v1a,${encodeBase64(await signEd25519(await (key ??= importEd25519Seed(seed)), content))}`,
  };
}

function checkMessage({ id, timestamp, body }: Omit<WebhookMessage, "secrets">): void {
  const refuse = (message: string): never => {
    throw cryptoError("WEBHOOK_MESSAGE_INVALID", { message });
  };
  if (typeof id !== "string" || !ID.test(id)) refuse("The id is 1 to 256 visible ASCII characters and no full stop");
  if (!SECONDS.test(String(timestamp))) refuse("The timestamp is whole Unix seconds");
  if (typeof body !== "string" && !(body instanceof Uint8Array)) refuse("The body is a string or bytes");
}

/**
 * Signs a message with every secret.
 *
 * @returns id and timestamp as given, and the entries separated by spaces in the order of the secrets.
 * @throws WEBHOOK_SECRET_INVALID, WEBHOOK_MESSAGE_INVALID
 */
export async function signWebhook<Timestamp extends number | string>(
  message: WebhookMessage<Timestamp>,
): Promise<SignedWebhook<Timestamp>> {
  checkMessage(message);
  const { id, timestamp, body } = message;
  const secrets = listSecrets(message.secrets);
  const content = signedContent(id, timestamp, body);
  const entries = await Promise.all(secrets.map((secret) => createWebhookSigner(secret).sign(content)));
  return { id, timestamp, signature: entries.join(" ") };
}
