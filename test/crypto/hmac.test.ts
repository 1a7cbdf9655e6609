// HMAC against published vectors and RFC 4231, and what must not verify.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import vectors from "../../fixtures/vectors/pylon-signature.json" with { type: "json" };
import { decodeHex, encodeHex } from "../../src/crypto/hex.ts";
import { createHmacSigner, createHmacSigners, importHmacKey } from "../../src/crypto/hmac.ts";

describe("createHmacSigner()", () => {
  for (const [index, { secret, body, signature }] of vectors.rows.entries()) {
    it(`signs and verifies published row ${index}`, async () => {
      const signer = createHmacSigner(secret);
      const code = await signer.sign(body);
      assert.equal(`sha256=${encodeHex(code)}`, signature);
      assert.equal(await signer.verify(body, code), true);
      assert.deepEqual(await signer.sign(new TextEncoder().encode(body)), code);
    });
  }

  it("agrees with RFC 4231, test cases 1, 2 and 6", async () => {
    const cases = [
      [new Uint8Array(20).fill(0x0b), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
      ["Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
      [
        new Uint8Array(131).fill(0xaa),
        "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      ],
    ] as const;
    for (const [secret, message, expected] of cases) {
      assert.equal(encodeHex(await createHmacSigner(secret).sign(message)), expected);
    }
  });

  it("refuses another message, another secret and a code of another length", async () => {
    const signer = createHmacSigner("topsecret");
    const code = await signer.sign("body");
    assert.equal(await signer.verify("body2", code), false);
    assert.equal(await createHmacSigner("topsecret2").verify("body", code), false);
    assert.equal(await signer.verify("body", code.subarray(0, 16)), false);
    assert.equal(await signer.verify("body", new Uint8Array(0)), false);
    assert.equal(await signer.verify("body", decodeHex("00") ?? code), false);
  });

  it("refuses an empty secret", async () => {
    assert.throws(() => createHmacSigner(""), RangeError);
    await assert.rejects(importHmacKey(new Uint8Array(0)), RangeError);
  });

  it("keeps the key unreadable", async () => {
    assert.equal((await importHmacKey("topsecret")).extractable, false);
  });
});

describe("createHmacSigners()", () => {
  it("gives the same signer for the same secret and forgets the least recently used", () => {
    const signerFor = createHmacSigners(2);
    const [a, b] = [signerFor("a"), signerFor("b")];
    assert.equal(signerFor("a"), a);
    signerFor("c");
    assert.equal(signerFor("a"), a);
    assert.notEqual(signerFor("b"), b);
  });
});
