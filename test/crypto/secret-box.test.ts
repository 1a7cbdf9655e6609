// Secrets at rest: what is stored says nothing without the key, belongs to one place, and survives getting a key later.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeBase64 } from "../../src/crypto/base64.ts";
import { encodeHex } from "../../src/crypto/hex.ts";
import { createSecretBox, parseSecretKey } from "../../src/crypto/secret-box.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, index) => index * 7);
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

describe("parseSecretKey()", () => {
  it("reads 64 hexadecimal digits and standard base64", () => {
    for (const text of [encodeHex(KEY), encodeHex(KEY).toUpperCase(), encodeBase64(KEY)]) {
      assert.deepEqual(parseSecretKey(text), KEY);
    }
  });

  it("refuses anything that is not 32 bytes", () => {
    const bad = [
      "",
      "secret",
      encodeHex(KEY).slice(2),
      `${encodeHex(KEY)}00`,
      encodeBase64(KEY.slice(1)),
      "g".repeat(64),
    ];
    for (const text of bad) assert.equal(parseSecretKey(text), undefined, text);
  });
});

describe("createSecretBox()", () => {
  it("opens what it sealed, in its place, with its key, unchanged", async () => {
    const box = createSecretBox(KEY);
    const sealed = await box.seal(SECRET, "row 1");
    assert.ok(!sealed.includes(SECRET) && !sealed.includes(SECRET.slice(6)));
    assert.equal(await box.open(sealed, "row 1"), SECRET);
    assert.equal(await box.open(sealed, "row 2"), undefined);
    assert.equal(await createSecretBox(KEY.map((byte) => byte ^ 1)).open(sealed, "row 1"), undefined);
    assert.equal(await createSecretBox(null).open(sealed, "row 1"), undefined);
    const at = sealed.length - 6;
    const changed = sealed.slice(0, at) + (sealed[at] === "A" ? "B" : "A") + sealed.slice(at + 1);
    assert.equal(await box.open(changed, "row 1"), undefined);
  });

  it("seals the same secret differently each time", async () => {
    const box = createSecretBox(KEY);
    assert.notEqual(await box.seal(SECRET, "row"), await box.seal(SECRET, "row"));
  });

  it("reads with a key what was stored without one", async () => {
    const stored = await createSecretBox(null).seal(SECRET, "row");
    assert.equal(await createSecretBox(KEY).open(stored, "row"), SECRET);
    assert.equal(await createSecretBox(null).open(stored, "row"), SECRET);
  });

  it("opens nothing that it does not know", async () => {
    for (const stored of ["", SECRET, "aes-gcm:", "aes-gcm:%", "aes-gcm:AAAA"]) {
      assert.equal(await createSecretBox(KEY).open(stored, "row"), undefined);
    }
  });
});
