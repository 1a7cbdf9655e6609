// One hop of an outbound call: judge the URL, look the name up, judge the answer, connect to what was judged. Nothing
// between the judgement and the connection asks DNS again.
import type { Clock } from "../core/clock.ts";
import type { Dialer, DialInit } from "./dialer.ts";
import type { Blocked, Guard } from "./guard.ts";
import { createLookupCache } from "./lookup-cache.ts";
import { failureOf, type NetFailure, netFailure } from "./net-failure.ts";

/** What a hop came to: a response whose body is unread, or why there is none. */
export type Dialed =
  | { readonly kind: "opened"; readonly response: Response; readonly url: URL }
  | Blocked
  | { readonly kind: "failed"; readonly failure: NetFailure };

export interface PinnedDialOptions {
  readonly guard: Guard;
  readonly dialer: Dialer;
  readonly clock: Clock;
}

/** Addresses of one name that are tried when connecting fails. Nothing was sent to the ones before, so a POST is safe. */
const MAX_ADDRESSES = 3;

interface Target {
  readonly kind: "target";
  readonly url: URL;
  readonly addresses: readonly string[];
}

function failed(failure: NetFailure): { readonly kind: "failed"; readonly failure: NetFailure } {
  return { kind: "failed", failure };
}

/** Creates the function that sends one request to the place that its URL names. It never rejects. */
export function createPinnedDial(options: PinnedDialOptions): (url: string | URL, init: DialInit) => Promise<Dialed> {
  const { guard, dialer, clock } = options;
  const lookup = createLookupCache({ resolve: async (host) => dialer.resolve(host), clock });

  const findTarget = async (input: string | URL): Promise<Target | Exclude<Dialed, { kind: "opened" }>> => {
    const verdict = guard.judgeUrl(input);
    if (verdict.kind === "blocked") return verdict;
    if (verdict.kind === "allowed-literal") return { kind: "target", url: verdict.url, addresses: [verdict.address] };
    const answer = await lookup(verdict.host).catch(() => []);
    if (answer.length === 0) return failed(netFailure("NET_DNS"));
    const judged = guard.judgeAddresses(verdict.host, verdict.port, answer);
    return judged.kind === "blocked" ? judged : { kind: "target", url: verdict.url, addresses: judged.addresses };
  };

  const connect = async ({ url, addresses }: Target, init: DialInit): Promise<Dialed> => {
    let failure = netFailure("NET_DNS");
    for (const address of addresses.slice(0, MAX_ADDRESSES)) {
      // A lookup cannot be called off, so the caller may have left while it ran.
      if (init.signal.aborted) return failed(netFailure("NET_ABORTED"));
      try {
        return { kind: "opened", url, response: await dialer.fetchPinned(url, address, init) };
      } catch (error) {
        failure = init.signal.aborted ? netFailure("NET_ABORTED") : failureOf(error);
        if (failure.code !== "NET_CONNECT") break;
      }
    }
    return failed(failure);
  };

  return async (url, init) => {
    const target = await findTarget(url);
    return target.kind === "target" ? connect(target, init) : target;
  };
}
