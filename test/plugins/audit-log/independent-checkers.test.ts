// Proofs and checkpoints as the API gives them, judged by programs that others wrote.

import assert from "node:assert/strict";
import { createPublicKey, verify as verifySignature } from "node:crypto";
import { createRequire } from "node:module";
import { it } from "node:test";
import { rfc9162 } from "../../support/rfc9162.ts";

import type { AuditEntry } from "../../../src/plugins/audit-log/audit-entry.ts";
import type { TestApp } from "../app-harness.ts";
import { entriesOf, withAudit } from "./audited-app.ts";
import { signedFields } from "./signed-fields.ts";

interface SigstoreEntry {
  readonly logId: { readonly keyId: Buffer };
  readonly canonicalizedBody: Buffer;
  readonly inclusionProof: {
    readonly logIndex: string;
    readonly treeSize: string;
    readonly rootHash: Buffer;
    readonly hashes: readonly Buffer[];
    readonly checkpoint: { readonly envelope: string };
  };
}
type VerifyInclusion = (entry: SigstoreEntry, logs: readonly object[]) => void;

const { verifyTLogInclusion } = createRequire(import.meta.url)(
  "../../../node_modules/@sigstore/verify/dist/tlog/index.js",
) as {
  verifyTLogInclusion: VerifyInclusion;
};

/** The data of a leaf, as the documentation says. */
function leafData(entry: AuditEntry): Buffer {
  return Buffer.from(`${JSON.stringify(signedFields(entry))}\n${entry.signature}`);
}

interface Published {
  readonly key: Buffer;
  readonly keyId: Buffer;
  readonly name: string;
}

async function readKey(app: TestApp): Promise<Published> {
  const { text } = await app.ask("GET /api/admin/audit/key", { token: "admin" });
  const [name = "", keyId = "", key = ""] = text.trim().split("+", 2).concat(text.trim().split("+").slice(2).join("+"));
  return { name, keyId: Buffer.from(keyId, "hex"), key: Buffer.from(key, "base64").subarray(1) };
}

function publicKeyOf(key: Buffer): ReturnType<typeof createPublicKey> {
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: key.toString("base64url") }, format: "jwk" });
}

it("@sigstore/verify takes each entry's proof with its checkpoint, and no other leaf", () =>
  withAudit({}, async (app) => {
    await Promise.all(Array.from({ length: 21 }, (_, total) => app.insert("Order", { total })));
    const { key, keyId, name } = await readKey(app);
    const log = {
      logID: keyId,
      baseURL: name,
      publicKey: publicKeyOf(key),
      validFor: { start: new Date(0), end: new Date(8e15) },
    };
    for (const entry of await entriesOf(app)) {
      const { json } = await app.ask(`GET /api/admin/audit/proof/inclusion?seq=${entry.seq}`, { token: "admin" });
      const { checkpoint, hashes, index, size } = json as {
        checkpoint: string;
        hashes: string[];
        index: number;
        size: number;
      };
      const proof = (data: Buffer): SigstoreEntry => ({
        logId: { keyId },
        canonicalizedBody: data,
        inclusionProof: {
          logIndex: String(index),
          treeSize: String(size),
          rootHash: Buffer.from(checkpoint.split("\n")[2] ?? "", "base64"),
          hashes: hashes.map((hash) => Buffer.from(hash, "base64")),
          checkpoint: { envelope: checkpoint },
        },
      });
      verifyTLogInclusion(proof(leafData(entry)), [log]);
      assert.throws(() => verifyTLogInclusion(proof(leafData({ ...entry, operation: "x" })), [log]));
      const forged = { ...proof(leafData(entry)) };
      assert.throws(() =>
        verifyTLogInclusion(
          {
            ...forged,
            inclusionProof: {
              ...forged.inclusionProof,
              checkpoint: { envelope: checkpoint.replace("\n21\n", "\n22\n") },
            },
          },
          [log],
        ),
      );
    }
  }));

it("OpenSSL takes the checkpoint's signature", () =>
  withAudit({}, async (app) => {
    await app.insert("Order", { total: 1 });
    const { key } = await readKey(app);
    const { text } = await app.ask("GET /api/admin/audit/checkpoint", { token: "admin" });
    const body = text.slice(0, text.indexOf("\n\n") + 1);
    const signature = Buffer.from(text.trimEnd().split(" ").at(-1) ?? "", "base64").subarray(4);
    assert.ok(verifySignature(null, Buffer.from(body), publicKeyOf(key), signature));
    assert.ok(!verifySignature(null, Buffer.from(`${body}x`), publicKeyOf(key), signature));
  }));

it("@transmute/rfc9162 makes the same root and takes the growth between two checkpoints", () =>
  withAudit({}, async (app) => {
    const checkpoint = async (): Promise<{ size: number; root: Buffer }> => {
      const { text } = await app.ask("GET /api/admin/audit/checkpoint", { token: "admin" });
      const [, size = "", root = ""] = text.split("\n");
      return { size: Number(size), root: Buffer.from(root, "base64") };
    };
    await Promise.all(Array.from({ length: 13 }, (_, total) => app.insert("Order", { total })));
    const before = await checkpoint();
    await Promise.all(Array.from({ length: 20 }, (_, total) => app.insert("Order", { total })));
    const after = await checkpoint();
    const leaves = (await entriesOf(app)).map(leafData);
    assert.deepEqual([before.size, after.size], [13, 33]);
    assert.deepEqual(Buffer.from(await rfc9162.treeHead(leaves.slice(0, 13))), before.root);
    assert.deepEqual(Buffer.from(await rfc9162.treeHead(leaves)), after.root);
    const { json } = await app.ask("GET /api/admin/audit/proof/consistency?from=13&to=33", { token: "admin" });
    const { hashes } = json as { hashes: string[] };
    const theirs = await rfc9162.PROOF(13, leaves);
    assert.deepEqual(
      hashes,
      theirs.map((hash) => Buffer.from(hash).toString("base64")),
    );
  }));
