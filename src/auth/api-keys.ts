// API keys: made, listed and revoked. A key is shown once; what is stored is its SHA-256, and no key grants more than its
// maker had.

import type { Clock } from "../core/clock.ts";
import { coreError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import { sha256Hex } from "../crypto/digest.ts";
import type { Condition, Row, Store, Tx } from "../store/store.ts";
import { authError } from "./auth-errors.ts";
import { API_KEYS } from "./auth-tables.ts";
import { newApiKey } from "./bearer-token.ts";
import { personOrAdmin } from "./callers.ts";
import { isIdentityRole, withoutIdentityRoles } from "./organisation-roles.ts";
import { readIntOrNull, readInt, readText, readTextOrNull, readTexts } from "./read-columns.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_KEYS_PER_USER = 100;
const MAX_KEYS_LISTED = 200;

export interface NewApiKey {
  readonly name: string;
  /** For a user at most its own; default none. `org:<role>` counts while the owner's membership has that role. */
  readonly roles?: readonly string[] | undefined;
  /** Default: never. */
  readonly expiresInDays?: number | undefined;
  /** Only an admin may name another owner or tenant. */
  readonly userId?: string | null | undefined;
  readonly tenantId?: string | null | undefined;
}

export interface ApiKeyView {
  readonly id: string;
  readonly name: string;
  readonly last4: string;
  readonly roles: readonly string[];
  readonly user_id: string | null;
  readonly tenant_id: string | null;
  /** ISO 8601 UTC, as is `expires_at`. */
  readonly created_at: string;
  readonly expires_at: string | null;
}

export interface ApiKeys {
  /**
   * `key` is shown once.
   *
   * @throws AUTH_REQUIRED, FORBIDDEN (an API key asks, or a role or owner is not the caller's to give), LIMIT_REACHED at
   * 100 keys of one user.
   */
  create(identity: Identity, input: NewApiKey): Promise<ApiKeyView & { readonly key: string }>;
  /** The caller's keys, or everyone's for an admin; by id, at most 200. */
  list(identity: Identity, cursor?: string): Promise<{ data: ApiKeyView[]; next_cursor: string | null }>;
  /** @throws NOT_FOUND when it does not exist or is another's. */
  revoke(identity: Identity, id: string): Promise<void>;
  /** Removes at most `limit` keys that ended at or before `now` (epoch ms); answers how many. */
  cleanExpired(now: number, limit: number): Promise<number>;
}

interface Owner {
  readonly userId: string | null;
  readonly email: string | null;
  readonly tenantId: string | null;
  readonly tenantByMembership: boolean;
  readonly roles: readonly string[];
}

/** Who the key will be. @throws FORBIDDEN when the caller may not make it. */
function planOwner(identity: Identity, input: NewApiKey): Owner {
  const person = personOrAdmin(identity);
  const roles = input.roles ?? [];
  if (!person) {
    const owner = { userId: input.userId ?? null, tenantId: input.tenantId ?? null };
    return { ...owner, email: null, tenantByMembership: false, roles: withoutIdentityRoles(roles) };
  }
  const foreignUser = input.userId !== undefined && input.userId !== person.userId;
  const foreignTenant = input.tenantId !== undefined && input.tenantId !== identity.tenantId;
  if (foreignUser || foreignTenant) throw authError("FORBIDDEN", { message: "Only an admin makes keys for others" });
  if (!roles.every((role) => identity.roles.includes(role))) {
    throw authError("FORBIDDEN", { message: "A key cannot have a role that its maker has not" });
  }
  // Only a membership gives `org:` roles, so they say where the tenant came from.
  const tenantByMembership = identity.tenantId !== null && identity.roles.some(isIdentityRole);
  return { userId: person.userId, email: person.email, tenantId: identity.tenantId, tenantByMembership, roles };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function toView(row: Row): ApiKeyView {
  const expiresAt = readIntOrNull(row, "expires_at");
  return {
    id: row.id,
    name: readText(row, "name"),
    last4: readText(row, "last4"),
    roles: readTexts(row, "roles"),
    user_id: readTextOrNull(row, "user_id"),
    tenant_id: readTextOrNull(row, "tenant_id"),
    created_at: iso(readInt(row, "created_at")),
    expires_at: expiresAt === null ? null : iso(expiresAt),
  };
}

function ownedBy(userId: string): Condition[] {
  return [{ column: "user_id", op: "eq", value: userId }];
}

async function insertKey(tx: Tx, row: Row, userId: string | null): Promise<boolean> {
  if (userId !== null && (await tx.count(API_KEYS, ownedBy(userId))) >= MAX_KEYS_PER_USER) return false;
  return (await tx.insert(API_KEYS, row)).kind === "inserted";
}

async function planRow(owner: Owner, input: NewApiKey, now: number): Promise<{ row: Row; key: string }> {
  const { id, key } = newApiKey();
  const row = {
    id,
    key_hash: await sha256Hex(key),
    last4: key.slice(-4),
    name: input.name,
    user_id: owner.userId,
    email: owner.email,
    roles: [...owner.roles],
    tenant_id: owner.tenantId,
    tenant_by_membership: owner.tenantByMembership,
    created_at: now,
    expires_at: input.expiresInDays === undefined ? null : now + input.expiresInDays * DAY_MS,
  };
  return { row, key };
}

export function createApiKeys(options: { readonly store: Store; readonly clock: Clock }): ApiKeys {
  const { store, clock } = options;
  return {
    async create(identity, input) {
      const owner = planOwner(identity, input);
      const { row, key } = await planRow(owner, input, clock.now());
      if (!(await store.write((tx) => insertKey(tx, row, owner.userId)))) throw authError("LIMIT_REACHED");
      return { ...toView(row), key };
    },
    async list(identity, cursor) {
      const person = personOrAdmin(identity);
      const where: Condition[] = person ? ownedBy(person.userId) : [];
      if (cursor !== undefined) where.push({ column: "id", op: "gt", value: cursor });
      const rows = await store.reader.find(API_KEYS, { where, limit: MAX_KEYS_LISTED + 1 });
      const data = rows.slice(0, MAX_KEYS_LISTED).map(toView);
      return { data, next_cursor: rows.length > MAX_KEYS_LISTED ? (data.at(-1)?.id ?? null) : null };
    },
    async revoke(identity, id) {
      const person = personOrAdmin(identity);
      const removed = await store.write(async (tx) => {
        const row = await tx.get(API_KEYS, id);
        if (!row || (person && row["user_id"] !== person.userId)) return false;
        return await tx.delete(API_KEYS, id);
      });
      if (!removed) throw coreError("NOT_FOUND");
    },
    cleanExpired(now, limit) {
      // "expires_at <= now" never holds for null, so keys without an end stay.
      return store.write((tx) => tx.deleteWhere(API_KEYS, [{ column: "expires_at", op: "lte", value: now }], limit));
    },
  };
}
