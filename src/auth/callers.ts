// What a caller has to be for a route of this room, and how `/api/auth/me` shows it.

import { coreError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import { authError } from "./auth-errors.ts";

/** A signed-in person: an identity with a user, and not an API key. */
export interface Person {
  readonly userId: string;
  readonly email: string | null;
}

/**
 * @throws AUTH_REQUIRED for the anonymous; FORBIDDEN for API keys (a key with few roles could invite or mint what has
 * more) and for an admin token, which is nobody in particular.
 */
export function requirePerson(identity: Identity): Person {
  if (identity.kind === "anonymous") throw coreError("AUTH_REQUIRED");
  if (identity.kind !== "user" || identity.userId === null) {
    throw authError("FORBIDDEN", { message: "Only a signed-in user can do this" });
  }
  return { userId: identity.userId, email: identity.email };
}

/** @throws AUTH_REQUIRED for the anonymous, FORBIDDEN for everyone else who is not an admin. */
export function requireAdmin(identity: Identity): void {
  if (identity.isAdmin) return;
  throw identity.kind === "anonymous" ? coreError("AUTH_REQUIRED") : authError("FORBIDDEN");
}

/** The person, or null for an admin. @throws as {@link requirePerson} */
export function personOrAdmin(identity: Identity): Person | null {
  return identity.isAdmin ? null : requirePerson(identity);
}

export interface Me {
  readonly user_id: string | null;
  readonly is_admin: boolean;
  readonly roles: readonly string[];
  readonly tenant_id: string | null;
}

/** The answer of `GET /api/auth/me`. */
export function describeMe(identity: Identity): Me {
  return {
    user_id: identity.userId,
    is_admin: identity.isAdmin,
    roles: identity.roles,
    tenant_id: identity.tenantId,
  };
}
