// Every block of addresses that a public service cannot be at: the IANA special-purpose registries of both families, and
// what they leave out. First match names the reason; a block is here even where a more specific row of it is routable.
import { type Address, type Cidr, cidrContains, parseCidr, unmapAddress } from "./address.ts";

/** One refused block, why, and the document that says so. */
export interface SpecialRange {
  readonly cidr: Cidr;
  readonly name: string;
  readonly source: string;
}

/** Block, name, source. More specific rows stand before the block that holds them, so that the reason is the closest one. */
const ROWS: readonly (readonly [cidr: string, name: string, source: string])[] = [
  ["0.0.0.0/8", "this network", "RFC 791 section 3.2"],
  ["10.0.0.0/8", "private use", "RFC 1918"],
  ["100.64.0.0/10", "shared address space", "RFC 6598"],
  ["127.0.0.0/8", "loopback", "RFC 1122 section 3.2.1.3"],
  // Link-local carries the metadata services of AWS, Google Cloud and Azure at 169.254.169.254.
  ["169.254.0.0/16", "link-local", "RFC 3927"],
  ["168.63.129.16/32", "Azure platform service", "Azure, virtual public IP of the host"],
  ["172.16.0.0/12", "private use", "RFC 1918"],
  ["192.0.0.0/24", "IETF protocol assignments", "RFC 6890 section 2.1"],
  ["192.0.2.0/24", "documentation", "RFC 5737"],
  ["192.88.99.0/24", "6to4 relay anycast", "RFC 7526"],
  ["192.168.0.0/16", "private use", "RFC 1918"],
  ["198.18.0.0/15", "benchmarking", "RFC 2544"],
  ["198.51.100.0/24", "documentation", "RFC 5737"],
  ["203.0.113.0/24", "documentation", "RFC 5737"],
  ["224.0.0.0/4", "multicast", "RFC 5771"],
  ["255.255.255.255/32", "limited broadcast", "RFC 919 section 7"],
  ["240.0.0.0/4", "reserved", "RFC 1112 section 4"],

  ["::/128", "unspecified", "RFC 4291 section 2.5.2"],
  ["::1/128", "loopback", "RFC 4291 section 2.5.3"],
  ["::/96", "IPv4-compatible", "RFC 4291 section 2.5.5.1"],
  ["::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 section 2.1"],
  // A gateway of the own network decides where these lead, private addresses included.
  ["64:ff9b::/96", "NAT64", "RFC 6052"],
  ["64:ff9b:1::/48", "local-use NAT64", "RFC 8215"],
  ["100::/64", "discard-only", "RFC 6666"],
  ["100:0:0:1::/64", "dummy prefix", "RFC 9780"],
  ["2001::/32", "Teredo", "RFC 4380"],
  ["2001:2::/48", "benchmarking", "RFC 5180"],
  ["2001:10::/28", "ORCHID", "RFC 4843"],
  ["2001:20::/28", "ORCHIDv2", "RFC 7343"],
  ["2001:30::/28", "drone remote ID", "RFC 9374"],
  ["2001::/23", "IETF protocol assignments", "RFC 2928"],
  ["2001:db8::/32", "documentation", "RFC 3849"],
  ["2002::/16", "6to4", "RFC 3056"],
  ["3fff::/20", "documentation", "RFC 9637"],
  ["5f00::/16", "segment routing", "RFC 9602"],
  ["fc00::/7", "unique local", "RFC 4193"],
  ["fe80::/10", "link-local", "RFC 4291 section 2.5.6"],
  ["fec0::/10", "site-local", "RFC 3879"],
  ["ff00::/8", "multicast", "RFC 4291 section 2.7"],
  // Public unicast is 2000::/3. What is assigned outside of it one day is refused until this table learns of it.
  ["::/3", "not global unicast", "RFC 4291 section 2.4"],
  ["4000::/2", "not global unicast", "RFC 4291 section 2.4"],
  ["8000::/1", "not global unicast", "RFC 4291 section 2.4"],
];

function readCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr) throw new TypeError(`Cannot read the block "${text}"`);
  return cidr;
}

/** The refused blocks, in the order in which they are tried. */
export const SPECIAL_RANGES: readonly SpecialRange[] = ROWS.map(([cidr, name, source]) => ({
  cidr: readCidr(cidr),
  name,
  source,
}));

const BY_FAMILY = {
  4: SPECIAL_RANGES.filter(({ cidr }) => cidr.family === 4),
  6: SPECIAL_RANGES.filter(({ cidr }) => cidr.family === 6),
} as const;

/** The refused block that holds `address`, or undefined when it is public. An IPv4-mapped address counts as the one it carries. */
export function findSpecialRange(address: Address): SpecialRange | undefined {
  const judged = unmapAddress(address);
  return BY_FAMILY[judged.family].find(({ cidr }) => cidrContains(cidr, judged));
}

const LOOPBACK: readonly Cidr[] = ["127.0.0.0/8", "::1/128"].map(readCidr);

/** Whether `address` is this machine's own: 127.0.0.0/8 or ::1, mapped forms included. */
export function isLoopback(address: Address): boolean {
  const judged = unmapAddress(address);
  return LOOPBACK.some((cidr) => cidrContains(cidr, judged));
}
