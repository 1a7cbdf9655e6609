// Limits on sign-in requests, per network and per address, kept in this process. What it remembers is bounded, whoever
// sends how much; the limits that a secret depends on are in the store instead.

import type { Clock } from "../core/clock.ts";
import { authError } from "./auth-errors.ts";
import { networkOf } from "./client-network.ts";

export interface BucketRule {
  /** Requests at once. */
  readonly burst: number;
  /** Requests that come back per minute. */
  readonly perMinute: number;
}

export type SignInAction = "send" | "verify" | "invite" | "accept";

/** Each action's rules: `network` for one IPv4 address or one IPv6 /64, `subject` for an email address or a user. */
export type SignInRules = Readonly<
  Record<SignInAction, { readonly network: BucketRule; readonly subject: BucketRule }>
>;

export const SIGN_IN_RULES: SignInRules = {
  send: { network: { burst: 30, perMinute: 30 }, subject: { burst: 10, perMinute: 10 } },
  verify: { network: { burst: 60, perMinute: 60 }, subject: { burst: 30, perMinute: 30 } },
  invite: { network: { burst: 120, perMinute: 60 }, subject: { burst: 60, perMinute: 30 } },
  accept: { network: { burst: 60, perMinute: 60 }, subject: { burst: 30, perMinute: 30 } },
};

/** Buckets per action and kind of key, so that a flood of one kind cannot push out another. */
const MAX_BUCKETS = 10_000;

export interface Bucket {
  readonly tokens: number;
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** The bucket after one request, and how long to wait when it was empty (then nothing is taken). Pure. */
export function planTake(
  bucket: Bucket | undefined,
  rule: BucketRule,
  now: number,
): Bucket & { readonly waitMs: number } {
  const perMs = rule.perMinute / 60_000;
  const gained = bucket ? Math.max(0, now - bucket.at) * perMs : rule.burst;
  const tokens = Math.min(rule.burst, (bucket?.tokens ?? 0) + gained);
  if (tokens >= 1) return { tokens: tokens - 1, at: now, waitMs: 0 };
  return { tokens, at: now, waitMs: (1 - tokens) / perMs };
}

type Take = (key: string, rule: BucketRule, now: number) => number;

/** Buckets in order of use: the one that was idle longest is forgotten first, and it is the fullest. */
function createBuckets(maxBuckets: number): Take {
  const buckets = new Map<string, Bucket>();
  return (key, rule, now) => {
    const { waitMs, ...next } = planTake(buckets.get(key), rule, now);
    buckets.delete(key);
    buckets.set(key, next);
    if (buckets.size > maxBuckets) {
      for (const oldest of buckets.keys()) {
        buckets.delete(oldest);
        break;
      }
    }
    return waitMs;
  };
}

export interface SignInLimits {
  /**
   * Counts one request. `ip` is the client's as the server sees it, null when it is not known; `subject` is the address or
   * user that it is about.
   *
   * @throws RATE_LIMITED with the seconds to wait.
   */
  take(action: SignInAction, from: { readonly ip: string | null; readonly subject: string | null }): void;
}

export interface SignInLimitsOptions {
  readonly clock: Clock;
  /** @default SIGN_IN_RULES */
  readonly rules?: SignInRules;
  /** @default 10000 */
  readonly maxBuckets?: number;
}

export function createSignInLimits(options: SignInLimitsOptions): SignInLimits {
  const { clock, rules = SIGN_IN_RULES, maxBuckets = MAX_BUCKETS } = options;
  const takers = new Map<string, Take>();
  const takerOf = (name: string): Take => {
    const take = takers.get(name) ?? createBuckets(maxBuckets);
    takers.set(name, take);
    return take;
  };
  return {
    take(action, { ip, subject }) {
      const now = clock.monotonic();
      const { network, subject: subjectRule } = rules[action];
      const networkWaitMs = ip === null ? 0 : takerOf(`${action}:network`)(networkOf(ip), network, now);
      // A refused network must not use up the tokens of the address that it names.
      const refused = networkWaitMs > 0 || subject === null;
      const waitMs = refused ? networkWaitMs : takerOf(`${action}:subject`)(subject, subjectRule, now);
      if (waitMs > 0) throw authError("RATE_LIMITED", { retryAfterSecs: Math.ceil(waitMs / 1000) });
    },
  };
}
