// Codes of the platforms and what they mean; no text of an error reaches the message.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { failureOf } from "../../src/net/net-failure.ts";

const coded = (code: unknown, extra: object = {}): Error =>
  Object.assign(new Error("about https://x.example/?key=hidden"), { code }, extra);

describe("failureOf()", () => {
  const table: readonly (readonly [unknown, string])[] = [
    [coded("ECONNREFUSED"), "NET_CONNECT"],
    [coded("EHOSTUNREACH"), "NET_CONNECT"],
    [coded("ECONNRESET"), "NET_RESET"],
    [coded("ETIMEDOUT"), "NET_TIMEOUT"],
    [coded("ERR_TLS_CERT_ALTNAME_INVALID"), "NET_TLS"],
    [coded("CERT_HAS_EXPIRED"), "NET_TLS"],
    [coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "NET_TLS"],
    [coded("ERR_SSL_WRONG_VERSION_NUMBER"), "NET_TLS"],
    [coded("HPE_HEADER_OVERFLOW"), "NET_RESPONSE_TOO_LARGE"],
    [coded("HPE_INVALID_CONSTANT"), "NET_PROTOCOL"],
    [coded("SomethingNew"), "NET_PROTOCOL"],
    [coded(undefined, { cause: coded("ECONNREFUSED") }), "NET_CONNECT"],
    [coded(undefined, { errors: [coded("ENETUNREACH"), coded("ECONNREFUSED")] }), "NET_CONNECT"],
    [new TypeError("GET cannot have a body"), "NET_REQUEST_INVALID"],
    [new DOMException("stopped", "AbortError"), "NET_ABORTED"],
    ["a text", "NET_PROTOCOL"],
    [undefined, "NET_PROTOCOL"],
  ];
  for (const [error, code] of table) {
    it(`calls ${error instanceof Error ? nameOf(error) : String(error)} ${code}`, () => {
      const failure = failureOf(error);
      assert.equal(failure.code, code);
      assert.doesNotMatch(failure.message, /hidden|example/);
    });
  }

  it("lets no free text through as a code, and no endless chain hold it", () => {
    assert.doesNotMatch(failureOf(coded("see https://x.example/?key=hidden")).message, /hidden/);
    const loop = coded(undefined);
    loop.cause = loop;
    assert.equal(failureOf(loop).code, "NET_PROTOCOL");
  });
});

function nameOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
