// What signs and verifies webhooks, importable alone (`pylon-runtime/webhooks`) on any runtime with WebCrypto.

export { signWebhook, type SignedWebhook, type WebhookMessage } from "../crypto/sign-webhook.ts";
export {
  verifyWebhook,
  type VerifyOptions,
  type WebhookHeaders,
  type WebhookVerdict,
} from "../crypto/verify-webhook.ts";
