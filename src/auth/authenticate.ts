// Turns the headers of a request into an identity. Whatever is presented and not recognised is INVALID_TOKEN: only a request
// without any is anonymous.

import type { Clock } from "../core/clock.ts";
import { ADMIN, ANONYMOUS, type Identity } from "../core/identity.ts";
import { sha256Hex } from "../crypto/digest.ts";
import type { Reader, Row } from "../store/store.ts";
import { authError } from "./auth-errors.ts";
import { API_KEYS, SESSIONS } from "./auth-tables.ts";
import { apiKeyIdOf, isSessionToken, parseBearer } from "./bearer-token.ts";
import type { JwtVerifier } from "./jwt-verifier.ts";
import type { Memberships } from "./memberships.ts";
import { identityRole, isIdentityRole } from "./organisation-roles.ts";
import { readBool, readInt, readIntOrNull, readText, readTextOrNull, readTexts } from "./read-columns.ts";
import { createRecentMap, type RecentMap } from "./recent-map.ts";
import { matchesSecret } from "./secret-match.ts";

/**
 * Hashing a token costs 35 µs of the two cores (measured, Bun 1.4.5), a lookup 0.2 µs. So hashes of tokens that were found
 * are kept, which keeps those tokens in this process's memory; it has seen them anyway. What a token is worth is read from
 * the store at every request.
 */
const MAX_HASHED_TOKENS = 10_000;

/** Of one header: null or undefined when there is none. */
type HeaderValue = string | null | undefined;

export interface Authenticator {
  /**
   * @param authorization `Authorization`, which alone counts when it is there.
   * @param apiKey `X-API-Key`: an API key and no other token.
   * @throws INVALID_TOKEN for anything presented that is unknown, expired or of another scheme; JWKS_UNAVAILABLE.
   */
  identify(authorization: HeaderValue, apiKey?: HeaderValue): Promise<Identity>;
}

export interface AuthenticatorOptions {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly memberships: Memberships;
  /** Null or empty: nobody is admin by token. */
  readonly adminToken: string | null;
  readonly jwt: JwtVerifier | null;
}

interface Tenancy {
  readonly tenantId: string | null;
  /** The role of the membership that the tenant came from. */
  readonly role: string | null;
}

const NO_TENANT: Tenancy = { tenantId: null, role: null };

/** The tenant of a row as it is now: one that came from a membership ends with it. */
async function tenancyOf(row: Row, memberships: Memberships): Promise<Tenancy> {
  const tenantId = readTextOrNull(row, "tenant_id");
  if (tenantId === null || !readBool(row, "tenant_by_membership")) return { tenantId, role: null };
  const userId = readTextOrNull(row, "user_id");
  const role = userId === null ? null : await memberships.roleOf(userId, tenantId);
  return role === null ? NO_TENANT : { tenantId, role };
}

async function identifySession(row: Row, memberships: Memberships): Promise<Identity> {
  const { tenantId, role } = await tenancyOf(row, memberships);
  const roles = readTexts(row, "roles");
  return {
    kind: "user",
    userId: readText(row, "user_id"),
    email: readTextOrNull(row, "email"),
    roles: role === null ? roles : [...roles, identityRole(role)],
    tenantId,
    isAdmin: false,
  };
}

/** A key made inside an organisation is of no use outside it: without the membership it is no identity at all. */
async function identifyKey(row: Row, memberships: Memberships): Promise<Identity | null> {
  const { tenantId, role } = await tenancyOf(row, memberships);
  if (tenantId !== readTextOrNull(row, "tenant_id")) return null;
  const current = role === null ? null : identityRole(role);
  return {
    kind: "api_key",
    userId: readTextOrNull(row, "user_id"),
    email: readTextOrNull(row, "email"),
    roles: readTexts(row, "roles").filter((name) => !isIdentityRole(name) || name === current),
    tenantId,
    isAdmin: false,
  };
}

interface Lookup {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly memberships: Memberships;
  readonly hashes: RecentMap<string>;
}

async function findSession(token: string, lookup: Lookup): Promise<Identity | null> {
  const known = lookup.hashes.get(token);
  const id = known ?? (await sha256Hex(token));
  const row = await lookup.reader.get(SESSIONS, id);
  if (!row || readInt(row, "expires_at") <= lookup.clock.now()) {
    if (known !== undefined) lookup.hashes.delete(token);
    return null;
  }
  // Only now, or strangers could push the tokens in use out with invented ones.
  if (known === undefined) lookup.hashes.set(token, id);
  return await identifySession(row, lookup.memberships);
}

async function findKey(token: string, keyId: string, lookup: Lookup): Promise<Identity | null> {
  const row = await lookup.reader.get(API_KEYS, keyId);
  if (!row) return null;
  const expiresAt = readIntOrNull(row, "expires_at");
  if (expiresAt !== null && expiresAt <= lookup.clock.now()) return null;
  const known = lookup.hashes.get(token);
  const hash = known ?? (await sha256Hex(token));
  // The id is public, so the secret is what is compared, in constant time.
  if (!matchesSecret(hash, readText(row, "key_hash"))) return null;
  if (known === undefined) lookup.hashes.set(token, hash);
  return await identifyKey(row, lookup.memberships);
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { adminToken, jwt } = options;
  const lookup: Lookup = { ...options, hashes: createRecentMap(MAX_HASHED_TOKENS) };
  const recogniseKey = async (token: string): Promise<Identity | null> => {
    const keyId = apiKeyIdOf(token);
    return keyId === null ? null : await findKey(token, keyId, lookup);
  };
  const recognise = async (token: string): Promise<Identity | null> => {
    if (adminToken && matchesSecret(token, adminToken)) return ADMIN;
    if (isSessionToken(token)) return await findSession(token, lookup);
    if (apiKeyIdOf(token) !== null) return await recogniseKey(token);
    return jwt ? await jwt.verify(token) : null;
  };
  const recogniseBearer = async (authorization: string): Promise<Identity | null> => {
    const token = parseBearer(authorization);
    return token === null ? null : await recognise(token);
  };
  return {
    async identify(authorization, apiKey) {
      const bearer = authorization ?? null;
      const key = apiKey ?? null;
      if (bearer === null && key === null) return ANONYMOUS;
      const identity = bearer === null ? await recogniseKey(key ?? "") : await recogniseBearer(bearer);
      if (!identity) throw authError("INVALID_TOKEN");
      return identity;
    },
  };
}
