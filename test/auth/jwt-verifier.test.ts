// JSON Web Tokens against every way to forge, confuse or outlive one that is known; whatever is wrong with it, it
// is nothing.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JwtConfig } from "../../src/auth/jwt-config.ts";
import type { JwksFetch } from "../../src/auth/jwks-keys.ts";
import { createJwtVerifier, type JwtVerifier } from "../../src/auth/jwt-verifier.ts";
import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import { codeOf, errorOf, withAuth } from "./auth-harness.ts";
import { hmacSigner, type IssuerKey, makeIssuerKey, makeToken } from "./jwt-tokens.ts";

const SECRET = "a secret of at least thirty-two bytes, PUBLIC or not";
const ISSUER = "https://issuer.example.com/";
const AUDIENCE = "shop";
const START_SECS = Date.UTC(2026, 0, 1) / 1000;
const CLAIMS = { iss: ISSUER, aud: AUDIENCE, sub: "user-1", exp: START_SECS + 3_600 };
const HS256 = { alg: "HS256", typ: "JWT" };
const secretConfig: JwtConfig = { kind: "secret", secret: SECRET, issuer: ISSUER, audience: AUDIENCE };
const jwksConfig: JwtConfig = {
  kind: "jwks",
  url: "https://issuer.example.com/jwks",
  issuer: ISSUER,
  audience: AUDIENCE,
};

const noFetch: JwksFetch = () => Promise.reject(new Error("Nothing is to be fetched"));

function secretVerifier(config: JwtConfig = secretConfig): { verifier: JwtVerifier; clock: VirtualClock } {
  const clock = createVirtualClock(START_SECS * 1000);
  return { verifier: createJwtVerifier(config, { clock, fetch: noFetch }), clock };
}

const hs256 = (claims: unknown, header: Readonly<Record<string, unknown>> = HS256): Promise<string> =>
  makeToken(header, claims, hmacSigner(SECRET));

describe("a JWT made with the shared secret", () => {
  it("is a user with the issuer's claims", async () => {
    const { verifier } = secretVerifier();
    const token = await hs256({ ...CLAIMS, email: "Ann@Example.com", roles: ["editor"], tenant_id: "t1" });
    assert.deepEqual(await verifier.verify(token), {
      kind: "user",
      userId: "user-1",
      email: "ann@example.com",
      roles: ["editor"],
      tenantId: "t1",
      isAdmin: false,
    });
  });

  it("never makes an admin or a member", async () => {
    const { verifier } = secretVerifier();
    const claims = {
      ...CLAIMS,
      is_admin: true,
      isAdmin: true,
      admin: true,
      kind: "admin",
      roles: ["org:owner", "admin"],
    };
    const identity = await verifier.verify(await hs256(claims));
    assert.deepEqual([identity?.kind, identity?.isAdmin, identity?.roles], ["user", false, ["admin"]]);
  });

  it("gives no address that the issuer has not proven, and no roles from what is no list of names", async () => {
    const { verifier } = secretVerifier();
    for (const claims of [{ email_verified: false }, { email_verified: "false" }, { email: "x" }, { email: 5 }]) {
      const token = await hs256({ ...CLAIMS, email: "ann@example.com", ...claims });
      assert.equal((await verifier.verify(token))?.email, null);
    }
    for (const roles of ["admin", [1], ["a", null], { 0: "a" }, [""], Array.from({ length: 51 }, () => "a")]) {
      assert.deepEqual((await verifier.verify(await hs256({ ...CLAIMS, roles })))?.roles, []);
    }
  });

  const refused: Readonly<Record<string, unknown>> = {
    "no exp": { ...CLAIMS, exp: undefined },
    "a text as exp": { ...CLAIMS, exp: String(CLAIMS.exp) },
    "an infinite exp": { ...CLAIMS, exp: "1e999" },
    "exp now": { ...CLAIMS, exp: START_SECS },
    "nbf in a minute": { ...CLAIMS, nbf: START_SECS + 60 },
    "a text as nbf": { ...CLAIMS, nbf: "0" },
    "no iss": { ...CLAIMS, iss: undefined },
    "another iss": { ...CLAIMS, iss: "https://issuer.example.com" },
    "a list as iss": { ...CLAIMS, iss: [ISSUER] },
    "no aud": { ...CLAIMS, aud: undefined },
    "another aud": { ...CLAIMS, aud: "shop2" },
    "a list without the aud": { ...CLAIMS, aud: ["a", "b"] },
    "no sub": { ...CLAIMS, sub: undefined },
    "an empty sub": { ...CLAIMS, sub: "" },
    "a number as sub": { ...CLAIMS, sub: 7 },
    "an object as tenant": { ...CLAIMS, tenant_id: {} },
    "a list as claims": [CLAIMS],
    "null as claims": null,
  };
  for (const [name, claims] of Object.entries(refused)) {
    it(`is refused with ${name}`, async () => {
      assert.equal(await secretVerifier().verifier.verify(await hs256(claims)), null);
    });
  }

  it("may hold the audience in a list, and any when none is asked for", async () => {
    assert.ok(await secretVerifier().verifier.verify(await hs256({ ...CLAIMS, aud: ["x", AUDIENCE] })));
    const { verifier } = secretVerifier({ ...secretConfig, audience: null });
    assert.ok(await verifier.verify(await hs256({ ...CLAIMS, aud: undefined })));
  });

  it("is refused without a signature, with any other, and with any other algorithm", async () => {
    const { verifier } = secretVerifier();
    const none = (): Promise<ArrayBuffer> => Promise.resolve(new ArrayBuffer(0));
    const good = await hs256(CLAIMS);
    const tokens = [
      ...(await Promise.all(["none", "None", "NONE", ""].map((alg) => makeToken({ alg }, CLAIMS, none)))),
      await hs256(CLAIMS, { alg: "none" }),
      await hs256(CLAIMS, { alg: "HS384" }),
      await makeToken({ alg: "HS512" }, CLAIMS, hmacSigner(SECRET, "SHA-512")),
      await hs256(CLAIMS, { alg: "RS256" }),
      await hs256(CLAIMS, { alg: ["HS256"] }),
      await hs256(CLAIMS, { alg: "HS256", crit: ["exp"] }),
      await hs256(CLAIMS, { alg: "HS256", typ: "logout+jwt" }),
      await makeToken(HS256, CLAIMS, hmacSigner(`${SECRET}x`)),
      good.slice(0, good.lastIndexOf(".") + 1),
      good.slice(0, good.lastIndexOf(".")),
      `${good}.x`,
      `${good.slice(0, -4)}AAAA`,
      good.replace(".", ".e30"),
      "..",
      "a.b.c",
      "eyJ.eyJ.sig",
    ];
    for (const token of tokens) assert.equal(await verifier.verify(token), null, token);
    assert.ok(await verifier.verify(good));
  });

  it("is accepted without a type and as an access token", async () => {
    const { verifier } = secretVerifier();
    assert.ok(await verifier.verify(await hs256(CLAIMS, { alg: "HS256" })));
    assert.ok(await verifier.verify(await hs256(CLAIMS, { alg: "HS256", typ: "at+jwt" })));
  });

  it("ends with its time, also when it was just accepted, by the clock that is handed in", async () => {
    const { verifier, clock } = secretVerifier();
    const token = await hs256({ ...CLAIMS, exp: START_SECS + 10, nbf: START_SECS + 5 });
    assert.ok(await verifier.verify(token));
    clock.jump(9_999);
    assert.ok(await verifier.verify(token));
    clock.jump(1);
    assert.equal(await verifier.verify(token), null);
  });
});

interface Issuer {
  readonly verifier: JwtVerifier;
  readonly clock: VirtualClock;
  readonly requests: string[];
  /** What the issuer answers; a number is a status without a body. */
  answer: readonly JsonWebKey[] | string | number;
}

function openIssuer(keys: readonly JsonWebKey[] | string | number): Issuer {
  const clock = createVirtualClock(START_SECS * 1000);
  const requests: string[] = [];
  const fetchKeys: JwksFetch = (url) => {
    requests.push(url);
    const { answer } = issuer;
    if (typeof answer === "number") return Promise.resolve(new Response(null, { status: answer }));
    return Promise.resolve(new Response(typeof answer === "string" ? answer : JSON.stringify({ keys: answer })));
  };
  const issuer: Issuer = {
    verifier: createJwtVerifier(jwksConfig, { clock, fetch: fetchKeys }),
    clock,
    requests,
    answer: keys,
  };
  return issuer;
}

const signedBy = (
  key: IssuerKey,
  header: Readonly<Record<string, unknown>> = {},
  claims: unknown = CLAIMS,
): Promise<string> =>
  makeToken({ alg: key.alg, ...(key.jwk.kid === undefined ? {} : { kid: key.jwk.kid }), ...header }, claims, key.sign);

describe("a JWT made with an issuer's key", () => {
  it("is accepted for RS256, ES256 and EdDSA", async () => {
    const keys = [
      await makeIssuerKey("RS256", "r"),
      await makeIssuerKey("ES256", "e"),
      await makeIssuerKey("EdDSA", "d"),
    ];
    const issuer = openIssuer(keys.map(({ jwk }) => jwk));
    for (const key of keys) assert.equal((await issuer.verifier.verify(await signedBy(key)))?.userId, "user-1");
    assert.deepEqual(issuer.requests, [jwksConfig.kind === "jwks" ? jwksConfig.url : ""]);
  });

  it("is refused as an HMAC made with the public key, in every encoding of it", async () => {
    const key = await makeIssuerKey("RS256", "r");
    const { verifier, requests } = openIssuer([key.jwk]);
    const imported = await crypto.subtle.importKey(
      "jwk",
      key.jwk,
      { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
      true,
      ["verify"],
    );
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", imported));
    const pem = `-----BEGIN PUBLIC KEY-----\n${btoa(String.fromCharCode(...spki))}\n-----END PUBLIC KEY-----\n`;
    for (const secret of [spki, pem, key.jwk.n ?? "", JSON.stringify(key.jwk)]) {
      assert.equal(
        await verifier.verify(await makeToken({ alg: "HS256", kid: "r" }, CLAIMS, hmacSigner(secret))),
        null,
      );
    }
    // The algorithm alone decides: no stranger makes it ask the issuer.
    assert.deepEqual(requests, []);
  });

  it("is refused when header and key do not belong together", async () => {
    const [rsa, ec] = [await makeIssuerKey("RS256", "r"), await makeIssuerKey("ES256", "e")];
    const stranger = await makeIssuerKey("RS256", "r");
    const { verifier } = openIssuer([rsa.jwk, ec.jwk]);
    const tokens = [
      await signedBy(rsa, { alg: "ES256" }),
      await signedBy(rsa, { alg: "RS512" }),
      await signedBy(rsa, { alg: "PS256" }),
      await signedBy(rsa, { kid: "e" }),
      await signedBy(rsa, { kid: "unknown" }),
      await signedBy(rsa, { alg: "none" }),
      await signedBy(rsa, { alg: "toString" }),
      await signedBy(stranger),
      await signedBy(stranger, { jwk: stranger.jwk, jku: "https://evil.example.com" }),
      await signedBy(rsa, {}, { ...CLAIMS, exp: undefined }),
    ];
    for (const token of tokens) assert.equal(await verifier.verify(token), null);
  });

  it("is refused for keys that are short, symmetric or not for signatures", async () => {
    const short = await makeIssuerKey("RS256_SHORT", "s");
    const encryption = await makeIssuerKey("RS256", "x");
    const wrapping = await makeIssuerKey("RS256", "w");
    const oct = { kty: "oct", k: "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", kid: "o" };
    const { verifier } = openIssuer([
      short.jwk,
      { ...encryption.jwk, use: "enc" },
      { ...wrapping.jwk, key_ops: ["wrapKey"] },
      oct,
    ]);
    for (const key of [short, encryption, wrapping]) assert.equal(await verifier.verify(await signedBy(key)), null);
    const signed = await makeToken(
      { alg: "HS256", kid: "o" },
      CLAIMS,
      hmacSigner("secret-secret-secret-secret-secret"),
    );
    assert.equal(await verifier.verify(signed), null);
  });

  it("without a key id is checked with the only key there is, never with one of several", async () => {
    const [one, two] = [await makeIssuerKey("ES256", null), await makeIssuerKey("ES256", null)];
    assert.ok(await openIssuer([one.jwk]).verifier.verify(await signedBy(one)));
    assert.equal(await openIssuer([one.jwk, two.jwk]).verifier.verify(await signedBy(one)), null);
  });

  it("is not hindered by broken neighbours of its key", async () => {
    const key = await makeIssuerKey("ES256", "e");
    const { verifier } = openIssuer([{ kty: "EC", crv: "P-256", x: "AA", y: "AA" }, {}, key.jwk]);
    assert.ok(await verifier.verify(await signedBy(key)));
  });
});

describe("an issuer's keys", () => {
  it("are read again for a new key id, at most once in 30 seconds and once for many requests", async () => {
    const [old, next] = [await makeIssuerKey("ES256", "old"), await makeIssuerKey("ES256", "next")];
    const issuer = openIssuer([old.jwk]);
    assert.ok(await issuer.verifier.verify(await signedBy(old)));
    issuer.answer = [old.jwk, next.jwk];
    const token = await signedBy(next);
    assert.equal(await issuer.verifier.verify(token), null);
    assert.equal(issuer.requests.length, 1);
    await issuer.clock.advance(30_000);
    const identities = await Promise.all(Array.from({ length: 20 }, () => issuer.verifier.verify(token)));
    assert.ok(identities.every((identity) => identity?.userId === "user-1"));
    assert.equal(issuer.requests.length, 2);
  });

  it("that were withdrawn end within eleven minutes", async () => {
    const [key, other] = [await makeIssuerKey("ES256", "k"), await makeIssuerKey("ES256", "o")];
    const issuer = openIssuer([key.jwk]);
    const token = await signedBy(key);
    assert.ok(await issuer.verifier.verify(token));
    issuer.answer = [other.jwk];
    await issuer.clock.advance(11 * 60_000);
    assert.equal(await issuer.verifier.verify(token), null);
  });

  it("stay in force for a day while the issuer does not answer", async () => {
    const key = await makeIssuerKey("ES256", "k");
    const issuer = openIssuer([key.jwk]);
    const claims = { ...CLAIMS, exp: START_SECS + 10 * 86_400 };
    const token = await signedBy(key, {}, claims);
    assert.ok(await issuer.verifier.verify(token));
    issuer.answer = 503;
    await issuer.clock.advance(23 * 3_600_000);
    assert.ok(await issuer.verifier.verify(token));
    await issuer.clock.advance(2 * 3_600_000);
    const error = await errorOf(issuer.verifier.verify(token));
    assert.deepEqual([error.code, error.status], ["JWKS_UNAVAILABLE", 503]);
    issuer.answer = [key.jwk];
    await issuer.clock.advance(30_000);
    assert.ok(await issuer.verifier.verify(token));
  });

  it("are unavailable when the answer is no key set or too large", async () => {
    const token = await signedBy(await makeIssuerKey("ES256", "k"));
    for (const answer of ["[]", "nonsense", '{"keys":{}}', `{"keys":[],"x":"${"x".repeat(300_000)}"}`, 500]) {
      assert.equal(await codeOf(openIssuer(answer).verifier.verify(token)), "JWKS_UNAVAILABLE");
    }
    const many = openIssuer(Array.from({ length: 101 }, () => ({ kty: "EC" })));
    assert.equal(await codeOf(many.verifier.verify(token)), "JWKS_UNAVAILABLE");
  });
});

describe("identify() with a JWT", () => {
  it("accepts it when it is configured, and says nothing of it when it is refused", async () => {
    const token = await hs256(CLAIMS);
    await withAuth(
      async ({ auth }) => {
        assert.equal((await auth.identify(`Bearer ${token}`)).userId, "user-1");
        const expired = await hs256({ ...CLAIMS, exp: START_SECS - 1 });
        const error = await errorOf(auth.identify(`Bearer ${expired}`));
        assert.equal(error.code, "INVALID_TOKEN");
        assert.equal(error.cause, undefined);
        assert.ok(!`${error.message}${error.hint}${error.stack}`.includes(expired));
      },
      { jwt: secretConfig },
    );
    await withAuth(async ({ auth }) => {
      assert.equal(await codeOf(auth.identify(`Bearer ${token}`)), "INVALID_TOKEN");
    });
  });
});
