// The two small parts under every request: the map that stays bounded, and the compare that looks at everything.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createRecentMap } from "../../src/auth/recent-map.ts";
import { matchesSecret } from "../../src/auth/secret-match.ts";

const commands = fc.array(
  fc.record({
    kind: fc.constantFrom("get", "set", "delete"),
    key: fc.integer({ min: 0, max: 15 }).map(String),
    value: fc.integer({ min: 1 }),
  }),
  { maxLength: 200 },
);

describe("createRecentMap()", () => {
  it("never exceeds its bound, never answers a wrong value, and keeps the youngest half", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), commands, (maxEntries, script) => {
        const map = createRecentMap<number>(maxEntries);
        const model = new Map<string, number>();
        let recent: string[] = [];
        for (const { kind, key, value } of script) {
          const present = map.get(key);
          assert.ok(present === undefined || present === model.get(key));
          recent = recent.filter((other) => other !== key);
          if (kind === "set") {
            map.set(key, value);
            model.set(key, value);
          } else if (kind === "delete") {
            map.delete(key);
            model.delete(key);
            assert.equal(map.get(key), undefined);
          }
          if (map.get(key) !== undefined) recent.push(key);
          recent = recent.slice(-Math.floor(maxEntries / 2));
          assert.ok(map.size <= maxEntries);
        }
        for (const key of recent) assert.equal(map.get(key), model.get(key));
      }),
    );
  });
});

describe("matchesSecret()", () => {
  it("is equality, but for an empty secret", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (one, other) => {
        assert.equal(matchesSecret(one, other), one === other && other !== "");
        assert.equal(matchesSecret(one, one), one !== "");
        assert.equal(matchesSecret(one + other, one), other === "" && one !== "");
      }),
    );
  });

  it("looks at every character of the candidate, wherever the first difference is", () => {
    for (const candidate of ["xxxxxx", "secrex", "xecret", "secret", "secretsecret", "s", ""]) {
      let looks = 0;
      const counted = {
        length: candidate.length,
        charCodeAt: (place: number): number => {
          looks++;
          return candidate.charCodeAt(place);
        },
      } as unknown as string;
      assert.equal(matchesSecret(counted, "secret"), candidate === "secret");
      assert.equal(looks, candidate.length);
    }
  });
});
