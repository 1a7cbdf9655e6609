// Who belongs to which organisation. A tenant that came from a membership is looked up here at every request, so that
// removing a member takes effect at once and everywhere.

import type { Reader } from "../store/store.ts";
import { ORG_MEMBERS } from "./auth-tables.ts";
import { readText } from "./read-columns.ts";

export interface Memberships {
  /** The role of the user in the organisation, null when it is not a member. Called on every request with a tenant. */
  roleOf(userId: string, orgId: string): Promise<string | null>;
}

/** The primary key of a membership. Organisation ids hold no colon, so two pairs never share a key. */
export function membershipId(orgId: string, userId: string): string {
  return `${orgId}:${userId}`;
}

/** Reads `_pylon_org_members`, by primary key. */
export function createStoredMemberships(reader: Reader): Memberships {
  return {
    async roleOf(userId, orgId) {
      const row = await reader.get(ORG_MEMBERS, membershipId(orgId, userId));
      // The pair is compared as well: an organisation id of a caller may hold a colon.
      if (!row || row["org_id"] !== orgId || row["user_id"] !== userId) return null;
      return readText(row, "role");
    },
  };
}

/** Asks one source after the other; the first that knows the pair answers. */
export function firstMembership(sources: readonly Memberships[]): Memberships {
  return {
    async roleOf(userId, orgId) {
      for (const source of sources) {
        const role = await source.roleOf(userId, orgId);
        if (role !== null) return role;
      }
      return null;
    },
  };
}
