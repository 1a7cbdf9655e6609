// What an operator may allow: every entry is read completely or is a problem with a path.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseAllowedHost, parseGuardEntries } from "../../src/net/guard-entries.ts";

describe("parseAllowedHost()", () => {
  const readable: readonly (readonly [string, string, number | undefined])[] = [
    ["hooks.internal", "hooks.internal", undefined],
    ["Hooks.Internal.", "hooks.internal", undefined],
    ["hooks.internal:80", "hooks.internal", 80],
    ["127.0.0.1:9000", "127.0.0.1", 9000],
    ["127.1", "127.0.0.1", undefined],
    ["[::1]:9000", "::1", 9000],
    ["[0:0:0:0:0:0:0:1]", "::1", undefined],
    ["::1", "::1", undefined],
    ["::ffff:10.0.0.1", "10.0.0.1", undefined],
    ["[::ffff:10.0.0.1]:81", "10.0.0.1", 81],
    ["bücher.example", "xn--bcher-kva.example", undefined],
    ["localhost:3000", "localhost", 3000],
  ];
  for (const [entry, host, port] of readable) {
    it(`reads "${entry}"`, () => assert.deepEqual(parseAllowedHost(entry), { host, port }));
  }

  const refused =
    "||:80|a:|a:0|a:65536|a:99999|a:b|http://a|a/b|u@a|*.internal|*|a b|[::1|::1]:80|[zz]|a:80:80|.|999.1.1.1|10.0.0.0/8";
  for (const entry of refused.split("|")) {
    it(`refuses "${entry}"`, () => assert.equal(parseAllowedHost(entry), undefined));
  }
});

describe("parseGuardEntries()", () => {
  it("names every problem by its path and keeps what is readable", () => {
    const entries = parseGuardEntries({
      allow_hosts: ["hooks.internal", "*.internal", "http://a"],
      allow_cidrs: ["10.0.0.0/8", "10.0.0.1/8"],
    });
    assert.deepEqual(
      entries.problems.map(({ path }) => path),
      ["allow_hosts.1", "allow_hosts.2", "allow_cidrs.1"],
    );
    assert.equal(entries.allowHosts.length, 1);
    assert.equal(entries.allowCidrs.length, 1);
  });

  it("reads absent lists as empty", () => {
    assert.deepEqual(parseGuardEntries({}), { allowHosts: [], allowCidrs: [], problems: [] });
  });
});
