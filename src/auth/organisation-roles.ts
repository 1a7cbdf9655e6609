// What a role in an organisation allows, and how it shows in an identity. Pure. Names of roles that start with `org:` come
// only from a membership that exists at the moment of the request.

export const ORG_ROLES = ["owner", "admin", "member"] as const;
export type OrgRole = (typeof ORG_ROLES)[number];

/**
 * The prefix keeps the roles of an organisation apart from the application's: anyone may create an organisation and be its
 * admin, which must not answer `auth.hasRole("admin")`.
 */
const ORG_ROLE_PREFIX = "org:";

/** The name under which a membership's role appears in `Identity.roles`. */
export function identityRole(membershipRole: string): string {
  return ORG_ROLE_PREFIX + membershipRole;
}

export function isIdentityRole(role: string): boolean {
  return role.startsWith(ORG_ROLE_PREFIX);
}

/** The roles that do not claim to come from a membership. */
export function withoutIdentityRoles(roles: readonly string[]): readonly string[] {
  return roles.some(isIdentityRole) ? roles.filter((role) => !isIdentityRole(role)) : roles;
}

export function isOrgRole(text: string): text is OrgRole {
  return (ORG_ROLES as readonly string[]).includes(text);
}

/** Whom each role may invite, change to and remove. An admin cannot touch owners, or owners would be at its mercy. */
const MANAGES: Readonly<Record<OrgRole, readonly OrgRole[]>> = {
  owner: ["owner", "admin", "member"],
  admin: ["admin", "member"],
  member: [],
};

/** Whether a member with `actor` may grant `role`. */
export function mayGrant(actor: OrgRole, role: OrgRole): boolean {
  return MANAGES[actor].includes(role);
}

/** Whether a member with `actor` may turn a `from` into a `to`. */
export function mayChange(actor: OrgRole, from: OrgRole, to: OrgRole): boolean {
  return mayGrant(actor, from) && mayGrant(actor, to);
}

/** Whether a member with `actor` may see invites and invite. */
export function mayInvite(actor: OrgRole): boolean {
  return MANAGES[actor].length > 0;
}
