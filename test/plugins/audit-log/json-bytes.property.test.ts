// The bytes that are signed are those of the canonical JSON.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";

import { canonicalJson } from "../../../src/core/canonical-json.ts";
import { createJsonBytes, jsonOfList } from "../../../src/plugins/audit-log/json-bytes.ts";

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }).filter((value) => value.isWellFormed()),
  fc.constantFrom('a"b\\c', "\u0000\u001f\u007f", "\u2028", "\ud83d\ude00"),
);

test("a list is written as its canonical JSON, behind room of any size", () => {
  fc.assert(
    fc.property(fc.array(fc.option(text), { minLength: 1 }), fc.nat(100), text, (list, room, more) => {
      const json = createJsonBytes(room);
      const end = json.writeList(list);
      assert.equal(new TextDecoder().decode(json.bytes.slice(room, end)), canonicalJson(list));
      assert.equal(jsonOfList(list), canonicalJson(list));
      const behind = json.writeText(end + 1, more);
      assert.deepEqual(Buffer.from(json.bytes.slice(end + 1, behind)), Buffer.from(more));
      assert.equal(new TextDecoder().decode(json.bytes.slice(room, end)), canonicalJson(list));
    }),
  );
});

test("texts of any length fit, and what stands before them stays", () => {
  const json = createJsonBytes(3);
  const long = '"\u00e9'.repeat(100_000);
  json.bytes.fill(7, 0, 3);
  const end = json.writeList([long]);
  const behind = json.writeText(end, long);
  assert.deepEqual([...json.bytes.slice(0, 3)], [7, 7, 7]);
  assert.equal(new TextDecoder().decode(json.bytes.slice(3, behind)), JSON.stringify([long]) + long);
});
