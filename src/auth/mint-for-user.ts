// Sessions that an admin hands out. What the admin does not say about the user is taken from the directory.

import type { Identity } from "../core/identity.ts";
import { requireAdmin } from "./callers.ts";
import type { MintedSession, Sessions } from "./sessions.ts";
import type { UserDirectory } from "./user-directory.ts";

export interface MintForUserInput {
  /** Need not be in the directory: an application may keep its people elsewhere. */
  readonly userId: string;
  /** Granted without a membership. */
  readonly tenantId?: string | null | undefined;
  /** @default the user's */
  readonly roles?: readonly string[] | undefined;
}

/** @throws AUTH_REQUIRED, FORBIDDEN unless the caller is an admin. */
export type MintForUser = (identity: Identity, input: MintForUserInput) => Promise<MintedSession>;

export function createSessionMinter(options: {
  readonly users: UserDirectory;
  readonly sessions: Sessions;
}): MintForUser {
  const { users, sessions } = options;
  return async (identity, { userId, tenantId = null, roles }) => {
    requireAdmin(identity);
    const user = await users.findById(userId);
    return await sessions.mint(userId, {
      tenantId,
      roles: roles ?? user?.roles ?? [],
      email: user?.email ?? null,
    });
  };
}
