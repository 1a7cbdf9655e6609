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

/** URLs whose judgement is remembered, and the longest one that is. */
const MAX_TARGETS = 1000;
const MAX_TARGET_LENGTH = 2048;

interface Target {
  readonly kind: "target";
  readonly url: URL;
  readonly addresses: readonly string[];
  /** Until when the judgement stands, on the monotonic clock: as long as the lookup behind it. */
  readonly expiresAtMs: number;
}

type Refusal = Exclude<Dialed, { kind: "opened" }>;

function failed(failure: NetFailure): Refusal {
  return { kind: "failed", failure };
}

/** Judges a URL and the addresses of its name. */
function createTargetFinder({
  guard,
  dialer,
  clock,
}: PinnedDialOptions): (url: string | URL) => Promise<Target | Refusal> {
  const lookup = createLookupCache({ resolve: async (host) => dialer.resolve(host), clock });
  return async (input) => {
    const verdict = guard.judgeUrl(input);
    if (verdict.kind === "blocked") return verdict;
    const { url } = verdict;
    if (verdict.kind === "allowed-literal") {
      return { kind: "target", url, addresses: [verdict.address], expiresAtMs: Number.POSITIVE_INFINITY };
    }
    const { addresses, expiresAtMs } = lookup(verdict.host);
    const answer = await addresses.catch(() => []);
    if (answer.length === 0) return failed(netFailure("NET_DNS"));
    // All of them are judged, the first few are tried.
    const judged = guard.judgeAddresses(verdict.host, verdict.port, answer);
    if (judged.kind === "blocked") return judged;
    return { kind: "target", url, addresses: judged.addresses.slice(0, MAX_ADDRESSES), expiresAtMs };
  };
}

/** Remembers allowed targets of the same text while their lookup stands: a guard's judgement of the same input is the same. */
function rememberTargets(
  find: (url: string) => Promise<Target | Refusal>,
  clock: Clock,
): (url: string) => Target | Promise<Target | Refusal> {
  const targets = new Map<string, Target>();
  const remember = (url: string, target: Target): void => {
    targets.delete(url);
    targets.set(url, target);
    const oldest = targets.size > MAX_TARGETS ? targets.keys().next() : undefined;
    if (oldest?.done === false) targets.delete(oldest.value);
  };
  return (url) => {
    const known = targets.get(url);
    if (known && clock.monotonic() < known.expiresAtMs) return known;
    return find(url).then((found) => {
      if (found.kind === "target" && url.length <= MAX_TARGET_LENGTH) remember(url, found);
      return found;
    });
  };
}

/** Creates the function that sends one request to the place that its URL names. It never rejects. */
export function createPinnedDial(options: PinnedDialOptions): (url: string, init: DialInit) => Promise<Dialed> {
  const { dialer, clock } = options;
  const findTarget = rememberTargets(createTargetFinder(options), clock);

  const connect = async ({ url, addresses }: Target, init: DialInit): Promise<Dialed> => {
    let failure = netFailure("NET_DNS");
    for (const address of addresses) {
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

  const open = (found: Target | Refusal, init: DialInit): Promise<Dialed> =>
    found.kind === "target" ? connect(found, init) : Promise.resolve(found);

  return (url, init) => {
    const found = findTarget(url);
    return found instanceof Promise ? found.then((target) => open(target, init)) : open(found, init);
  };
}
