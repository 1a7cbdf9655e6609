// A test goes to Deno exactly when it can run there.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { selectPortableTests } from "./portable-tests.ts";

const FILES: Readonly<Record<string, string>> = {
  "src/core/ids.ts": `export const id = 1;`,
  "src/platform/bun-file.ts": `import { file } from "bun";`,
  "test/support/fake.ts": `import type { X } from "../../src/core/ids.ts"; import "./fake.ts";`,
  "test/support/bun-only.ts": `export const version = Bun.version;`,
  "test/core/plain.test.ts": `import { it } from "node:test"; import "../../src/core/ids.ts"; import "../support/fake.ts";`,
  "test/core/bun.test.ts": `import { test } from "bun:test";`,
  "test/core/deep.test.ts": `import { it } from "node:test"; import "../support/bun-only.ts";`,
  "test/store/platform.test.ts": `import { it } from "node:test"; await import("../../src/platform/bun-file.ts");`,
  "test/plugins/stripe/plain.test.ts": `import { it } from "node:test"; // Bun\nconst text = "Bun";`,
  "test/e2e/binary.test.ts": `import { it } from "node:test";`,
};

describe("selectPortableTests()", () => {
  it("takes tests of Web-only rooms that reach nothing of Bun", () => {
    const tests = Object.keys(FILES).filter((path) => path.endsWith(".test.ts"));
    assert.deepEqual(
      selectPortableTests(tests, (path) => FILES[path]),
      ["test/core/plain.test.ts", "test/plugins/stripe/plain.test.ts"],
    );
  });
});
