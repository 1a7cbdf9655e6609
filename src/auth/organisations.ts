// Organisations and their members. An organisation always keeps an owner, and who was removed has nothing left in it: no
// tenant, no key and no invite.

import type { Clock } from "../core/clock.ts";
import type { UlidSource } from "../core/ids.ts";
import type { Identity } from "../core/identity.ts";
import type { Condition, Row, Store, Tx } from "../store/store.ts";
import { API_KEYS, INVITES, ORG_MEMBERS, ORGS } from "./auth-tables.ts";
import { type Person, personOrAdmin, requirePerson } from "./callers.ts";
import { membershipId } from "./memberships.ts";
import { actorRole, type OrgOutcome, requireMember, roleOfMember, unwrapOrgOutcome } from "./organisation-access.ts";
import { mayChange, mayGrant, type OrgRole } from "./organisation-roles.ts";
import { readInt, readText, readTextOrNull } from "./read-columns.ts";

export const MAX_ORGS_PER_USER = 100;
const MAX_MEMBERS_LISTED = 200;
/** At least the keys that a user can have and the invites that an organisation can have open. */
const MAX_LEFT_BEHIND = 1_000;

export interface OrgView {
  readonly id: string;
  readonly name: string;
  /** The caller's. */
  readonly role: OrgRole;
}

export interface MemberView {
  readonly user_id: string;
  readonly email: string | null;
  readonly role: OrgRole;
  /** ISO 8601 UTC. */
  readonly joined_at: string;
}

/** Every method throws AUTH_REQUIRED to the anonymous, FORBIDDEN to API keys, NOT_FOUND where the caller is no member. */
export interface Organisations {
  /** The caller becomes its owner. @throws LIMIT_REACHED in 100 organisations. */
  create(identity: Identity, input: { readonly name: string }): Promise<OrgView>;
  /** By name of id, at most 100. */
  listMine(identity: Identity): Promise<OrgView[]>;
  /** By user id, 200 at a time. */
  listMembers(
    identity: Identity,
    orgId: string,
    cursor?: string,
  ): Promise<{ data: MemberView[]; next_cursor: string | null }>;
  /** @throws FORBIDDEN, LAST_OWNER. */
  changeRole(identity: Identity, orgId: string, change: { userId: string; role: OrgRole }): Promise<MemberView>;
  /** Also how a member leaves. @throws FORBIDDEN, LAST_OWNER. */
  removeMember(identity: Identity, orgId: string, userId: string): Promise<void>;
}

function eq(column: string, value: string | boolean): Condition {
  return { column, op: "eq", value };
}

function toMember(row: Row): MemberView {
  return {
    user_id: readText(row, "user_id"),
    email: readTextOrNull(row, "email"),
    role: roleOfMember(row),
    joined_at: new Date(readInt(row, "created_at")).toISOString(),
  };
}

/** Adds a membership unless the user is in too many; false then. */
export async function addMember(
  tx: Tx,
  member: { readonly orgId: string; readonly person: Person; readonly role: OrgRole; readonly now: number },
): Promise<boolean> {
  const { orgId, person, role, now } = member;
  if ((await tx.count(ORG_MEMBERS, [eq("user_id", person.userId)])) >= MAX_ORGS_PER_USER) return false;
  const outcome = await tx.insert(ORG_MEMBERS, {
    id: membershipId(orgId, person.userId),
    org_id: orgId,
    user_id: person.userId,
    email: person.email,
    role,
    created_at: now,
  });
  return outcome.kind === "inserted";
}

/** What a member made with its role ends with it, or a removed admin could come back by an invite of its own. */
async function dropLeftBehind(tx: Tx, orgId: string, userId: string): Promise<void> {
  const keys = [eq("user_id", userId), eq("tenant_id", orgId), eq("tenant_by_membership", true)];
  await tx.deleteWhere(API_KEYS, keys, MAX_LEFT_BEHIND);
  await tx.deleteWhere(INVITES, [eq("org_id", orgId), eq("invited_by", userId)], MAX_LEFT_BEHIND);
}

interface Target {
  readonly row: Row;
  readonly role: OrgRole;
  readonly actor: OrgRole;
  readonly isSelf: boolean;
  readonly isLastOwner: boolean;
}

async function readTarget(tx: Tx, identity: Identity, orgId: string, userId: string): Promise<Target | null> {
  const actor = await actorRole(tx, identity, orgId);
  const row = await tx.get(ORG_MEMBERS, membershipId(orgId, userId));
  if (actor === null || !row || row["org_id"] !== orgId) return null;
  const role = roleOfMember(row);
  const owners = role === "owner" ? await tx.count(ORG_MEMBERS, [eq("org_id", orgId), eq("role", "owner")]) : 0;
  return { row, role, actor, isSelf: identity.userId === userId, isLastOwner: owners === 1 };
}

async function applyRole(
  tx: Tx,
  identity: Identity,
  change: { readonly orgId: string; readonly userId: string; readonly role: OrgRole },
): Promise<OrgOutcome<MemberView>> {
  const target = await readTarget(tx, identity, change.orgId, change.userId);
  if (!target) return { kind: "not_found" };
  if (!mayChange(target.actor, target.role, change.role)) return { kind: "forbidden" };
  if (target.isLastOwner && change.role !== "owner") return { kind: "last_owner" };
  await tx.update(ORG_MEMBERS, target.row.id, { role: change.role });
  // Invites that the new role could not make must not outlive the old one.
  if (change.role === "member" || (target.role === "owner" && change.role === "admin")) {
    await tx.deleteWhere(INVITES, [eq("org_id", change.orgId), eq("invited_by", change.userId)], MAX_LEFT_BEHIND);
  }
  return { kind: "done", value: { ...toMember(target.row), role: change.role } };
}

async function applyRemoval(tx: Tx, identity: Identity, orgId: string, userId: string): Promise<OrgOutcome<null>> {
  const target = await readTarget(tx, identity, orgId, userId);
  if (!target) return { kind: "not_found" };
  if (!target.isSelf && !mayGrant(target.actor, target.role)) return { kind: "forbidden" };
  if (target.isLastOwner) return { kind: "last_owner" };
  await tx.delete(ORG_MEMBERS, target.row.id);
  await dropLeftBehind(tx, orgId, userId);
  return { kind: "done", value: null };
}

export interface OrganisationsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly nextId: UlidSource;
}

export function createOrganisations(options: OrganisationsOptions): Organisations {
  const { store, clock, nextId } = options;
  const namesOf = async (ids: readonly string[]): Promise<Map<string, string>> => {
    const where: Condition[] = [{ column: "id", op: "in", values: ids }];
    const rows = await store.reader.find(ORGS, { where, limit: MAX_ORGS_PER_USER });
    return new Map(rows.map((row) => [row.id, readText(row, "name")]));
  };
  return {
    async create(identity, { name }) {
      const person = requirePerson(identity);
      const now = clock.now();
      const orgId = nextId(now);
      const outcome = await store.write(async (tx): Promise<OrgOutcome<OrgView>> => {
        if (!(await addMember(tx, { orgId, person, role: "owner", now }))) return { kind: "limit" };
        await tx.insert(ORGS, { id: orgId, name, created_by: person.userId, created_at: now });
        return { kind: "done", value: { id: orgId, name, role: "owner" } };
      });
      return unwrapOrgOutcome(outcome);
    },
    async listMine(identity) {
      const { userId } = requirePerson(identity);
      const rows = await store.reader.find(ORG_MEMBERS, { where: [eq("user_id", userId)], limit: MAX_ORGS_PER_USER });
      const names = await namesOf(rows.map((row) => readText(row, "org_id")));
      return rows.map((row) => {
        const id = readText(row, "org_id");
        return { id, name: names.get(id) ?? "", role: roleOfMember(row) };
      });
    },
    async listMembers(identity, orgId, cursor) {
      await requireMember(store.reader, identity, orgId);
      const where: Condition[] = [eq("org_id", orgId)];
      if (cursor !== undefined) where.push({ column: "id", op: "gt", value: membershipId(orgId, cursor) });
      const rows = await store.reader.find(ORG_MEMBERS, { where, limit: MAX_MEMBERS_LISTED + 1 });
      const data = rows.slice(0, MAX_MEMBERS_LISTED).map(toMember);
      return { data, next_cursor: rows.length > MAX_MEMBERS_LISTED ? (data.at(-1)?.user_id ?? null) : null };
    },
    async changeRole(identity, orgId, { userId, role }) {
      personOrAdmin(identity);
      return unwrapOrgOutcome(await store.write((tx) => applyRole(tx, identity, { orgId, userId, role })));
    },
    async removeMember(identity, orgId, userId) {
      personOrAdmin(identity);
      unwrapOrgOutcome(await store.write((tx) => applyRemoval(tx, identity, orgId, userId)));
    },
  };
}
