// Reads what an operator allows in spite of the guard: hosts with an optional port, and blocks of addresses. An entry is
// either understood completely or a problem; a wildcard, a scheme or a path is never silently ignored.
import type { Problem } from "../core/errors.ts";
import { type Cidr, formatAddress, parseAddress, parseCidr, unmapAddress } from "./address.ts";

/** A host as the guard compares it. `port` undefined allows every port. */
export interface AllowedHost {
  /** Lower case, without trailing dot and brackets; an address in its canonical text. */
  readonly host: string;
  readonly port: number | undefined;
}

/** What the entries say, or every problem that they have. `allow_hosts` and `allow_cidrs` name the problems' paths. */
export interface GuardEntries {
  readonly allowHosts: readonly AllowedHost[];
  readonly allowCidrs: readonly Cidr[];
  readonly problems: readonly Problem[];
}

const HOST_AND_PORT = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?$/;
/** What would make the URL parser read something else than a host out of the entry. */
const NOT_A_HOST = /[\s/\\@?#*%<>^|]/;

/** The form in which hosts are compared: an IPv6 address without brackets and mapped addresses as IPv4, no trailing dots. */
export function canonicalHost(urlHostname: string): string {
  const bare = urlHostname.startsWith("[") ? urlHostname.slice(1, -1) : urlHostname.replace(/\.+$/, "");
  const address = parseAddress(bare);
  return address ? formatAddress(unmapAddress(address)) : bare;
}

function parseHost(text: string): string | undefined {
  if (NOT_A_HOST.test(text)) return undefined;
  const url = URL.parse(`http://${text}/`);
  return url ? canonicalHost(url.hostname) || undefined : undefined;
}

/** Reads `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address. Undefined when it is none of these. */
export function parseAllowedHost(entry: string): AllowedHost | undefined {
  const bare = parseAddress(entry);
  if (bare) return { host: formatAddress(unmapAddress(bare)), port: undefined };
  const match = HOST_AND_PORT.exec(entry);
  const host = match?.[1] === undefined ? undefined : parseHost(match[1]);
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (host === undefined || (port !== undefined && (port < 1 || port > 65_535))) return undefined;
  return { host, port };
}

/** Reads the lists of a configuration and gives every problem at once. */
export function parseGuardEntries(lists: {
  readonly allow_hosts?: readonly string[];
  readonly allow_cidrs?: readonly string[];
}): GuardEntries {
  const problems: Problem[] = [];
  const readAll = <Value>(list: string, parse: (entry: string) => Value | undefined, expected: string): Value[] =>
    (lists[list as keyof typeof lists] ?? []).flatMap((entry, index) => {
      const value = parse(entry);
      if (value !== undefined) return [value];
      problems.push({
        path: `${list}.${index}`,
        message: `Cannot read ${JSON.stringify(entry)}: expected ${expected}`,
      });
      return [];
    });
  return {
    allowHosts: readAll("allow_hosts", parseAllowedHost, "host, host:port or [v6]:port"),
    allowCidrs: readAll("allow_cidrs", parseCidr, "address/bits with no bits set beyond the prefix"),
    problems,
  };
}
