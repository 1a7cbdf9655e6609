// SHA-256 and HMAC-SHA256 that answer at once: published vectors, and WebCrypto as the judge of everything else.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { sha256Hex } from "../../src/crypto/digest.ts";
import { decodeHex, encodeHex } from "../../src/crypto/hex.ts";
import { createHmacSigner } from "../../src/crypto/hmac.ts";
import { createHmacSha256, HMAC_ROOM_BYTES, portableSha256 } from "../../src/crypto/sha256.ts";

const bytes = (hex: string): Uint8Array => decodeHex(hex) as Uint8Array;

describe("SHA-256 in the language itself", () => {
  it("gives the digests of FIPS 180-4's examples", () => {
    assert.equal(encodeHex(portableSha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert.equal(encodeHex(portableSha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert.equal(
      encodeHex(portableSha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    );
  });

  it("agrees with WebCrypto at every length around a block", async () => {
    for (let length = 0; length < 200; length++) {
      const data = new Uint8Array(length).fill(length);
      assert.equal(encodeHex(portableSha256(data)), await sha256Hex(data));
    }
  });

  it("agrees with WebCrypto on any bytes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (data) => {
        assert.equal(encodeHex(portableSha256(data)), await sha256Hex(data));
      }),
      { numRuns: 50 },
    );
  });
});

describe("HMAC-SHA256 that answers at once", () => {
  it("gives the codes of RFC 4231", () => {
    const cases = [
      ["0b".repeat(20), "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
      [
        "4a656665",
        "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      ],
      ["aa".repeat(20), "dd".repeat(50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"],
      [
        "aa".repeat(131),
        "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      ],
    ] as const;
    for (const [key, message, code] of cases) {
      assert.equal(encodeHex(createHmacSha256(bytes(key), portableSha256).sign(bytes(message))), code);
    }
  });

  it("agrees with WebCrypto, message after message", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 150 }),
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 3 }),
        async (key, messages) => {
          const { sign, signBehindRoom } = createHmacSha256(key, portableSha256);
          for (const message of messages) {
            const code = await createHmacSigner(key).sign(message);
            assert.deepEqual(sign(message), code);
            const behindRoom = new Uint8Array([...new Uint8Array(HMAC_ROOM_BYTES), ...message]);
            assert.deepEqual(signBehindRoom(behindRoom), code);
            assert.deepEqual(behindRoom.subarray(HMAC_ROOM_BYTES), message);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("refuses an empty key", () => {
    assert.throws(() => createHmacSha256(new Uint8Array(0), portableSha256), RangeError);
  });
});
