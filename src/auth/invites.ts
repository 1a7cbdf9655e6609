// Invites into an organisation. A token works once, for the one address that it was made for; what is stored is its
// SHA-256.

import type { Clock } from "../core/clock.ts";
import { coreError } from "../core/errors.ts";
import type { UlidSource } from "../core/ids.ts";
import type { Identity } from "../core/identity.ts";
import { sha256Hex } from "../crypto/digest.ts";
import type { Condition, Row, Store, Tx } from "../store/store.ts";
import { authError } from "./auth-errors.ts";
import { INVITES, ORG_MEMBERS, ORGS } from "./auth-tables.ts";
import { newInviteToken } from "./bearer-token.ts";
import { type Person, personOrAdmin, requirePerson } from "./callers.ts";
import { normaliseEmail } from "./email-address.ts";
import type { Mailer } from "./mailer.ts";
import { membershipId } from "./memberships.ts";
import { actorRole, requireInviter, roleOfMember, unwrapOrgOutcome } from "./organisation-access.ts";
import { mayGrant, type OrgRole } from "./organisation-roles.ts";
import { addMember } from "./organisations.ts";
import { readInt, readText } from "./read-columns.ts";

const INVITE_DAYS = 7;
const INVITE_MS = INVITE_DAYS * 24 * 60 * 60 * 1000;
const RESEND_AFTER_MS = 60 * 1000;
const MAX_OPEN_INVITES = 1_000;
const MAX_INVITES_LISTED = 200;

export interface InviteView {
  readonly id: string;
  readonly email: string;
  readonly role: OrgRole;
  /** ISO 8601 UTC. */
  readonly expires_at: string;
}

export interface NewInvite {
  readonly email: string;
  readonly role: OrgRole;
}

export interface Invites {
  /**
   * Makes an invite, which replaces an earlier one to the same address, and enqueues its mail when there is a mailer. The
   * token is also answered, once: without the sign-in of the invited address it is of no use.
   *
   * @throws NOT_FOUND, FORBIDDEN (a role that the caller may not grant), RATE_LIMITED within a minute of the last one to
   * this address, LIMIT_REACHED at 1000 open invites.
   */
  create(identity: Identity, orgId: string, input: NewInvite): Promise<InviteView & { readonly token: string }>;
  /** Open invites by id, 200 at a time, without tokens. @throws NOT_FOUND, FORBIDDEN. */
  list(identity: Identity, orgId: string, cursor?: string): Promise<{ data: InviteView[]; next_cursor: string | null }>;
  /** @throws NOT_FOUND, FORBIDDEN. */
  revoke(identity: Identity, orgId: string, inviteId: string): Promise<void>;
  /**
   * Makes the caller a member. Who is one already keeps the present role.
   *
   * @throws AUTH_REQUIRED, INVITE_INVALID (unknown, used, expired), FORBIDDEN when the caller's address is another: the
   * invite stays open then.
   */
  accept(identity: Identity, token: string): Promise<{ readonly org_id: string; readonly role: OrgRole }>;
  /** Removes at most `limit` invites that ended at or before `now` (epoch ms); answers how many. */
  cleanExpired(now: number, limit: number): Promise<number>;
}

export interface InvitesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly nextId: UlidSource;
  readonly mailer: Mailer | null;
  /** The link in the mail. */
  readonly inviteUrl: (token: string) => string;
}

function eq(column: string, value: string): Condition {
  return { column, op: "eq", value };
}

function toView(row: Row): InviteView {
  return {
    id: row.id,
    email: readText(row, "email"),
    role: roleOfMember(row),
    expires_at: new Date(readInt(row, "expires_at")).toISOString(),
  };
}

interface InviteRow extends Row {
  readonly org_id: string;
  readonly email: string;
  readonly role: OrgRole;
  readonly created_at: number;
}

type StoreOutcome =
  | { readonly kind: "done"; readonly value: { readonly orgName: string } }
  | { readonly kind: "not_found" | "forbidden" | "limit" }
  | { readonly kind: "wait"; readonly waitMs: number };

/** Puts `row` in the place of an earlier invite to the same address. */
async function storeInvite(tx: Tx, identity: Identity, row: InviteRow): Promise<StoreOutcome> {
  const actor = await actorRole(tx, identity, row.org_id);
  const org = await tx.get(ORGS, row.org_id);
  if (actor === null || !org) return { kind: "not_found" };
  if (!mayGrant(actor, row.role)) return { kind: "forbidden" };
  const [earlier] = await tx.find(INVITES, { where: [eq("org_id", row.org_id), eq("email", row.email)], limit: 1 });
  if (earlier) {
    const waitMs = readInt(earlier, "created_at") + RESEND_AFTER_MS - row.created_at;
    if (waitMs > 0) return { kind: "wait", waitMs: Math.min(waitMs, RESEND_AFTER_MS) };
    await tx.delete(INVITES, earlier.id);
  }
  if ((await tx.count(INVITES, [eq("org_id", row.org_id)])) >= MAX_OPEN_INVITES) return { kind: "limit" };
  const outcome = await tx.insert(INVITES, row);
  if (outcome.kind === "conflict") return { kind: "wait", waitMs: RESEND_AFTER_MS };
  return { kind: "done", value: { orgName: readText(org, "name") } };
}

type Acceptance =
  | { readonly kind: "done"; readonly value: { readonly org_id: string; readonly role: OrgRole } }
  | { readonly kind: "invalid" | "foreign" | "limit" };

async function applyAcceptance(tx: Tx, person: Person, tokenHash: string, now: number): Promise<Acceptance> {
  const [invite] = await tx.find(INVITES, { where: [eq("token_hash", tokenHash)], limit: 1 });
  if (!invite || readInt(invite, "expires_at") <= now) return { kind: "invalid" };
  const email = person.email === null ? null : normaliseEmail(person.email);
  if (email !== readText(invite, "email")) return { kind: "foreign" };
  const orgId = readText(invite, "org_id");
  const role = roleOfMember(invite);
  const present = await tx.get(ORG_MEMBERS, membershipId(orgId, person.userId));
  if (!present && !(await addMember(tx, { orgId, person, role, now }))) return { kind: "limit" };
  // Of two at once, only one deletes it.
  if (!(await tx.delete(INVITES, invite.id))) return { kind: "invalid" };
  return { kind: "done", value: { org_id: orgId, role: present ? roleOfMember(present) : role } };
}

const ACCEPT_FAILURES = {
  invalid: () => authError("INVITE_INVALID"),
  foreign: () => authError("FORBIDDEN", { message: "This invite is for another address" }),
  limit: () => authError("LIMIT_REACHED"),
} as const;

function requireAddress(text: string): string {
  const email = normaliseEmail(text);
  if (email !== null) return email;
  throw coreError("VALIDATION_FAILED", { details: [{ path: "email", message: "Is not an email address" }] });
}

export function createInvites(options: InvitesOptions): Invites {
  const { store, clock, nextId, mailer, inviteUrl } = options;
  const planRow = async (identity: Identity, orgId: string, input: NewInvite, token: string): Promise<InviteRow> => {
    const now = clock.now();
    return {
      id: nextId(now),
      org_id: orgId,
      email: requireAddress(input.email),
      role: input.role,
      token_hash: await sha256Hex(token),
      invited_by: identity.userId,
      created_at: now,
      expires_at: now + INVITE_MS,
    };
  };
  const sendMail = async (tx: Tx, row: InviteRow, token: string, orgName: string): Promise<void> => {
    const { email, role } = row;
    const vars = { org_name: orgName, role, token, url: inviteUrl(token), email, days: String(INVITE_DAYS) };
    await mailer?.send({ to: email, template: "org_invite", vars }, tx);
  };
  return {
    async create(identity, orgId, input) {
      personOrAdmin(identity);
      const token = newInviteToken();
      const row = await planRow(identity, orgId, input, token);
      const outcome = await store.write(async (tx) => {
        const stored = await storeInvite(tx, identity, row);
        if (stored.kind === "done") await sendMail(tx, row, token, stored.value.orgName);
        return stored;
      });
      if (outcome.kind === "wait") {
        throw authError("RATE_LIMITED", { retryAfterSecs: Math.ceil(outcome.waitMs / 1000) });
      }
      unwrapOrgOutcome(outcome);
      return { ...toView(row), token };
    },
    async list(identity, orgId, cursor) {
      await requireInviter(store.reader, identity, orgId);
      const where: Condition[] = [eq("org_id", orgId), { column: "expires_at", op: "gt", value: clock.now() }];
      if (cursor !== undefined) where.push({ column: "id", op: "gt", value: cursor });
      const rows = await store.reader.find(INVITES, { where, limit: MAX_INVITES_LISTED + 1 });
      const data = rows.slice(0, MAX_INVITES_LISTED).map(toView);
      return { data, next_cursor: rows.length > MAX_INVITES_LISTED ? (data.at(-1)?.id ?? null) : null };
    },
    async revoke(identity, orgId, inviteId) {
      await requireInviter(store.reader, identity, orgId);
      const removed = await store.write(async (tx) => {
        const row = await tx.get(INVITES, inviteId);
        return row?.["org_id"] === orgId && (await tx.delete(INVITES, inviteId));
      });
      if (!removed) throw coreError("NOT_FOUND");
    },
    async accept(identity, token) {
      const person = requirePerson(identity);
      const tokenHash = await sha256Hex(token);
      const outcome = await store.write((tx) => applyAcceptance(tx, person, tokenHash, clock.now()));
      if (outcome.kind === "done") return outcome.value;
      throw ACCEPT_FAILURES[outcome.kind]();
    },
    cleanExpired(now, limit) {
      return store.write((tx) => tx.deleteWhere(INVITES, [{ column: "expires_at", op: "lte", value: now }], limit));
    },
  };
}
