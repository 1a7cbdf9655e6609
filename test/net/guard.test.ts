// The guard against the published SSRF targets, and each of its settings by example.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import vectors from "../../fixtures/vectors/ssrf-targets.json" with { type: "json" };
import { parseCidr } from "../../src/net/address.ts";
import { createGuard, type Guard } from "../../src/net/guard.ts";
import { parseAllowedHost } from "../../src/net/guard-entries.ts";

interface TargetCase {
  readonly url: string;
  readonly expect: string;
  readonly strict?: string;
  readonly host?: string;
  readonly resolve?: readonly string[];
  readonly why: string;
}

/** The whole decision: by the URL, then by the answer of a resolver that is asked only when the URL is not enough. */
function judge(guard: Guard, url: string, answer?: readonly string[]): string {
  const verdict = guard.judgeUrl(url);
  if (verdict.kind !== "needs-lookup") return verdict.kind;
  if (answer === undefined) return "lookup";
  return guard.judgeAddresses(verdict.host, verdict.port, answer).kind;
}

function allowing(...hosts: readonly string[]): Guard {
  return createGuard({ allowHosts: hosts.map((host) => parseAllowedHost(host)!) });
}

describe("the published SSRF targets", () => {
  const guard = createGuard();
  for (const { url, expect, strict, host, resolve, why } of vectors.cases as readonly TargetCase[]) {
    it(`${expect} ${url} (${why})`, () => {
      const parsed = URL.parse(url);
      if (host !== undefined) assert.equal(parsed?.hostname, host);
      const isAllowed = judge(guard, url, resolve).startsWith("allowed");
      const accepted = [expect, ...(strict === undefined ? [] : [strict])];
      assert.ok(accepted.includes(isAllowed ? "allow" : "deny"));
      // Without an answer in the table, the name has to be refused before any lookup.
      if (resolve === undefined) assert.notEqual(judge(guard, url), "lookup");
    });
  }
});

describe("createGuard()", () => {
  it("says whether the URL by itself is at fault", () => {
    const literal = (url: string): boolean | undefined => {
      const verdict = createGuard().judgeUrl(url);
      return verdict.kind === "blocked" ? verdict.literal : undefined;
    };
    for (const url of [
      "http://10.0.0.1/",
      "http://[::1]/",
      "ftp://example.com/",
      "http://u@example.com/",
      "nonsense",
      "http://./",
    ]) {
      assert.equal(literal(url), true, url);
    }
    for (const url of ["http://localhost/", "http://printer.local/"]) assert.equal(literal(url), false, url);
    const answer = createGuard().judgeAddresses("example.com", 443, ["10.0.0.1"]);
    assert.deepEqual(answer, { kind: "blocked", reason: "The host has an address that is not public", literal: false });
  });

  it("gives the canonical address to connect to", () => {
    const address = (url: string): string | undefined => {
      const verdict = createGuard().judgeUrl(url);
      return verdict.kind === "allowed-literal" ? verdict.address : undefined;
    };
    assert.equal(address("http://0x08.8.2056/"), "8.8.8.8");
    assert.equal(address("http://[::ffff:8.8.8.8]/"), "8.8.8.8");
    assert.equal(address("http://[2606:4700:4700:0:0:0:0:1111]/"), "2606:4700:4700::1111");
  });

  it("looks single-label and public names up, without their trailing dots", () => {
    const verdict = createGuard().judgeUrl("https://Example.COM./x");
    assert.ok(verdict.kind === "needs-lookup");
    assert.deepEqual([verdict.host, verdict.port], ["example.com", 443]);
    assert.equal(judge(createGuard(), "http://db:5432/"), "lookup");
  });

  for (const host of [
    "localhost",
    "LOCALHOST",
    "a.localhost",
    "localhost..",
    "foo.localdomain",
    "nas.home.arpa",
    "a.b.internal",
    "ｌocalhost",
  ]) {
    it(`refuses the name ${host} before a lookup`, () =>
      assert.equal(judge(createGuard(), `http://${host}/`), "blocked"));
  }
  for (const host of ["mylocalhost", "localhost.com", "internal.example.com", "notlocal"]) {
    it(`leaves the name ${host} to its addresses`, () =>
      assert.equal(judge(createGuard(), `http://${host}/`), "lookup"));
  }

  it("refuses a name for one forbidden or unreadable address among public ones", () => {
    const answers = [
      ["8.8.8.8", "10.0.0.1"],
      ["::1", "8.8.8.8"],
      ["8.8.8.8", "fe80::1%eth0"],
      ["8.8.8.8", ""],
      ["::ffff:127.0.0.1"],
    ];
    for (const answer of answers)
      assert.equal(judge(createGuard(), "http://example.com/", answer), "blocked", answer.join());
    assert.deepEqual(createGuard().judgeAddresses("example.com", 80, ["8.8.8.8", "::ffff:1.1.1.1", "2606:4700::1"]), {
      kind: "allowed",
      addresses: ["8.8.8.8", "1.1.1.1", "2606:4700::1"],
    });
  });

  it("allows listed hosts on the listed port, or on every port", () => {
    const guard = allowing("hooks.internal", "127.0.0.1:9000", "[::1]:9000", "app.example:443");
    assert.equal(judge(guard, "http://hooks.internal:81/", ["10.0.0.1"]), "allowed");
    assert.equal(judge(guard, "http://HOOKS.internal./", ["10.0.0.1"]), "allowed");
    assert.equal(judge(guard, "http://x.hooks.internal/", ["10.0.0.1"]), "blocked");
    assert.equal(judge(guard, "http://127.0.0.1:9000/"), "allowed-literal");
    assert.equal(judge(guard, "http://2130706433:9000/"), "allowed-literal");
    assert.equal(judge(guard, "http://[::ffff:127.0.0.1]:9000/"), "allowed-literal");
    assert.equal(judge(guard, "http://127.0.0.1:9001/"), "blocked");
    assert.equal(judge(guard, "http://127.0.0.2:9000/"), "blocked");
    assert.equal(judge(guard, "http://[::1]:9000/"), "allowed-literal");
    assert.equal(judge(guard, "http://[::1]/"), "blocked");
    assert.equal(judge(guard, "https://app.example/", ["10.0.0.1"]), "allowed");
    assert.equal(judge(guard, "http://app.example/", ["10.0.0.1"]), "blocked");
    // A name is not allowed because a listed address is its answer.
    assert.equal(judge(guard, "http://example.com:9000/", ["127.0.0.1"]), "blocked");
  });

  it("allows blocks, for literals and for answers, and nothing beside them", () => {
    const guard = createGuard({ allowCidrs: [parseCidr("10.1.0.0/16")!, parseCidr("fd00:1::/32")!] });
    assert.equal(judge(guard, "http://10.1.255.255/"), "allowed-literal");
    assert.equal(judge(guard, "http://[::ffff:10.1.0.1]/"), "allowed-literal");
    assert.equal(judge(guard, "http://10.2.0.0/"), "blocked");
    assert.equal(judge(guard, "http://example.com/", ["10.1.0.1", "fd00:1::1", "8.8.8.8"]), "allowed");
    assert.equal(judge(guard, "http://example.com/", ["10.1.0.1", "fd00:2::1"]), "blocked");
  });

  it("allows this machine alone when loopback is allowed", () => {
    const guard = createGuard({ loopback: "allow" });
    assert.equal(judge(guard, "http://127.9.9.9/"), "allowed-literal");
    assert.equal(judge(guard, "http://[::1]/"), "allowed-literal");
    assert.equal(judge(guard, "http://localhost:3000/", ["127.0.0.1", "::1"]), "allowed");
    assert.equal(judge(guard, "http://app.localhost/", ["127.0.0.1"]), "allowed");
    for (const url of ["http://0.0.0.0/", "http://10.0.0.1/", "http://169.254.169.254/", "http://printer.local/"]) {
      assert.equal(judge(guard, url), "blocked", url);
    }
    assert.equal(judge(guard, "http://localhost/", ["10.0.0.1"]), "blocked");
  });

  it("keeps scheme and user information when it is off", () => {
    const guard = createGuard({ enabled: false });
    assert.equal(judge(guard, "http://169.254.169.254/"), "allowed-literal");
    assert.equal(judge(guard, "http://metadata.google.internal/", ["169.254.169.254"]), "allowed");
    for (const url of ["file:///etc/passwd", "http://user@8.8.8.8/", "http://:secret@8.8.8.8/", "http://"]) {
      assert.equal(judge(guard, url), "blocked", url);
    }
  });

  it("keeps user information and scheme for listed hosts as well", () => {
    const guard = allowing("hooks.internal");
    assert.equal(judge(guard, "http://user@hooks.internal/"), "blocked");
    assert.equal(judge(guard, "gopher://hooks.internal/"), "blocked");
  });

  it("judges a URL object as its text", () => {
    assert.equal(createGuard().judgeUrl(new URL("http://127.1/")).kind, "blocked");
    assert.equal(createGuard().judgeUrl(new URL("http://8.8.8.8/")).kind, "allowed-literal");
  });
});
