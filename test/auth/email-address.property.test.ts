// What counts as an address: one recipient, one spelling, nothing that a mail header could take for more.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { normaliseEmail } from "../../src/auth/email-address.ts";

describe("normaliseEmail()", () => {
  it("takes common addresses and gives their one spelling", () => {
    assert.equal(normaliseEmail(" Ann.B+tag@Sub.Example.COM\t"), "ann.b+tag@sub.example.com");
    assert.equal(normaliseEmail("o'hara@xn--mnchen-3ya.de"), "o'hara@xn--mnchen-3ya.de");
    assert.equal(normaliseEmail(`${"a".repeat(64)}@example.com`), `${"a".repeat(64)}@example.com`);
  });

  it("refuses what is not one address", () => {
    const refused = [
      "",
      "@b.co",
      "a@",
      "a@b",
      "a b@c.co",
      "a@b@c.co",
      "a..b@c.co",
      ".a@b.co",
      "a.@b.co",
      "a@-b.co",
      "a@b-.co",
      "a@b..co",
      "a@b.co.",
      '"a"@b.co',
      "a@[127.0.0.1]",
      "a@b.co,c@d.co",
      "a@b.co;c@d.co",
      "A <a@b.co>",
      "a@b.co\n",
      "\r\na@b.co",
      "a@b.co\u0000",
      "a@b.co\u00A0",
      "\u212Aarl@b.co",
      "ann@b\u00F6.de",
      `${"a".repeat(65)}@example.com`,
      `a@${"b".repeat(64)}.co`,
      `a@${"b.".repeat(130)}co`,
    ];
    for (const text of refused) assert.equal(normaliseEmail(text), null, JSON.stringify(text));
  });

  it("is idempotent, and accepts only printable ASCII with one @", () => {
    const text = fc.oneof(
      fc.emailAddress(),
      fc.string({ unit: "binary", maxLength: 40 }),
      fc
        .tuple(fc.string({ maxLength: 8 }), fc.constantFrom("@", "\r\n", ","), fc.string())
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (raw) => {
        const address = normaliseEmail(raw);
        if (address === null) return;
        assert.equal(normaliseEmail(address), address);
        assert.match(address, /^[!-?A-~]+@[!-?A-~]+$/);
        assert.ok(!/[A-Z,;<>"()\\[\]:]/.test(address));
      }),
    );
  });

  it("takes linear time for hostile input", () => {
    const started = performance.now();
    for (const text of ["a.".repeat(150), `a@${"a-".repeat(150)}`, `${"!".repeat(300)}@`]) normaliseEmail(text);
    assert.ok(performance.now() - started < 50);
  });
});
