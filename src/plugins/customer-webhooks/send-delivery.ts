// Sends one attempt: signed with every live secret, through the guarded client, bounded in time and bytes. Every way in which
// it can end is a value with a code.

import type { Clock } from "../../core/clock.ts";
import { signedContent, type WebhookSigner } from "../../crypto/sign-webhook.ts";
import type { JobContext } from "../../jobs/job-handler.ts";
import { type AttemptResult, failedAttempt, judgeOutcome } from "../../jobs/outbound-attempt.ts";
import type { GuardedClient } from "../../net/guarded-client.ts";
import type { Subject } from "./delivery-subject.ts";
import { customerWebhookError } from "./webhook-errors.ts";
import type { WebhookEvent } from "./webhook-event.ts";

/** Contract: 15 s per attempt, at most 16 KiB of a response read and 1 KiB kept. */
const LIMITS = { timeoutMs: 15_000, maxResponseBytes: 16_384, keepBytes: 1_024 } as const;
/** The receiver says that it will never come back (Standard Webhooks). */
export const GONE = 410;

/** The end of an attempt. */
export interface Ended {
  readonly result: AttemptResult;
  readonly durationMs: number | null;
  readonly responseBody: string | null;
  /** Whether something was sent: only that says how the endpoint is doing. */
  readonly wasSent: boolean;
}

export interface SenderOptions {
  readonly http: GuardedClient;
  readonly clock: Clock;
}

export type SendDelivery = (subject: Subject, context: JobContext) => Promise<Ended>;

function unsent(error: string, final: boolean): Ended {
  return { result: failedAttempt(error, final), durationMs: null, responseBody: null, wasSent: false };
}

const EXPIRED = unsent("EVENT_EXPIRED: The event is not stored any more", true);
const REMOVED = unsent("ENDPOINT_REMOVED: The endpoint does not exist any more", true);
const DISABLED = unsent("ENDPOINT_DISABLED: The endpoint is disabled", true);
const NO_SECRET = unsent("SECRET_MISSING: The endpoint has no secret; rotate it", false);
const decoder = new TextDecoder();
const UNREADABLE = customerWebhookError("SECRET_UNREADABLE");
const NO_READABLE_SECRET = unsent(`${UNREADABLE.code}: ${UNREADABLE.message}`, false);

function signatureHeaders(id: string, timestamp: string, signature: string): Record<string, string> {
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
    "svix-id": id,
    "svix-timestamp": timestamp,
    "svix-signature": signature,
  };
}

/** Text that every store takes, whatever a stranger's server answered. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

async function signatureOf(signers: readonly WebhookSigner[], content: string | Uint8Array): Promise<string> {
  const [only, ...others] = signers;
  if (only && others.length === 0) return only.sign(content);
  const entries = await Promise.all(signers.map((signer) => signer.sign(content)));
  // A secret that was given twice signs the same twice.
  return [...new Set(entries)].join(" ");
}

export function createSender({ http, clock }: SenderOptions): SendDelivery {
  const headersFor = async (
    event: WebhookEvent,
    signers: readonly WebhookSigner[],
  ): Promise<Record<string, string>> => {
    const timestamp = String(Math.floor(clock.now() / 1_000));
    const signature = await signatureOf(signers, signedContent(event.eventId, timestamp, event.body));
    return signatureHeaders(event.eventId, timestamp, signature);
  };

  return async ({ event, endpoint, signers }, context) => {
    if (!event) return EXPIRED;
    // One that has moved to another tenant must not get what was meant for this one.
    if (!endpoint || endpoint.applicationId !== event.applicationId) return REMOVED;
    if (endpoint.disabled) return DISABLED;
    if (!signers) return NO_SECRET;
    if (signers.length === 0) return NO_READABLE_SECRET;
    const headers = { ...endpoint.headers, ...(await headersFor(event, signers)) };
    const { url } = endpoint;
    const request = { method: "POST", url, headers, body: event.body, ...LIMITS, cancellation: context };
    const outcome = await http.send(request);
    const judged = judgeOutcome(outcome, clock.now());
    return {
      result: { ...judged, final: judged.final || judged.status === GONE },
      durationMs: outcome.kind === "blocked" ? null : Math.round(outcome.durationMs),
      responseBody: outcome.kind === "response" ? storable(decoder.decode(outcome.body)) : null,
      wasSent: true,
    };
  };
}
