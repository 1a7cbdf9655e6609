// Base64 and hexadecimal against the platform's own, and the rule that one value has one spelling.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from "../../src/crypto/base64.ts";
import { decodeHex, encodeHex } from "../../src/crypto/hex.ts";
import { portableBase64, portableBase64Url, portableHex } from "../../src/crypto/portable-text.ts";

const bytes = fc.uint8Array({ maxLength: 300 });

describe("encodings", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(bytes, (value) => {
        assert.deepEqual(decodeHex(encodeHex(value)), value);
        assert.deepEqual(decodeBase64(encodeBase64(value)), value);
        assert.deepEqual(decodeBase64Url(encodeBase64Url(value)), value);
      }),
    );
  });

  it("agree with the platform's own", () => {
    fc.assert(
      fc.property(bytes, (value) => {
        assert.equal(encodeHex(value), Buffer.from(value).toString("hex"));
        assert.equal(encodeBase64(value), Buffer.from(value).toString("base64"));
        assert.equal(encodeBase64Url(value), Buffer.from(value).toString("base64url"));
      }),
    );
  });

  it("are the same where the runtime has none of its own", () => {
    fc.assert(
      fc.property(bytes, (value) => {
        assert.equal(portableHex(value), encodeHex(value));
        assert.equal(portableBase64(value), encodeBase64(value));
        assert.equal(portableBase64Url(value), encodeBase64Url(value));
      }),
    );
  });

  it("have one spelling for each value", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), (text) => {
        const standard = decodeBase64(text);
        if (standard) assert.equal(encodeBase64(standard), text);
        const urlSafe = decodeBase64Url(text);
        if (urlSafe) assert.equal(encodeBase64Url(urlSafe), text);
      }),
      { numRuns: 2000 },
    );
  });

  it("carry more bytes than fit into one call", () => {
    const large = Uint8Array.from({ length: 100_001 }, (_, index) => index % 251);
    assert.deepEqual(decodeBase64(encodeBase64(large)), large);
    assert.equal(portableBase64(large), encodeBase64(large));
  });

  for (const text of ["YQ", "YQ=", "YR==", "YWJ=", "Y Q==", "YQ==\n", "====", "=", "YQ==YQ==", "-_8=", "ÿÿÿÿ"]) {
    it(`decodeBase64() refuses ${JSON.stringify(text)}`, () => assert.equal(decodeBase64(text), undefined));
  }
  for (const text of ["YQ==", "YR", "Y", "+/8", "a b"]) {
    it(`decodeBase64Url() refuses ${JSON.stringify(text)}`, () => assert.equal(decodeBase64Url(text), undefined));
  }
  for (const text of ["a", "0g", "0x00", " 00", "é0"]) {
    it(`decodeHex() refuses ${JSON.stringify(text)}`, () => assert.equal(decodeHex(text), undefined));
  }
  it("decodeHex() reads either case", () => assert.deepEqual(decodeHex("aB0f"), Uint8Array.of(0xab, 0x0f)));
});
