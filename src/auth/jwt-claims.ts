// From the claims of a JSON Web Token to an identity. Pure. No claim makes an admin, and none stands in for a membership.

import type { Identity } from "../core/identity.ts";
import { isObject } from "../core/json.ts";
import { normaliseEmail } from "./email-address.ts";
import { withoutIdentityRoles } from "./organisation-roles.ts";

/** Clocks of issuers run ahead by seconds; only `nbf` is forgiven, an expired token is expired. */
const NOT_BEFORE_LEEWAY_SECS = 5;
const MAX_ID_CHARS = 255;
const MAX_ROLES = 50;
const MAX_ROLE_CHARS = 100;

export interface ExpectedClaims {
  readonly issuer: string;
  readonly audience: string | null;
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_ID_CHARS;
}

function isForAudience(aud: unknown, audience: string | null): boolean {
  if (audience === null) return true;
  return Array.isArray(aud) ? aud.includes(audience) : aud === audience;
}

/** RFC 7519 section 4.1. `exp` is required: a token without an end cannot be taken back. */
function isInTime(claims: Readonly<Record<string, unknown>>, nowMs: number): boolean {
  const { exp, nbf } = claims;
  if (typeof exp !== "number" || !Number.isFinite(exp) || exp * 1000 <= nowMs) return false;
  if (nbf === undefined) return true;
  return typeof nbf === "number" && Number.isFinite(nbf) && (nbf - NOT_BEFORE_LEEWAY_SECS) * 1000 <= nowMs;
}

/** A list of anything but role names gives no roles: the least that the issuer can have meant. */
function rolesOf(claim: unknown): readonly string[] {
  if (!Array.isArray(claim) || claim.length > MAX_ROLES) return [];
  const names = claim.filter((role) => typeof role === "string" && role.length > 0 && role.length <= MAX_ROLE_CHARS);
  return names.length === claim.length ? withoutIdentityRoles(names) : [];
}

/** An address that the issuer says is unproven would accept the invites of its real owner. */
function emailOf(claims: Readonly<Record<string, unknown>>): string | null {
  const { email, email_verified: verified } = claims;
  return typeof email === "string" && (verified === undefined || verified === true) ? normaliseEmail(email) : null;
}

/** A verified token's claims as an identity; `expiresAtMs` is when it ends. Null when a claim does not fit. */
export function identityOfClaims(
  claims: unknown,
  expected: ExpectedClaims,
  nowMs: number,
): { readonly identity: Identity; readonly expiresAtMs: number } | null {
  if (!isObject(claims) || claims["iss"] !== expected.issuer) return null;
  if (!isForAudience(claims["aud"], expected.audience) || !isInTime(claims, nowMs)) return null;
  const { sub, tenant_id: tenantId } = claims;
  if (!isId(sub) || (tenantId !== undefined && tenantId !== null && !isId(tenantId))) return null;
  return {
    identity: {
      kind: "user",
      userId: sub,
      email: emailOf(claims),
      roles: rolesOf(claims["roles"]),
      tenantId: tenantId ?? null,
      isAdmin: false,
    },
    expiresAtMs: (claims["exp"] as number) * 1000,
  };
}
