// What is hashed and signed of an entry, of any size and after any other, against the contract's text and other people's code.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import canonicalize from "canonicalize";
import fc from "fast-check";

import { createUlidSource } from "../../../src/core/ids.ts";
import { SYSTEM } from "../../../src/core/identity.ts";
import { decodeBase64Url } from "../../../src/crypto/base64.ts";
import { nodeSha256 } from "../../../src/platform/sha256-node.ts";
import { createEntryHasher, createEntryKey } from "../../../src/plugins/audit-log/audit-entry.ts";
import { createEntryMaker } from "../../../src/plugins/audit-log/entry-maker.ts";
import { signedFields } from "./signed-fields.ts";

const SECRET = "a-signing-key-of-the-log";
const key = createEntryKey(nodeSha256, SECRET);

/** Long ones come after short ones: whatever is kept from one entry to the next has to grow in between. */
const row = fc
  .tuple(fc.string({ unit: "binary", maxLength: 40 }), fc.nat(20_000))
  .map(([text, length]) => JSON.stringify({ text, body: "é".repeat(length) }));
const draft = fc.record({ before: fc.option(row), after: fc.option(row), rowId: fc.string({ maxLength: 4_000 }) });

test("payload hashes, signatures and leaves of entries of any size are what the contract says", () => {
  fc.assert(
    fc.property(fc.array(draft, { maxLength: 6 }), (drafts) => {
      const make = createEntryMaker({ sha256: nodeSha256, ulid: createUlidSource(), logId: "log", key });
      const hasher = createEntryHasher(nodeSha256);
      for (const one of drafts) {
        const what = { actor: SYSTEM, requestId: null, entity: "Note", operation: "update", at: 1_800_000_000_000 };
        const { entry, leafHash } = make({ ...what, ...one }, null);
        const payload = canonicalize([entry.salt, entry.before, entry.after]) ?? "";
        assert.equal(entry.payloadHash, createHash("sha256").update(payload).digest("hex"));
        const signed = canonicalize(signedFields(entry)) ?? "";
        assert.equal(entry.signature?.split(":")[2], createHmac("sha256", SECRET).update(signed).digest("base64url"));
        const leaf = createHash("sha256").update("\0").update(`${signed}\n${entry.signature}`).digest("hex");
        assert.equal(Buffer.from(leafHash).toString("hex"), leaf);
        // A verifier's hasher has seen other entries than the maker's.
        assert.equal(Buffer.from(hasher.payloadDigest(entry)).toString("hex"), entry.payloadHash);
      }
    }),
    { numRuns: 60 },
  );
});

test("a salt is 16 bytes of base64url, and another one for each entry", () => {
  const make = createEntryMaker({ sha256: nodeSha256, ulid: createUlidSource(), logId: "log", key: null });
  const what = {
    actor: SYSTEM,
    requestId: null,
    entity: "Note",
    rowId: "1",
    operation: "insert",
    at: 1_800_000_000_000,
  };
  const salts = Array.from({ length: 600 }, () => make({ ...what, before: null, after: "{}" }, null).entry.salt ?? "");
  assert.equal(new Set(salts).size, salts.length);
  for (const salt of salts) assert.equal(decodeBase64Url(salt)?.length, 16, salt);
});

const texts = fc.option(
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.constantFrom("", "\0", "a\r\nb", "\ud800", "\udc00\ud800x\0"),
  ),
);

test("who and which request are kept as text that every database gives back, and nothing as null", () => {
  const make = createEntryMaker({ sha256: nodeSha256, ulid: createUlidSource(), logId: "log", key: null });
  const what = { entity: "Note", rowId: "1", operation: "insert", before: null, after: "{}", at: 1_800_000_000_000 };
  const kept = (text: string | null): string | null => text?.toWellFormed().replace(/[\0\r\n]/g, "\ufffd") || null;
  fc.assert(
    fc.property(texts, texts, texts, (userId, tenantId, requestId) => {
      const { entry } = make({ ...what, actor: { ...SYSTEM, userId, tenantId }, requestId }, null);
      assert.deepEqual([entry.actorId, entry.tenantId, entry.requestId], [userId, tenantId, requestId].map(kept));
    }),
  );
});
