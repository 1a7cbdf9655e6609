// Both edges of every refused block, the table read as intervals of numbers, and public neighbours by example.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Address, type Cidr, cidrContains, formatAddress, parseAddress } from "../../src/net/address.ts";
import { findSpecialRange, isLoopback, SPECIAL_RANGES } from "../../src/net/special-ranges.ts";

function toNumber(address: Address): bigint {
  return address.words.reduce((value, word) => value * 2n ** 32n + BigInt(word), 0n);
}

function fromNumber(family: 4 | 6, value: bigint): Address | undefined {
  const words = family === 4 ? 1 : 4;
  if (value < 0n || value >= 2n ** BigInt(words * 32)) return undefined;
  return {
    family,
    words: Array.from({ length: words }, (_, index) =>
      Number((value >> BigInt((words - 1 - index) * 32)) & 0xffffffffn),
    ),
  };
}

function edges(cidr: Cidr): { readonly first: bigint; readonly last: bigint } {
  const first = toNumber(cidr);
  return { first, last: first + 2n ** BigInt(cidr.words.length * 32 - cidr.prefixBits) - 1n };
}

/** Independent of masks and of the order of the table: does any row hold the address, by numbers alone. */
function isRefused(address: Address): boolean {
  const value = toNumber(address);
  return SPECIAL_RANGES.some(({ cidr }) => {
    const { first, last } = edges(cidr);
    return cidr.family === address.family && first <= value && value <= last;
  });
}

describe("findSpecialRange()", () => {
  for (const { cidr, name } of SPECIAL_RANGES) {
    it(`ends where ${formatAddress(cidr)}/${cidr.prefixBits} (${name}) ends`, () => {
      const { first, last } = edges(cidr);
      for (const inside of [first, last]) {
        const address = fromNumber(cidr.family, inside)!;
        assert.ok(findSpecialRange(address), formatAddress(address));
        assert.equal(cidrContains(cidr, address), true);
      }
      for (const outside of [first - 1n, last + 1n]) {
        const address = fromNumber(cidr.family, outside);
        if (!address) continue;
        assert.equal(cidrContains(cidr, address), false);
        assert.equal(findSpecialRange(address) !== undefined, isRefused(address), formatAddress(address));
      }
    });
  }

  it("agrees with the table read as intervals, for any IPv4 address", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (word) => {
        const address: Address = { family: 4, words: [word] };
        assert.equal(findSpecialRange(address) !== undefined, isRefused(address));
      }),
      { numRuns: 2000 },
    );
  });

  it("judges an IPv4-mapped address as the one inside", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (word) => {
        const plain: Address = { family: 4, words: [word] };
        const mapped: Address = { family: 6, words: [0, 0, 0xffff, word] };
        assert.deepEqual(findSpecialRange(mapped), findSpecialRange(plain));
        assert.equal(isLoopback(mapped), isLoopback(plain));
      }),
    );
  });

  it("refuses every IPv6 address outside of 2000::/3", () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), (words) => {
        const address: Address = { family: 6, words };
        const isMapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
        if (words[0] >>> 29 !== 1 && !isMapped) assert.ok(findSpecialRange(address), formatAddress(address));
      }),
      { numRuns: 1000 },
    );
  });

  const refused: readonly (readonly [string, string])[] = [
    ["0.255.255.255", "this network"],
    ["168.63.129.16", "Azure platform service"],
    ["192.0.0.9", "IETF protocol assignments"],
    ["255.255.255.255", "limited broadcast"],
    ["254.1.2.3", "reserved"],
    ["::", "unspecified"],
    ["::2", "IPv4-compatible"],
    ["::ffff:0:a9fe:a9fe", "IPv4-translated"],
    ["64:ff9b::a9fe:a9fe", "NAT64"],
    ["64:ff9b:1:ffff::1", "local-use NAT64"],
    ["100:0:0:1::1", "dummy prefix"],
    ["2001:0:4136:e378::", "Teredo"],
    ["2001:2f::1", "ORCHIDv2"],
    ["2001:1ff:ffff::", "IETF protocol assignments"],
    ["2002:7f00:1::", "6to4"],
    ["3fff:fff::1", "documentation"],
    ["5f00::1", "segment routing"],
    ["fd00:ec2::254", "unique local"],
    ["feff::1", "site-local"],
    ["fe00::1", "not global unicast"],
    ["4000::1", "not global unicast"],
  ];
  for (const [text, name] of refused) {
    it(`calls ${text} ${name}`, () => assert.equal(findSpecialRange(parseAddress(text)!)?.name, name));
  }

  const allowed =
    "1.1.1.1|168.63.129.15|168.63.129.17|192.0.1.0|192.31.196.1|223.255.255.255|2001:200::|2001:db7::1|2001:db9::";
  for (const text of [
    ...allowed.split("|"),
    "2003::1",
    "3fff:1000::",
    "3fff:ffff::",
    "2620:4f:8000::1",
    "::ffff:8.8.8.8",
  ]) {
    it(`lets ${text} pass`, () => assert.equal(findSpecialRange(parseAddress(text)!), undefined));
  }
});
