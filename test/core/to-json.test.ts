// Copying application values as JSON: what cannot be copied is told by its place.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_JSON_DEPTH, toJson } from "../../src/core/to-json.ts";

function failureOf(value: unknown): readonly [path: string, message: string] {
  const copied = toJson(value);
  assert.ok(!copied.ok);
  return [copied.path, copied.message];
}

describe("toJson()", () => {
  it("names a place where a cycle comes again", () => {
    const own: Record<string, unknown> = { a: 1 };
    own["c"] = own;
    assert.deepEqual(failureOf(own), ["c", "a cycle"]);
    const [left, right]: Record<string, unknown>[] = [{}, {}];
    Object.assign(left ?? {}, { right });
    Object.assign(right ?? {}, { items: [left] });
    assert.deepEqual(failureOf({ x: { left } }), ["x.left.right.items.0.right.items", "a cycle"]);
    // Longer than the walk goes twice.
    const ring: Record<string, unknown> = {};
    let last = ring;
    for (let n = 0; n < 40; n++) {
      const next = {};
      last["n"] = next;
      last = next;
    }
    last["n"] = ring;
    const [path, message] = failureOf(ring);
    assert.deepEqual([path.replaceAll("n.", "").length, message], [1, "a cycle"]);
  });

  it("takes what is shared without a cycle, and says when something is too deep", () => {
    const shared = { a: 1 };
    assert.deepEqual(toJson([shared, { shared }]), { ok: true, value: [{ a: 1 }, { shared: { a: 1 } }] });
    let deep: unknown = 1;
    for (let n = 0; n <= MAX_JSON_DEPTH; n++) deep = [deep];
    assert.deepEqual(failureOf(deep)[1], `more than ${MAX_JSON_DEPTH} levels`);
  });
});
