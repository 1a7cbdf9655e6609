// SHA-256 through `node:crypto`, which Bun and Deno both have; `test/platform/sha256.test.ts` compares it with the others.

import { createHash } from "node:crypto";
import type { Sha256 } from "../crypto/sha256.ts";

export const nodeSha256: Sha256 = (data) => new Uint8Array(createHash("sha256").update(data).digest());
