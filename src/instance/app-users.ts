// People as the application keeps them: its `User` entity, written through the write path so that hooks and audit see a
// sign-up, and its `OrgMember` entity, read beside Pylon's own organisations.

import type { Memberships } from "../auth/memberships.ts";
import type { AuthUser, UserDirectory } from "../auth/user-directory.ts";
import { coreError, isPylonError } from "../core/errors.ts";
import { SYSTEM } from "../core/identity.ts";
import type { Data } from "../data/data.ts";
import type { Model } from "../data/model.ts";
import type { Scope } from "../data/scope.ts";
import type { Row } from "../store/store.ts";

const SCOPE: Scope = { actor: SYSTEM, policies: false, requestId: null };

function hasFields(model: Model, entity: string, fields: readonly string[]): boolean {
  const found = model.entities.find(({ def }) => def.name === entity);
  return found !== undefined && fields.every((name) => found.def.fields.some((field) => field.name === name));
}

function toUser(row: Row): AuthUser {
  const roles = Array.isArray(row.roles) ? row.roles.filter((role) => typeof role === "string") : [];
  return { id: row.id, email: typeof row.email === "string" ? row.email : null, roles };
}

/** The visitor gave all that a sign-up asks for: what is missing is the application's to mend. */
function needsMoreThanAnEmail(cause: unknown): Error {
  return coreError("CONFIG_INVALID", {
    message: "A sign-up has only an email, and the User entity needs more",
    hint: "Make the other fields of User optional, or create users before they sign in",
    cause,
  });
}

/** A directory over the `User` entity; undefined when the application has none with an `email`. */
export function appUsers(model: Model, data: () => Data): UserDirectory | undefined {
  if (!hasFields(model, "User", ["email"])) return undefined;
  const find = async (email: string): Promise<AuthUser | null> => {
    const row = await data().read(SCOPE).lookup("User", "email", email);
    return row && toUser(row);
  };
  /** Looked up again inside the transaction: `email` need not be unique, and two sign-ins may come at once. */
  const create = (email: string): Promise<AuthUser> =>
    data().write(
      SCOPE,
      async (writer) =>
        toUser((await writer.lookup("User", "email", email)) ?? (await writer.insert("User", { email }))),
      { exclusive: true },
    );
  return {
    async findOrCreate(email) {
      const known = await find(email);
      if (known) return known;
      try {
        return await create(email);
      } catch (error) {
        const other = isPylonError(error, "CONFLICT") ? await find(email) : null;
        if (isPylonError(error, "VALIDATION_FAILED")) throw needsMoreThanAnEmail(error);
        if (other) return other;
        throw error;
      }
    },
    async findById(userId) {
      const row = await data().read(SCOPE).get("User", userId);
      return row && toUser(row);
    },
  };
}

/** Memberships of the application's own `OrgMember {userId, orgId, role?}`; undefined when it has none. */
export function appMemberships(model: Model, data: () => Data): Memberships | undefined {
  if (!hasFields(model, "OrgMember", ["userId", "orgId"])) return undefined;
  return {
    async roleOf(userId, orgId) {
      const [row] = await data().read(SCOPE).query("OrgMember", { userId, orgId, $limit: 1 });
      if (!row) return null;
      return typeof row.role === "string" && row.role !== "" ? row.role : "member";
    },
  };
}
