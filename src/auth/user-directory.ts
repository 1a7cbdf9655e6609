// The people who can sign in. One address is one user, also when two sign-ins create it at the same time.

import type { Clock } from "../core/clock.ts";
import type { UlidSource } from "../core/ids.ts";
import type { Reader, Row, Store } from "../store/store.ts";
import { storeError } from "../store/store-errors.ts";
import { USERS } from "./auth-tables.ts";
import { readText, readTexts } from "./read-columns.ts";

export interface AuthUser {
  readonly id: string;
  readonly email: string | null;
  readonly roles: readonly string[];
}

/** Port: an application with a `User` entity hands in a directory that writes it through the data path. */
export interface UserDirectory {
  /** `email` is normalised and proven to be the caller's. Called outside any transaction, possibly twice at once. */
  findOrCreate(email: string): Promise<AuthUser>;
  findById(userId: string): Promise<AuthUser | null>;
}

function toUser(row: Row): AuthUser {
  return { id: row.id, email: readText(row, "email"), roles: readTexts(row, "roles") };
}

async function findByEmail(reader: Reader, email: string): Promise<AuthUser | null> {
  const [row] = await reader.find(USERS, { where: [{ column: "email", op: "eq", value: email }], limit: 1 });
  return row ? toUser(row) : null;
}

export interface StoredUsersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly nextId: UlidSource;
}

/** The directory over `_pylon_users`. */
export function createStoredUsers(options: StoredUsersOptions): UserDirectory {
  const { store, clock, nextId } = options;
  const insert = async (email: string): Promise<AuthUser | null> => {
    const now = clock.now();
    const row = { id: nextId(now), email, roles: [], created_at: now };
    const outcome = await store.write((tx) => tx.insert(USERS, row));
    return outcome.kind === "inserted" ? toUser(row) : null;
  };
  return {
    async findOrCreate(email) {
      const user = (await findByEmail(store.reader, email)) ?? (await insert(email));
      // A conflict means that someone else created it between the two.
      const settled = user ?? (await findByEmail(store.reader, email));
      if (!settled) throw storeError("STORE_FAILED");
      return settled;
    },
    async findById(userId) {
      const row = await store.reader.get(USERS, userId);
      return row ? toUser(row) : null;
    },
  };
}
