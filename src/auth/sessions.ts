// Sessions: minted, revoked, and moved between organisations. Only the SHA-256 of a token is stored, so reading the
// database signs nobody in.

import type { Clock } from "../core/clock.ts";
import { sha256Hex } from "../crypto/digest.ts";
import type { Store } from "../store/store.ts";
import { authError } from "./auth-errors.ts";
import { SESSIONS } from "./auth-tables.ts";
import { isSessionToken, newSessionToken } from "./bearer-token.ts";
import type { Memberships } from "./memberships.ts";
import { withoutIdentityRoles } from "./organisation-roles.ts";
import { readInt, readText } from "./read-columns.ts";

const SESSION_DAYS = 30;
const SESSION_MS = SESSION_DAYS * 24 * 60 * 60 * 1000;
/** Rows removed per transaction when a user is signed out everywhere. */
const REVOKE_BATCH = 500;

export interface MintOptions {
  /** Granted as it is, without a membership. */
  readonly tenantId?: string | null;
  /** Fixed for the life of the session. Names that start with `org:` are dropped. */
  readonly roles?: readonly string[];
  readonly email?: string | null;
}

export interface MintedSession {
  /** Shown once. */
  readonly token: string;
  readonly user_id: string;
  /** ISO 8601 UTC. */
  readonly expires_at: string;
}

export interface Sessions {
  mint(userId: string, options?: MintOptions): Promise<MintedSession>;
  /** Whether there was such a session. */
  revoke(token: string): Promise<boolean>;
  /** Signs a user out everywhere; answers how many sessions ended. */
  revokeAllOf(userId: string): Promise<number>;
  /**
   * Makes `orgId` the tenant of the session, or leaves the present one with null.
   *
   * @throws SESSION_REQUIRED for any other kind of token, INVALID_TOKEN, NOT_A_MEMBER (also when there is no such
   * organisation).
   */
  selectOrg(token: string, orgId: string | null): Promise<{ readonly tenantId: string | null }>;
  /** Removes at most `limit` sessions that ended at or before `now` (epoch ms); answers how many. */
  cleanExpired(now: number, limit: number): Promise<number>;
}

export interface SessionsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly memberships: Memberships;
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, clock, memberships } = options;
  const userOf = async (sessionId: string): Promise<string> => {
    const row = await store.reader.get(SESSIONS, sessionId);
    if (!row || readInt(row, "expires_at") <= clock.now()) throw authError("INVALID_TOKEN");
    return readText(row, "user_id");
  };
  return {
    async mint(userId, { tenantId = null, roles = [], email = null } = {}) {
      const token = newSessionToken();
      const id = await sha256Hex(token);
      const now = clock.now();
      const expiresAt = now + SESSION_MS;
      await store.write((tx) =>
        tx.insert(SESSIONS, {
          id,
          user_id: userId,
          email,
          roles: [...withoutIdentityRoles(roles)],
          tenant_id: tenantId,
          tenant_by_membership: false,
          created_at: now,
          expires_at: expiresAt,
        }),
      );
      return { token, user_id: userId, expires_at: new Date(expiresAt).toISOString() };
    },
    async revoke(token) {
      if (!isSessionToken(token)) return false;
      const id = await sha256Hex(token);
      return await store.write((tx) => tx.delete(SESSIONS, id));
    },
    async revokeAllOf(userId) {
      const where = [{ column: "user_id", op: "eq", value: userId }] as const;
      let total = 0;
      for (;;) {
        const removed = await store.write((tx) => tx.deleteWhere(SESSIONS, where, REVOKE_BATCH));
        total += removed;
        if (removed < REVOKE_BATCH) return total;
      }
    },
    async selectOrg(token, orgId) {
      if (!isSessionToken(token)) throw authError("SESSION_REQUIRED");
      const id = await sha256Hex(token);
      const userId = await userOf(id);
      if (orgId !== null && (await memberships.roleOf(userId, orgId)) === null) throw authError("NOT_A_MEMBER");
      const patch = { tenant_id: orgId, tenant_by_membership: orgId !== null };
      const outcome = await store.write((tx) => tx.update(SESSIONS, id, patch));
      if (outcome.kind !== "updated") throw authError("INVALID_TOKEN");
      return { tenantId: orgId };
    },
    cleanExpired(now, limit) {
      return store.write((tx) => tx.deleteWhere(SESSIONS, [{ column: "expires_at", op: "lte", value: now }], limit));
    },
  };
}
