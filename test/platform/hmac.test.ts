// The platforms' signers and WebCrypto's are the same function.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createHmacSigner } from "../../src/crypto/hmac.ts";
import { createNodeHmacSigner } from "../../src/platform/hmac-node.ts";

const secrets = fc.oneof(fc.string({ unit: "binary", minLength: 1 }), fc.uint8Array({ minLength: 1, maxLength: 200 }));
const messages = fc.oneof(fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 500 }));

/** By the function that makes them. */
const SIGNERS: Readonly<Record<string, typeof createNodeHmacSigner>> = {
  createNodeHmacSigner,
  ...("Bun" in globalThis
    ? { createBunHmacSigner: (await import("../../src/platform/hmac-bun.ts")).createBunHmacSigner }
    : {}),
};

for (const [name, create] of Object.entries(SIGNERS))
  describe(`${name}()`, () => {
    it("signs what WebCrypto signs, and each verifies the other", async () => {
      await fc.assert(
        fc.asyncProperty(secrets, messages, async (secret, message) => {
          const [own, web] = [create(secret), createHmacSigner(secret)];
          const signature = await own.sign(message);
          assert.deepEqual(signature, await web.sign(message));
          assert.equal(await own.signHex(message), await web.signHex(message));
          assert.equal(await web.verify(message, signature), true);
          assert.equal(await own.verify(message, signature), true);
        }),
      );
    });

    it("refuses a changed byte, another length and an empty secret", async () => {
      const signer = create("secret");
      const signature = await signer.sign("message");
      const changed = Uint8Array.from(signature, (byte, index) => (index === 5 ? byte ^ 1 : byte));
      assert.equal(await signer.verify("message", changed), false);
      assert.equal(await signer.verify("message", signature.subarray(1)), false);
      assert.throws(() => create(""), RangeError);
    });
  });
