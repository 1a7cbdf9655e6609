// CSV reads back as it was written, whatever the chunks, and never starts a formula.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";

import { createCsvReader, writeCsvLine } from "../../../src/plugins/audit-log/csv.ts";

const cell = fc.option(
  fc.oneof(
    fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
    fc.constantFrom("=1+1", "+1", "-1", "@x", "'quoted", "\tx", "\rx", 'a"b', "a,b", "a\nb", "", "\r\n"),
  ),
);

test("every record comes back, from chunks that end anywhere", () => {
  fc.assert(
    fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 5 })), fc.nat(20), (records, size) => {
      const text = records.map(writeCsvLine).join("");
      const reader = createCsvReader();
      const read: (string | null)[][] = [];
      const units = Array.from(text);
      for (let at = 0; at < units.length; at += size + 1)
        read.push(...reader.push(units.slice(at, at + size + 1).join("")));
      assert.deepEqual(read, records);
    }),
  );
});

test("no cell starts with what a spreadsheet takes for a formula", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (text) => {
      const line = writeCsvLine([text]);
      assert.doesNotMatch(line, /^"?[=+\-@\t\r]./s);
    }),
  );
});
