// The guard for any address and any text: one judgement for all spellings, and never an exception.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Address, cidrContains, formatAddress, parseCidr } from "../../src/net/address.ts";
import { createGuard } from "../../src/net/guard.ts";
import { findSpecialRange } from "../../src/net/special-ranges.ts";

const word = fc.integer({ min: 0, max: 0xffffffff });
const ipv4 = word.map((value): Address => ({ family: 4, words: [value] }));
const ipv6 = fc.tuple(word, word, word, word).map((words): Address => ({ family: 6, words }));
const address = fc.oneof(ipv4, ipv6);

function urlOf(value: Address): string {
  const text = formatAddress(value);
  return value.family === 6 ? `http://[${text}]/` : `http://${text}/`;
}

describe("createGuard()", () => {
  const guard = createGuard();

  it("judges a literal and a one-address answer alike", () => {
    fc.assert(
      fc.property(address, (value) => {
        const isPublic = findSpecialRange(value) === undefined;
        assert.equal(guard.judgeUrl(urlOf(value)).kind, isPublic ? "allowed-literal" : "blocked");
        const answer = guard.judgeAddresses("example.com", 80, [formatAddress(value)]);
        assert.equal(answer.kind, isPublic ? "allowed" : "blocked");
      }),
      { numRuns: 1000 },
    );
  });

  it("allows an answer only when it allows each address in it, in any order", () => {
    fc.assert(
      fc.property(fc.array(address, { maxLength: 6 }), (values) => {
        const answer = guard.judgeAddresses("example.com", 80, values.map(formatAddress));
        const isPublic = values.every((value) => findSpecialRange(value) === undefined);
        assert.equal(answer.kind, isPublic ? "allowed" : "blocked");
      }),
    );
  });

  it("sees through every spelling of an IPv4 address that the URL parser knows", () => {
    fc.assert(
      fc.property(word, fc.constantFrom("dec", "hex", "oct", "short", "mapped" as const), (value, spelling) => {
        const [a, b] = [value >>> 24, value & 0xffffff];
        const spellings = {
          dec: `${value}`,
          hex: `0x${value.toString(16)}`,
          oct: `0${value.toString(8)}`,
          short: `${a}.${b}`,
          mapped: `[::ffff:${formatAddress({ family: 4, words: [value] })}]`,
        };
        const expected = guard.judgeUrl(urlOf({ family: 4, words: [value] }));
        const verdict = guard.judgeUrl(`http://${spellings[spelling]}/`);
        assert.equal(verdict.kind, expected.kind);
        if (verdict.kind === "allowed-literal" && expected.kind === "allowed-literal") {
          assert.equal(verdict.address, expected.address);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("widens by allowed blocks and by nothing else", () => {
    const bits = fc.integer({ min: 0, max: 32 });
    fc.assert(
      fc.property(word, bits, ipv4, (base, prefix, value) => {
        const first = prefix === 0 ? 0 : (base & ((0xffffffff << (32 - prefix)) >>> 0)) >>> 0;
        const cidr = parseCidr(`${formatAddress({ family: 4, words: [first] })}/${prefix}`)!;
        const verdict = createGuard({ allowCidrs: [cidr] }).judgeUrl(urlOf(value));
        const isAllowed = cidrContains(cidr, value) || findSpecialRange(value) === undefined;
        assert.equal(verdict.kind, isAllowed ? "allowed-literal" : "blocked");
      }),
      { numRuns: 1000 },
    );
  });

  it("never throws and never allows anything but http and https", () => {
    const scheme = fc.constantFrom("http:", "https:", "file:", "ftp:", "data:", "blob:http:", "javascript:", "ws:", "");
    fc.assert(
      fc.property(scheme, fc.string({ unit: "binary", maxLength: 30 }), (prefix, rest) => {
        const verdict = guard.judgeUrl(`${prefix}${rest}`);
        if (verdict.kind !== "blocked") assert.match(verdict.url.protocol, /^https?:$/);
      }),
      { numRuns: 2000 },
    );
  });
});
