// Proofs about the log, made from its tiles: that an entry is in the tree of a checkpoint, and that one tree continues another.

import { encodeBase64 } from "../../crypto/base64.ts";
import { createTreeProofs, type TreeProofs } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import type { Reader } from "../../store/store.ts";
import { auditError } from "./audit-errors.ts";
import { nodesOf, tileReader } from "./audit-tiles.ts";
import { requireHead } from "./audit-tree.ts";
import type { Checkpoints } from "./checkpoints.ts";

/** Hashes in base64; `hashes` leads from the leaf to the root. */
export interface InclusionProof {
  readonly index: number;
  readonly size: number;
  readonly leafHash: string;
  readonly hashes: readonly string[];
  /** The signed note of the tree of `size` leaves. */
  readonly checkpoint: string;
}

export interface ConsistencyProof {
  readonly from: number;
  readonly to: number;
  readonly hashes: readonly string[];
}

export interface LogProofs {
  /** @throws AUDIT_ENTRY_NOT_FOUND, AUDIT_PROOF_GONE, AUDIT_NO_KEY */
  inclusion(seq: number): Promise<InclusionProof>;
  /** @throws AUDIT_ENTRY_NOT_FOUND, AUDIT_PROOF_GONE */
  consistency(from: number, to: number): Promise<ConsistencyProof>;
}

export interface LogProofsOptions {
  readonly reader: Reader;
  readonly sha256: Sha256;
  readonly checkpoints: Checkpoints;
}

export function createLogProofs({ reader, sha256, checkpoints }: LogProofsOptions): LogProofs {
  const treeOf = (): TreeProofs => createTreeProofs(sha256, nodesOf(sha256, tileReader(reader)));
  const checkpointOver = async (seq: number): Promise<{ readonly size: number; readonly note: string }> => {
    const latest = await checkpoints.latest();
    const checkpoint = latest && latest.size > seq ? latest : await checkpoints.current();
    if (checkpoint.size <= seq) throw auditError("AUDIT_ENTRY_NOT_FOUND");
    return checkpoint;
  };
  return {
    async inclusion(seq) {
      const { size, note } = await checkpointOver(seq);
      const tree = treeOf();
      const leafHash = await tree.rangeHash(seq, seq + 1);
      const hashes = await tree.inclusion(seq, size);
      return { index: seq, size, leafHash: encodeBase64(leafHash), hashes: hashes.map(encodeBase64), checkpoint: note };
    },
    async consistency(from, to) {
      const { size } = await requireHead(reader);
      if (to > size) {
        throw auditError("AUDIT_ENTRY_NOT_FOUND", { message: `The log has ${size} entries, not ${to}` });
      }
      const hashes = await treeOf().consistency(from, to);
      return { from, to, hashes: hashes.map(encodeBase64) };
    },
  };
}
