// The network that a client's requests are counted under: whoever has one address of a /64 has all of them.

import { formatAddress, parseAddress, unmapAddress } from "../net/address.ts";

const MAX_TEXT_CHARS = 64;

/** An IPv4 address, the first 64 bits of an IPv6 one, or the text when it is neither (a socket path). */
export function networkOf(ip: string): string {
  const parsed = parseAddress(ip);
  if (!parsed) return ip.slice(0, MAX_TEXT_CHARS);
  const address = unmapAddress(parsed);
  if (address.family === 4) return formatAddress(address);
  const [high = 0, low = 0] = address.words;
  return `${formatAddress({ family: 6, words: [high, low, 0, 0] })}/64`;
}
