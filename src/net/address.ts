// IPv4 and IPv6 addresses and blocks as 32-bit words. Only canonical-enough literals are read: dotted decimal without
// leading zeros, RFC 4291 text without zone ids; every reader is linear in the length of its input.

/** An address: one word for IPv4, four for IPv6, each 0 … 2^32-1, most significant first. */
export interface Address {
  readonly family: 4 | 6;
  readonly words: readonly number[];
}

/** A block of addresses. `words` holds its first address; `masks` the bits of each word that belong to the prefix. */
export interface Cidr extends Address {
  readonly prefixBits: number;
  readonly masks: readonly number[];
}

/** The longest IPv6 text: eight groups with an IPv4 tail. Nothing longer is looked at. */
const MAX_TEXT_LENGTH = 45;
const MAPPED_MARK = 0xffff;
const MAPPED_PREFIX_BITS = 96;

function parseDecimal(text: string, max: number): number | undefined {
  if (text.length === 0 || text.length > 3) return undefined;
  let value = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  // A leading zero means octal to some readers and decimal to others; a checker that guesses is a bypass.
  return value > max || (text.length > 1 && text.startsWith("0")) ? undefined : value;
}

function parseIpv4Word(text: string): number | undefined {
  if (text.length > 15) return undefined;
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let word = 0;
  for (const part of parts) {
    const octet = parseDecimal(part, 255);
    if (octet === undefined) return undefined;
    word = word * 256 + octet;
  }
  return word;
}

function parseGroup(text: string): number | undefined {
  return /^[0-9a-fA-F]{1,4}$/.test(text) ? Number.parseInt(text, 16) : undefined;
}

/** The 16-bit groups of one side of `::`; a dotted tail counts as two. */
function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (mayEndInIpv4 && index === parts.length - 1 && part.includes(".")) {
      const word = parseIpv4Word(part);
      if (word === undefined) return undefined;
      groups.push(word >>> 16, word & 0xffff);
      continue;
    }
    const group = parseGroup(part);
    if (group === undefined) return undefined;
    groups.push(group);
  }
  return groups;
}

function joinGroups(groups: readonly number[]): Address {
  const word = (index: number): number => (((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0)) >>> 0;
  return { family: 6, words: [word(0), word(2), word(4), word(6)] };
}

function parseIpv6(text: string): Address | undefined {
  if (text.length > MAX_TEXT_LENGTH) return undefined;
  const gap = text.indexOf("::");
  if (gap === -1) {
    const groups = parseGroups(text, true);
    return groups?.length === 8 ? joinGroups(groups) : undefined;
  }
  const head = parseGroups(text.slice(0, gap), false);
  const tail = parseGroups(text.slice(gap + 2), true);
  if (!head || !tail || head.length + tail.length > 7) return undefined;
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return joinGroups([...head, ...zeros, ...tail]);
}

/** Reads an address literal, IPv6 without brackets. Undefined for anything else, zone ids included. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(":")) return parseIpv6(text);
  const word = parseIpv4Word(text);
  return word === undefined ? undefined : { family: 4, words: [word] };
}

/** Undoes the IPv4-mapped form `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2), which reaches the IPv4 address it carries. */
export function unmapAddress(address: Address): Address {
  const [first, second, third, fourth = 0] = address.words;
  const isMapped = address.family === 6 && first === 0 && second === 0 && third === MAPPED_MARK;
  return isMapped ? { family: 4, words: [fourth] } : address;
}

function formatIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`;
}

/** Where the longest run of two or more zero groups starts and ends; the first one of equals. */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly end: number } {
  let best = { start: 0, end: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] === 0) continue;
    if (index - start > best.end - best.start) best = { start, end: index };
    start = index + 1;
  }
  return best.end - best.start >= 2 ? best : { start: 0, end: 0 };
}

function formatIpv6(words: readonly number[]): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  const run = longestZeroRun(groups);
  const print = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (run.end === 0) return print(groups);
  return `${print(groups.slice(0, run.start))}::${print(groups.slice(run.end))}`;
}

/** Canonical text: dotted decimal, or RFC 5952 without brackets and without a dotted tail. */
export function formatAddress(address: Address): string {
  return address.family === 4 ? formatIpv4(address.words[0] ?? 0) : formatIpv6(address.words);
}

function maskOf(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;
}

function createCidr(address: Address, prefixBits: number): Cidr {
  const masks = address.words.map((_, index) => maskOf(prefixBits - index * 32));
  return { ...address, prefixBits, masks };
}

/**
 * Reads `address/bits`, or a bare address as a block of one. Undefined when it does not parse or when bits are set
 * beyond the prefix. A block within `::ffff:0:0/96` becomes the IPv4 block that it means.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (!address) return undefined;
  const widest = address.words.length * 32;
  const bits = slash === -1 ? widest : parseDecimal(text.slice(slash + 1), widest);
  if (bits === undefined) return undefined;
  const cidr = createCidr(address, bits);
  if (cidr.words.some((word, index) => (word & (cidr.masks[index] ?? 0)) >>> 0 !== word)) return undefined;
  const unmapped = bits >= MAPPED_PREFIX_BITS ? unmapAddress(address) : address;
  return unmapped === address ? cidr : createCidr(unmapped, bits - MAPPED_PREFIX_BITS);
}

/** Whether `address` lies in `cidr`. An IPv4 block never holds an IPv6 address, mapped or not: unmap first. */
export function cidrContains(cidr: Cidr, address: Address): boolean {
  if (cidr.family !== address.family) return false;
  for (let index = 0; index < cidr.words.length; index++) {
    if (((address.words[index] ?? 0) & (cidr.masks[index] ?? 0)) >>> 0 !== cidr.words[index]) return false;
  }
  return true;
}
