// What a caller may see and do in an organisation. To a stranger an organisation does not exist.

import { coreError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { Reader, Row } from "../store/store.ts";
import { authError } from "./auth-errors.ts";
import { ORG_MEMBERS, ORGS } from "./auth-tables.ts";
import { personOrAdmin } from "./callers.ts";
import { membershipId } from "./memberships.ts";
import { isOrgRole, mayInvite, type OrgRole } from "./organisation-roles.ts";
import { readText } from "./read-columns.ts";

/** What an effect in a transaction came to; turned into an error only outside of it. */
export type OrgOutcome<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "not_found" | "forbidden" | "last_owner" | "limit" };

const FAILURES = {
  not_found: () => coreError("NOT_FOUND"),
  forbidden: () => authError("FORBIDDEN", { message: "Your role in this organisation does not allow this" }),
  last_owner: () => authError("LAST_OWNER"),
  limit: () => authError("LIMIT_REACHED"),
} as const;

/** @throws the error of a failed outcome. */
export function unwrapOrgOutcome<T>(outcome: OrgOutcome<T>): T {
  if (outcome.kind === "done") return outcome.value;
  throw FAILURES[outcome.kind]();
}

export function roleOfMember(row: Row): OrgRole {
  const role = readText(row, "role");
  if (!isOrgRole(role)) throw new TypeError("Cannot read the role of a member");
  return role;
}

/** The caller's role, owner for an admin; null when the organisation does not exist for it. */
export async function actorRole(reader: Reader, identity: Identity, orgId: string): Promise<OrgRole | null> {
  const person = personOrAdmin(identity);
  if (!person) return (await reader.get(ORGS, orgId)) ? "owner" : null;
  const row = await reader.get(ORG_MEMBERS, membershipId(orgId, person.userId));
  return row && row["org_id"] === orgId && row["user_id"] === person.userId ? roleOfMember(row) : null;
}

/** @throws AUTH_REQUIRED, FORBIDDEN (an API key), NOT_FOUND. */
export async function requireMember(reader: Reader, identity: Identity, orgId: string): Promise<OrgRole> {
  const role = await actorRole(reader, identity, orgId);
  if (role === null) throw coreError("NOT_FOUND");
  return role;
}

/** @throws as {@link requireMember}; FORBIDDEN for plain members. */
export async function requireInviter(reader: Reader, identity: Identity, orgId: string): Promise<OrgRole> {
  const role = await requireMember(reader, identity, orgId);
  if (!mayInvite(role)) throw FAILURES.forbidden();
  return role;
}
