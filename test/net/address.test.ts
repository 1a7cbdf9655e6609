// Addresses and blocks against the platform's URL parser and against arithmetic on bits.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type Address,
  cidrContains,
  formatAddress,
  parseAddress,
  parseCidr,
  unmapAddress,
} from "../../src/net/address.ts";

const word = fc.integer({ min: 0, max: 0xffffffff });
/** Many zero groups, so that compression is exercised. */
const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 0xffff }));
const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups): Address => {
  const at = (index: number): number => ((groups[index]! << 16) | groups[index + 1]!) >>> 0;
  return { family: 6, words: [at(0), at(2), at(4), at(6)] };
});
const address = fc.oneof(
  word.map((value): Address => ({ family: 4, words: [value] })),
  ipv6,
);

describe("parseAddress()", () => {
  it("reads what formatAddress() prints", () => {
    fc.assert(fc.property(address, (value) => assert.deepEqual(parseAddress(formatAddress(value)), value)));
  });

  it("agrees with the URL parser on IPv6, in printing too", () => {
    fc.assert(
      fc.property(ipv6, (value) => {
        const text = formatAddress(value);
        assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`);
      }),
    );
  });

  it("accepts no IPv6 text that the URL parser refuses, and reads it alike", () => {
    const digit = fc.constantFrom(...Array.from("0123456789abcF:::."));
    fc.assert(
      fc.property(fc.string({ unit: digit, maxLength: 24 }), (text) => {
        const parsed = text.includes(":") ? parseAddress(text) : undefined;
        // Not the other way around: Bun's URL parser is lenient with "::0:", whose hostname it then prints canonically.
        if (parsed) assert.equal(URL.parse(`http://[${text}]/`)?.hostname, `[${formatAddress(parsed)}]`);
      }),
      { numRuns: 5000 },
    );
  });

  const texts: readonly (readonly [string, string])[] = [
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4"],
    ["0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"],
    ["::FFFF:1.2.3.4", "::ffff:102:304"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["0:0:0:0:0:0:0:0", "::"],
  ];
  for (const [text, printed] of texts) {
    it(`prints "${text}" as "${printed}"`, () => assert.equal(formatAddress(parseAddress(text)!), printed));
  }

  const refused = [
    ..."127.1|127.0.0.01|0177.0.0.1|256.0.0.1|1.2.3|1.2.3.4.5|1.2.3.|.1.2.3|1..2.3|1.2.3.4 | 1.2.3.4|+1.2.3.4".split(
      "|",
    ),
    ..."|1:2:3:4:5:6:7|1:2:3:4:5:6:7:8:9|1::2::3|:::|:1:2:3:4:5:6:7|1:2:3:4:5:6:7:|12345::|g::|::1%eth0".split("|"),
    ..."[::1]|::1.2.3|::1.2.3.256|1.2.3.4::|::1.2.3.4:5|1:2:3:4:5:6:7:1.2.3.4|1:2:3:4:5:6:7:8::|１.2.3.4|localhost".split(
      "|",
    ),
    "0".repeat(1_000_000),
    ":".repeat(1_000_000),
    `${"1.".repeat(500_000)}1`,
  ];
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseAddress(text), undefined));
  }
});

describe("unmapAddress()", () => {
  it("gives the IPv4 address inside and leaves others alone", () => {
    assert.equal(formatAddress(unmapAddress(parseAddress("::ffff:127.0.0.1")!)), "127.0.0.1");
    for (const text of ["::127.0.0.1", "::fffe:7f00:1", "1::ffff:7f00:1", "0:0:1:0:0:ffff:7f00:1", "10.0.0.1"]) {
      const value = parseAddress(text)!;
      assert.equal(unmapAddress(value), value);
    }
  });
});

describe("parseCidr()", () => {
  it("holds exactly the addresses that share the prefix", () => {
    const block = fc
      .tuple(address, fc.nat(128))
      .map(([value, bits]) => ({ value, bits: bits % (value.words.length * 32 + 1) }));
    fc.assert(
      fc.property(block, address, ({ value, bits }, other) => {
        const text = (item: Address): string => item.words.map((part) => part.toString(2).padStart(32, "0")).join("");
        const first = text(value)
          .slice(0, bits)
          .padEnd(value.words.length * 32, "0");
        const words = value.words.map((_, index) => Number.parseInt(first.slice(index * 32, index * 32 + 32), 2));
        const cidr = parseCidr(`${formatAddress({ family: value.family, words })}/${bits}`);
        assert.ok(cidr);
        if (cidr.family !== value.family) return; // A block of mapped addresses became the IPv4 block.
        assert.equal(cidrContains(cidr, value), true);
        const isSame = other.family === value.family && text(other).slice(0, bits) === text(value).slice(0, bits);
        assert.equal(cidrContains(cidr, other), isSame);
      }),
      { numRuns: 1000 },
    );
  });

  it("reads a bare address as a block of one, and a mapped block as IPv4", () => {
    assert.deepEqual(parseCidr("10.0.0.1"), parseCidr("10.0.0.1/32"));
    assert.deepEqual(parseCidr("::1"), parseCidr("::1/128"));
    assert.deepEqual(parseCidr("::ffff:10.0.0.0/104"), parseCidr("10.0.0.0/8"));
  });

  for (const text of [
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "/8",
    "fc00::1/7",
    "::/129",
    "10/8",
    "",
  ]) {
    it(`refuses "${text}"`, () => assert.equal(parseCidr(text), undefined));
  }
});
