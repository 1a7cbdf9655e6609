// The JWT variables of the environment: every problem is named, no value is.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseJwtConfig } from "../../src/auth/jwt-config.ts";
import { isPylonError } from "../../src/core/errors.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const URL = "https://issuer.example.com/jwks.json";
const ISSUER = { PYLON_JWT_ISSUER: "https://issuer.example.com" };

/** The variables that are complained about. */
function problemsOf(env: Readonly<Record<string, string | undefined>>): string[] {
  try {
    parseJwtConfig(env);
  } catch (error) {
    if (!isPylonError(error, "CONFIG_INVALID")) throw error;
    const text = JSON.stringify([error.message, error.details]);
    for (const value of Object.values(env)) assert.ok(!value || !text.includes(value), "A value is shown");
    return (error.details ?? []).map(({ path }) => path);
  }
  return [];
}

describe("parseJwtConfig()", () => {
  it("is null without any variable, or with empty ones", () => {
    assert.equal(parseJwtConfig({}), null);
    assert.equal(parseJwtConfig({ PYLON_JWT_SECRET: "", PYLON_JWT_ISSUER: "" }), null);
  });

  it("reads a secret or a key set", () => {
    const expected = { issuer: ISSUER.PYLON_JWT_ISSUER, audience: null };
    assert.deepEqual(parseJwtConfig({ PYLON_JWT_SECRET: SECRET, ...ISSUER }), {
      kind: "secret",
      secret: SECRET,
      ...expected,
    });
    assert.deepEqual(parseJwtConfig({ PYLON_JWT_JWKS_URL: URL, PYLON_JWT_AUDIENCE: "shop", ...ISSUER }), {
      kind: "jwks",
      url: URL,
      ...expected,
      audience: "shop",
    });
    const local = "http://127.0.0.1:8080/jwks";
    assert.ok(parseJwtConfig({ PYLON_JWT_JWKS_URL: local, ...ISSUER }));
  });

  it("names every variable that does not fit, never its value", () => {
    assert.deepEqual(problemsOf({ PYLON_JWT_SECRET: SECRET.slice(1), ...ISSUER }), ["PYLON_JWT_SECRET"]);
    assert.deepEqual(problemsOf({ PYLON_JWT_SECRET: SECRET }), ["PYLON_JWT_ISSUER"]);
    assert.deepEqual(problemsOf(ISSUER), ["PYLON_JWT_ISSUER"]);
    assert.deepEqual(problemsOf({ PYLON_JWT_AUDIENCE: "shop" }), ["PYLON_JWT_AUDIENCE"]);
    for (const url of ["http://issuer.example.com/", "no url", "https://u:p@issuer.example.com/", "file:///etc/keys"]) {
      assert.deepEqual(problemsOf({ PYLON_JWT_JWKS_URL: url, ...ISSUER }), ["PYLON_JWT_JWKS_URL"], url);
    }
    assert.deepEqual(problemsOf({ PYLON_JWT_SECRET: "short", PYLON_JWT_JWKS_URL: URL }), [
      "PYLON_JWT_SECRET",
      "PYLON_JWT_JWKS_URL",
      "PYLON_JWT_ISSUER",
    ]);
  });

  it("counts bytes, not characters", () => {
    assert.ok(parseJwtConfig({ PYLON_JWT_SECRET: "é".repeat(16), ...ISSUER }));
  });
});
