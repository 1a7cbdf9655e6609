// The digests of the platforms are the same as the portable one.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";

import { portableSha256 } from "../../src/crypto/sha256.ts";
import { bunSha256 } from "../../src/platform/sha256-bun.ts";
import { nodeSha256 } from "../../src/platform/sha256-node.ts";

test("every platform's SHA-256 is the same function", () => {
  const data = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
  );
  fc.assert(
    fc.property(data, (input) => {
      const expected = portableSha256(input);
      assert.deepEqual(bunSha256(input), expected);
      assert.deepEqual(nodeSha256(input), expected);
    }),
  );
});
