// Equality of secrets and SHA-256 against plain equality and FIPS 180-4. Time itself is not measured here.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { sha256Hex } from "../../src/crypto/digest.ts";
import { timingSafeEqual } from "../../src/crypto/timing-safe.ts";

describe("timingSafeEqual()", () => {
  it("is equality of texts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), async (a, b) => {
        assert.equal(await timingSafeEqual(a, b), a === b);
        assert.equal(await timingSafeEqual(a, a), true);
      }),
    );
  });

  it("compares a text with its bytes, and lengths", async () => {
    assert.equal(await timingSafeEqual("é", Uint8Array.of(0xc3, 0xa9)), true);
    assert.equal(await timingSafeEqual("token", "token "), false);
    assert.equal(await timingSafeEqual("", new Uint8Array(1)), false);
    assert.equal(await timingSafeEqual("", ""), true);
  });
});

describe("sha256Hex()", () => {
  it("agrees with FIPS 180-4's examples", async () => {
    assert.equal(await sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert.equal(await sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([97, 98, 99]);
    assert.equal(await sha256Hex(shared), await sha256Hex("abc"));
  });
});
