// One attempt of one delivery: find the hook, sign, send, and say what happens next. A 2xx is delivered; everything else
// is tried again on the hook's schedule until its attempts are spent.

import type { Clock } from "../../core/clock.ts";
import { SYSTEM } from "../../core/identity.ts";
import { isJson } from "../../core/json.ts";
import type { HmacSigner } from "../../crypto/hmac.ts";
import type { Data } from "../../data/data.ts";
import { exponentialDelayMs } from "../../jobs/backoff.ts";
import type { JobContext, JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import { type AttemptResult, failedAttempt, judgeOutcome, triesOf } from "../../jobs/outbound-attempt.ts";
import type { GuardedClient } from "../../net/guarded-client.ts";
import type { Job, Tx } from "../../store/store.ts";
import { DEAD_LETTER } from "./dead-letter.ts";
import { bodyOf, DELIVERY_KIND, deliveryOf, signatureHeader, type Delivery } from "./delivery.ts";
import type { Hook } from "./hook-config.ts";

/**
 * Attempts of one hook that run at once: enough to keep a fast receiver busy, few enough to spare a slow one, and no more
 * than the connections that a runtime keeps open to one host.
 */
const HOOK_CONCURRENCY = 48;
/** The longest wait between two attempts. */
const MAX_DELAY_MS = 30 * 86_400_000;

/** The delay before attempt n+1: `backoff × 2^(n-1)` with up to 10 % jitter, or what the receiver asked for if longer. */
export function nextDelayMs(hook: Hook, attempt: number, result: AttemptResult, random: () => number): number {
  const planned = exponentialDelayMs({ baseMs: hook.backoffMs, attempt, random, maxMs: MAX_DELAY_MS });
  return Math.max(planned, result.retryAfterMs ?? 0);
}

/**
 * The hook that a stored delivery belongs to now. A named hook may have moved to another URL; an unnamed one is only the
 * same while its URL is, because its index says nothing after the list was edited.
 */
export function findHook(hooks: readonly Hook[], delivery: Omit<Delivery, "body">): Hook | undefined {
  const serves = (hook: Hook): boolean => hook.url === delivery.url && hook.entity === delivery.entity;
  const same = hooks.find((hook) => hook.name === delivery.hook);
  if (same && (same.named || (serves(same) && same.events.has(delivery.event)))) return same;
  // Two hooks to one URL may have secrets of their own: the one for the event comes first.
  return hooks.find((hook) => serves(hook) && hook.events.has(delivery.event)) ?? hooks.find(serves);
}

/** A delivery that is given up, and why. */
interface LostDelivery {
  readonly job: Job;
  /** Where the last attempt went. */
  readonly url: string;
  readonly result: AttemptResult;
  readonly now: number;
}

/** The row of the dead-letter entity, written in the transaction that ends the delivery. */
async function buryDelivery(data: Data, tx: Tx, { job, url, result, now }: LostDelivery): Promise<void> {
  const delivery = deliveryOf(job);
  const body = bodyOf(delivery);
  const scope = { actor: SYSTEM, policies: false, requestId: null, internal: true };
  await data.within(scope, tx).insert(DEAD_LETTER, {
    deliveryId: job.id,
    hook: delivery.hook,
    url,
    entity: body.entity,
    rowId: body.row_id,
    event: body.event,
    // A row's own JSON may be as deep as a field takes, and here it is two levels deeper.
    payload: isJson(body) ? body : delivery.body,
    attempts: triesOf(job),
    lastStatus: result.status,
    lastError: result.error,
    status: "dead",
    createdAt: new Date(job.createdAt).toISOString(),
    failedAt: new Date(now).toISOString(),
  });
}

export interface DeliveryJobOptions {
  readonly hooks: readonly Hook[];
  readonly http: GuardedClient;
  readonly clock: Clock;
  readonly data: () => Data;
  readonly random: () => number;
  readonly createSigner: (secret: string) => HmacSigner;
}

const HOOK_REMOVED = failedAttempt("HOOK_REMOVED: The configuration has no such hook any more", true);

export function createDeliveryJob(options: DeliveryJobOptions): JobHandler {
  const signers = new Map<Hook, HmacSigner>();
  for (const hook of options.hooks) if (hook.secret !== null) signers.set(hook, options.createSigner(hook.secret));

  const attempt = async (hook: Hook, delivery: Delivery, context: JobContext): Promise<AttemptResult> => {
    const signer = signers.get(hook);
    const outcome = await options.http.send({
      method: "POST",
      url: hook.url,
      headers: {
        ...hook.headers,
        "content-type": "application/json",
        ...(signer ? { "x-pylon-signature": await signatureHeader(signer, delivery.body) } : {}),
      },
      body: delivery.body,
      keepBytes: 0,
      cancellation: context,
    });
    return judgeOutcome(outcome, options.clock.now());
  };

  const plan = (job: Job, hook: Hook | undefined, result: AttemptResult): JobOutcome => {
    const note = { status: result.status, error: result.error };
    if (result.delivered) return { kind: "done", note };
    if (!hook || result.final || triesOf(job) >= hook.maxAttempts) {
      const lost = { job, url: hook?.url ?? deliveryOf(job).url, result, now: options.clock.now() };
      return { kind: "dead", note, settle: (tx) => buryDelivery(options.data(), tx, lost) };
    }
    return { kind: "retry", delayMs: nextDelayMs(hook, triesOf(job), result, options.random), note };
  };

  return {
    kind: DELIVERY_KIND,
    laneConcurrency: HOOK_CONCURRENCY,
    async run(job, context) {
      const delivery = deliveryOf(job);
      const hook = findHook(options.hooks, delivery);
      if (!hook) return plan(job, undefined, HOOK_REMOVED);
      return plan(job, hook, await attempt(hook, delivery, context));
    },
  };
}
