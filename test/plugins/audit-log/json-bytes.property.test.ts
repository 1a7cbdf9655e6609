// The bytes that are signed are those of the canonical JSON.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";

import { canonicalJson } from "../../../src/core/canonical-json.ts";
import { createJsonBytes } from "../../../src/plugins/audit-log/json-bytes.ts";

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }).filter((value) => value.isWellFormed()),
  fc.constantFrom('a"b\\c', "\u0000\u001f\u007f", "\u2028", "\ud83d\ude00"),
);

test("a list is written as its canonical JSON, anywhere in the buffer", () => {
  const json = createJsonBytes();
  fc.assert(
    fc.property(fc.array(fc.option(text), { minLength: 1 }), fc.nat(50), (list, start) => {
      const end = json.writeList(start, list);
      assert.equal(new TextDecoder().decode(json.bytes.slice(start, end)), canonicalJson(list));
    }),
  );
});

test("texts of any length fit", () => {
  const json = createJsonBytes();
  const long = '"\u00e9'.repeat(100_000);
  const end = json.writeList(0, [long]);
  assert.equal(new TextDecoder().decode(json.bytes.slice(0, end)), JSON.stringify([long]));
});
