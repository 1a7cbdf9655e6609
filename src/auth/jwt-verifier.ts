// Verifies JSON Web Tokens with the one key source that is configured. The algorithm comes from the configuration: `none`,
// and an HMAC made with a public key, have no entry to be looked up by.

import { decodeHeader, verify } from "hono/utils/jwt/jwt";
import type { Clock } from "../core/clock.ts";
import { isPylonError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import { isObject } from "../core/json.ts";
import { importHmacKey } from "../crypto/hmac.ts";
import { createJwksKeys, isJwksAlgorithm, type JwksAlgorithm, type JwksFetch } from "./jwks-keys.ts";
import { type ExpectedClaims, identityOfClaims } from "./jwt-claims.ts";
import type { JwtConfig } from "./jwt-config.ts";
import { createRecentMap } from "./recent-map.ts";

/** Three parts, and no more than a header's worth of them. */
const JWT_SHAPE = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** RFC 9068 access tokens say `at+jwt`. Any other type (a logout token, a proof) is not a sign-in. */
const ACCEPTED_TYPES = ["JWT", "at+jwt"];
const MAX_VERIFIED = 10_000;
/** How long a verified token is taken as verified; also how long a key that the issuer withdrew keeps working. */
const VERIFIED_MS = 60_000;

export interface JwtVerifier {
  /** Null for every token that is not accepted, whatever the reason. @throws JWKS_UNAVAILABLE */
  verify(token: string): Promise<Identity | null>;
}

type KeyFor = (header: {
  readonly alg: string;
  readonly kid?: string;
}) => Promise<{ readonly algorithm: "HS256" | JwksAlgorithm; readonly key: CryptoKey } | null>;

function secretKeys(secret: string): KeyFor {
  let imported: Promise<CryptoKey> | undefined;
  return async ({ alg }) => {
    if (alg !== "HS256") return null;
    return { algorithm: alg, key: await (imported ??= importHmacKey(secret)) };
  };
}

function issuerKeys(url: string, options: JwtVerifierOptions): KeyFor {
  const keys = createJwksKeys({ url, ...options });
  return async ({ alg, kid }) => {
    if (!isJwksAlgorithm(alg)) return null;
    const key = await keys.find(alg, typeof kid === "string" ? kid : null);
    return key ? { algorithm: alg, key } : null;
  };
}

/** The claims of a token whose signature holds. Claims are judged elsewhere, by the clock that is handed in. */
async function readVerified(token: string, keyFor: KeyFor): Promise<unknown> {
  const header: unknown = decodeHeader(token);
  if (!isObject(header) || typeof header["alg"] !== "string") return null;
  const found = await keyFor(header as { alg: string; kid?: string });
  if (!found) return null;
  const typ = header["typ"] === undefined ? {} : { typ: ACCEPTED_TYPES };
  const unjudged = { nbf: false, exp: false, iat: false };
  return await verify(token, found.key, { alg: found.algorithm, ...unjudged, ...typ });
}

export interface JwtVerifierOptions {
  readonly clock: Clock;
  readonly fetch: JwksFetch;
}

interface Verified {
  readonly identity: Identity;
  readonly until: number;
}

export function createJwtVerifier(config: JwtConfig, options: JwtVerifierOptions): JwtVerifier {
  const { clock } = options;
  const expected: ExpectedClaims = config;
  const keyFor = config.kind === "secret" ? secretKeys(config.secret) : issuerKeys(config.url, options);
  const verified = createRecentMap<Verified>(MAX_VERIFIED);
  const check = async (token: string): Promise<Verified | null> => {
    const claims = await readVerified(token, keyFor);
    const now = clock.now();
    const result = identityOfClaims(claims, expected, now);
    return result && { identity: result.identity, until: Math.min(result.expiresAtMs, now + VERIFIED_MS) };
  };
  return {
    async verify(token) {
      const recent = verified.get(token);
      if (recent && clock.now() < recent.until) return recent.identity;
      if (!JWT_SHAPE.test(token)) return null;
      try {
        const fresh = await check(token);
        if (fresh) verified.set(token, fresh);
        return fresh?.identity ?? null;
      } catch (error) {
        if (isPylonError(error)) throw error;
        // Not even as a cause: the library's errors quote the token.
        return null;
      }
    },
  };
}
