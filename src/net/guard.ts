// Decides whether an outbound call may go where its URL says. Pure: a literal address is judged at once, a name only by all
// the addresses that a lookup gave, and one forbidden address among them refuses the name.
import { type Address, type Cidr, cidrContains, formatAddress, parseAddress, unmapAddress } from "./address.ts";
import { type AllowedHost, canonicalHost } from "./guard-entries.ts";
import { findSpecialRange, isLoopback } from "./special-ranges.ts";

export interface GuardOptions {
  /** When false every address is allowed; scheme and user information are refused all the same. @default true */
  readonly enabled?: boolean;
  /** Hosts whose addresses are not judged. */
  readonly allowHosts?: readonly AllowedHost[];
  /** Blocks that are allowed although they are not public. */
  readonly allowCidrs?: readonly Cidr[];
  /** Whether this machine's own addresses, and `localhost`, are allowed: for development. @default "refuse" */
  readonly loopback?: "refuse" | "allow";
}

export interface Blocked {
  readonly kind: "blocked";
  /** Sentence for the owner of the target. Never names an address that a lookup gave. */
  readonly reason: string;
  /** Whether the URL by itself is at fault, so that no change in DNS can make it allowed. */
  readonly literal: boolean;
}

/** What a URL alone says. `host` is the name to look up, without trailing dots; `address` the canonical text to connect to. */
export type TargetVerdict =
  | { readonly kind: "allowed-literal"; readonly url: URL; readonly address: string }
  | { readonly kind: "needs-lookup"; readonly url: URL; readonly host: string; readonly port: number }
  | Blocked;

/** What a lookup's answer says. `addresses` are canonical texts in the order of the answer. */
export type AddressesVerdict = { readonly kind: "allowed"; readonly addresses: readonly string[] } | Blocked;

export interface Guard {
  judgeUrl(url: string | URL): TargetVerdict;
  /** `host` and `port` as the `needs-lookup` verdict gave them. An empty answer is allowed and leads nowhere. */
  judgeAddresses(host: string, port: number, addresses: readonly string[]): AddressesVerdict;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** Names that mean a private network whatever a resolver says; each stands for itself and everything below it. */
const PRIVATE_NAMES: readonly (readonly [name: string, why: string])[] = [
  ["localhost", "this machine (RFC 6761)"],
  ["local", "multicast DNS (RFC 6762)"],
  // Google Cloud serves instance credentials at metadata.google.internal.
  ["internal", "private networks (ICANN resolution 2024.07.29.06)"],
  ["localdomain", "this machine or network"],
  ["home.arpa", "home networks (RFC 8375)"],
];

function isWithin(host: string, name: string): boolean {
  return host === name || host.endsWith(`.${name}`);
}

function blocked(reason: string, literal: boolean): Blocked {
  return { kind: "blocked", reason, literal };
}

function matchesHost(allowed: readonly AllowedHost[], host: string, port: number): boolean {
  return allowed.some((entry) => entry.host === host && (entry.port === undefined || entry.port === port));
}

/** Refuses what no setting can allow: another scheme, user information, no host. */
function readTarget(input: string | URL): URL | Blocked {
  const url = typeof input === "string" ? URL.parse(input) : input;
  if (!url) return blocked("The URL cannot be read", true);
  if (!Object.hasOwn(DEFAULT_PORTS, url.protocol)) return blocked("Only http and https are allowed", true);
  // `http://trusted.example@evil.example/` is read as the first host by people and as the second by machines.
  if (url.username !== "" || url.password !== "") return blocked("User information is not allowed in a URL", true);
  // "http://./" parses and names nothing.
  return canonicalHost(url.hostname) === "" ? blocked("The URL has no host", true) : url;
}

/** Creates the judge of outbound targets. It keeps no state, so one serves every tenant and every thread of work. */
export function createGuard(options: GuardOptions = {}): Guard {
  const { enabled = true, allowHosts = [], allowCidrs = [], loopback = "refuse" } = options;
  const allowsLoopback = loopback === "allow";

  const forbiddenRange = (address: Address): string | undefined => {
    if (!enabled || (allowsLoopback && isLoopback(address))) return undefined;
    const range = findSpecialRange(address);
    if (!range) return undefined;
    const judged = unmapAddress(address);
    return allowCidrs.some((cidr) => cidrContains(cidr, judged)) ? undefined : range.name;
  };

  const judgeLiteral = (url: URL, address: Address, isAllowedHost: boolean): TargetVerdict => {
    const range = isAllowedHost ? undefined : forbiddenRange(address);
    if (range !== undefined) return blocked(`The address is not public: ${range}`, true);
    return { kind: "allowed-literal", url, address: formatAddress(unmapAddress(address)) };
  };

  const privateName = (host: string): string | undefined => {
    if (!enabled || (allowsLoopback && isWithin(host, "localhost"))) return undefined;
    return PRIVATE_NAMES.find(([name]) => isWithin(host, name))?.[1];
  };

  return {
    judgeUrl(input) {
      const url = readTarget(input);
      if ("kind" in url) return url;
      const host = canonicalHost(url.hostname);
      const port = url.port === "" ? (DEFAULT_PORTS[url.protocol] ?? 0) : Number(url.port);
      const isAllowedHost = matchesHost(allowHosts, host, port);
      const address = parseAddress(host);
      if (address) return judgeLiteral(url, address, isAllowedHost);
      const why = isAllowedHost ? undefined : privateName(host);
      if (why !== undefined) return blocked(`The host name belongs to ${why}`, false);
      return { kind: "needs-lookup", url, host, port };
    },
    judgeAddresses(host, port, addresses) {
      const isAllowedHost = matchesHost(allowHosts, host, port);
      const canonical: string[] = [];
      for (const text of addresses) {
        const address = parseAddress(text);
        // An answer that this parser does not know, such as one with a zone id, is refused rather than handed on.
        if (!address) return blocked("The host has an address that cannot be judged", false);
        // One public address among private ones is how a rebinding name gets past a check of the first answer only.
        if (!isAllowedHost && forbiddenRange(address) !== undefined) {
          return blocked("The host has an address that is not public", false);
        }
        canonical.push(formatAddress(unmapAddress(address)));
      }
      return { kind: "allowed", addresses: canonical };
    },
  };
}
