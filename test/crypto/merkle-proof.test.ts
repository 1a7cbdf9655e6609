// Proofs against published probes, against another implementation, and against every tree of a small size.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rfc9162 } from "../support/rfc9162.ts";
import fc from "fast-check";

import probes from "../../fixtures/vectors/merkle-proofs.json" with { type: "json" };
import { decodeBase64 } from "../../src/crypto/base64.ts";
import { encodeHex } from "../../src/crypto/hex.ts";
import { verifyConsistency, verifyInclusion } from "../../src/crypto/merkle-proof.ts";
import {
  createCompactRange,
  createTreeProofs,
  hashLeaf,
  hashNode,
  type TreeProofs,
} from "../../src/crypto/merkle-tree.ts";
import { portableSha256 as sha256 } from "../../src/crypto/sha256.ts";

const bytesOf = (base64: string | null): Uint8Array => decodeBase64(base64 ?? "") ?? new Uint8Array(0);
const listOf = (hashes: readonly string[] | null): Uint8Array[] => (hashes ?? []).map(bytesOf);
const leafOf = (index: number): Uint8Array => new TextEncoder().encode(`leaf ${index}`);

/** Proofs over leaves in memory: a node is made from what is below it. */
function proofsOver(leaves: readonly Uint8Array[]): TreeProofs {
  const known = new Map<string, Uint8Array>();
  const makeNode = async (level: number, index: number): Promise<Uint8Array> => {
    if (level === 0) return hashLeaf(sha256, leaves[index] as Uint8Array);
    return hashNode(sha256, await nodeAt(level - 1, index * 2), await nodeAt(level - 1, index * 2 + 1));
  };
  const nodeAt = async (level: number, index: number): Promise<Uint8Array> => {
    const node = known.get(`${level}/${index}`) ?? (await makeNode(level, index));
    known.set(`${level}/${index}`, node);
    return node;
  };
  return createTreeProofs(sha256, nodeAt);
}

function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const range = createCompactRange(sha256);
  for (const leaf of leaves) range.append(hashLeaf(sha256, leaf));
  return range.root();
}

describe("proofs of RFC 6962", () => {
  it("judges the published inclusion probes as their authors do", () => {
    assert.equal(probes.inclusion.length, 98);
    for (const probe of probes.inclusion) {
      const isRight = verifyInclusion(sha256, {
        index: Number(probe.leafIdx),
        size: probe.treeSize,
        leafHash: bytesOf(probe.leafHash),
        hashes: listOf(probe.proof),
        root: bytesOf(probe.root),
      });
      assert.equal(isRight, !probe.wantErr, probe.name);
    }
  });

  it("judges the published consistency probes as their authors do", () => {
    assert.equal(probes.consistency.length, 98);
    for (const probe of probes.consistency) {
      const isRight = verifyConsistency(sha256, {
        from: probe.size1,
        to: probe.size2,
        fromRoot: bytesOf(probe.root1),
        toRoot: bytesOf(probe.root2),
        hashes: listOf(probe.proof),
      });
      assert.equal(isRight, !probe.wantErr, probe.name);
    }
  });

  it("proves every leaf and every growth of the trees up to 20 leaves", async () => {
    const leaves = Array.from({ length: 20 }, (_, index) => leafOf(index));
    const proofs = proofsOver(leaves);
    for (let size = 1; size <= leaves.length; size++) {
      const root = rootOf(leaves.slice(0, size));
      assert.deepEqual((await proofs.rangeAt(size)).root(), root);
      assert.deepEqual(new Uint8Array(await proofs.rangeHash(0, size)), root);
      for (let index = 0; index < size; index++) {
        const hashes = await proofs.inclusion(index, size);
        const claim = { index, size, leafHash: hashLeaf(sha256, leafOf(index)), hashes, root };
        assert.ok(verifyInclusion(sha256, claim));
        assert.ok(!verifyInclusion(sha256, { ...claim, leafHash: hashLeaf(sha256, leafOf(index + 1)) }));
        const grown = { from: index + 1, to: size, fromRoot: rootOf(leaves.slice(0, index + 1)), toRoot: root };
        assert.ok(verifyConsistency(sha256, { ...grown, hashes: await proofs.consistency(index + 1, size) }));
      }
    }
  });

  it("agrees with @transmute/rfc9162 about roots and proofs", async () => {
    const { treeHead, inclusionProof, verifyInclusionProof, leaf } = rfc9162;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 70 }), fc.nat(), async (size, pick) => {
        const leaves = Array.from({ length: size }, (_, index) => leafOf(index));
        const root = await treeHead(leaves);
        assert.equal(encodeHex(rootOf(leaves)), encodeHex(root));
        const index = pick % size;
        const hashes = await proofsOver(leaves).inclusion(index, size);
        const theirs = await inclusionProof(leafOf(index), leaves);
        assert.deepEqual(hashes.map(encodeHex), theirs.inclusion_path.map(encodeHex));
        const ours = { log_id: "", tree_size: size, leaf_index: index, inclusion_path: hashes };
        assert.ok(await verifyInclusionProof(root, await leaf(leafOf(index)), ours));
      }),
      { numRuns: 40 },
    );
  });

  it("refuses hashes of another length and claims about nothing", () => {
    const root = rootOf([leafOf(0)]);
    const leafHash = hashLeaf(sha256, leafOf(0));
    assert.ok(verifyInclusion(sha256, { index: 0, size: 1, leafHash, hashes: [], root }));
    assert.ok(!verifyInclusion(sha256, { index: 0, size: 1, leafHash, hashes: [], root: root.slice(1) }));
    assert.ok(!verifyInclusion(sha256, { index: 0, size: 0, leafHash, hashes: [], root }));
    const same = { fromRoot: root, toRoot: root, hashes: [] };
    assert.ok(verifyConsistency(sha256, { from: 1, to: 1, ...same }));
    assert.ok(!verifyConsistency(sha256, { from: 0, to: 0, ...same }));
    assert.ok(!verifyConsistency(sha256, { from: 1.5, to: 2, ...same }));
  });

  it("keeps a range of any size in its hashes", () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(20), (size, more) => {
        const whole = createCompactRange(sha256);
        for (let index = 0; index < size; index++) whole.append(hashLeaf(sha256, leafOf(index)));
        const again = createCompactRange(sha256, { size, hashes: whole.encode() });
        for (let index = size; index < size + more; index++) {
          whole.append(hashLeaf(sha256, leafOf(index)));
          again.append(hashLeaf(sha256, leafOf(index)));
        }
        assert.deepEqual(again.root(), whole.root());
        assert.equal(again.size, size + more);
      }),
      { numRuns: 30 },
    );
    assert.throws(() => createCompactRange(sha256, { size: 3, hashes: new Uint8Array(32) }), RangeError);
  });
});
