// The tables of the auth room. What proves an identity is stored as a hash, never as itself.

import type { ColumnSpec, ColumnType, IndexSpec, TableSpec } from "../store/store.ts";

function columns(spec: Readonly<Record<string, ColumnType>>): ColumnSpec[] {
  return Object.entries(spec).map(([name, type]) => ({ name, type }));
}

function index(table: string, names: readonly string[], unique = false): IndexSpec {
  return { name: `${table}_${names.join("_")}`, columns: names, unique };
}

export const SESSIONS = "_pylon_sessions";
export const API_KEYS = "_pylon_api_keys";
export const MAGIC_CODES = "_pylon_magic_codes";
export const USERS = "_pylon_users";
export const ORGS = "_pylon_orgs";
export const ORG_MEMBERS = "_pylon_org_members";
export const INVITES = "_pylon_invites";

/**
 * `id` is the hex SHA-256 of the token: 256 random bits need no salt. `tenant_by_membership` says that the tenant came
 * from a membership, which then has to exist at every request; otherwise an admin granted it.
 */
const sessions: TableSpec = {
  name: SESSIONS,
  columns: columns({
    user_id: "text",
    email: "text",
    roles: "json",
    tenant_id: "text",
    tenant_by_membership: "bool",
    created_at: "int",
    expires_at: "int",
  }),
  indexes: [index(SESSIONS, ["expires_at"]), index(SESSIONS, ["user_id"])],
};

/** `id` is the public part of the key, `key_hash` the hex SHA-256 of the whole key. `expires_at` null: never. */
const apiKeys: TableSpec = {
  name: API_KEYS,
  columns: columns({
    key_hash: "text",
    last4: "text",
    name: "text",
    user_id: "text",
    email: "text",
    roles: "json",
    tenant_id: "text",
    tenant_by_membership: "bool",
    created_at: "int",
    expires_at: "int",
  }),
  indexes: [index(API_KEYS, ["user_id"]), index(API_KEYS, ["expires_at"])],
};

/**
 * One row per address (`id` is the normalised address), so a new code replaces the old one. The salt only slows someone
 * who stole the database: a million codes are hashed in a second. What defends a code is `attempts`, and over many
 * codes `failures` since `failing_since`. The row is kept until `keep_until`, past the code, for those counters.
 */
const magicCodes: TableSpec = {
  name: MAGIC_CODES,
  columns: columns({
    salt: "text",
    code_hash: "text",
    attempts: "int",
    consumed: "bool",
    sent_at: "int",
    expires_at: "int",
    failures: "int",
    failing_since: "int",
    keep_until: "int",
  }),
  indexes: [index(MAGIC_CODES, ["keep_until"])],
};

/** Used when the application has no `User` entity of its own. */
const users: TableSpec = {
  name: USERS,
  columns: columns({ email: "text", roles: "json", created_at: "int" }),
  indexes: [index(USERS, ["email"], true)],
};

const orgs: TableSpec = {
  name: ORGS,
  columns: columns({ name: "text", created_by: "text", created_at: "int" }),
  indexes: [],
};

/** `id` is `<org_id>:<user_id>`, so that one membership is one read by primary key and cannot exist twice. */
const orgMembers: TableSpec = {
  name: ORG_MEMBERS,
  columns: columns({ org_id: "text", user_id: "text", email: "text", role: "text", created_at: "int" }),
  indexes: [index(ORG_MEMBERS, ["org_id", "role"]), index(ORG_MEMBERS, ["user_id"])],
};

/** One open invite per organisation and address. `token_hash` is the hex SHA-256 of the token. */
const invites: TableSpec = {
  name: INVITES,
  columns: columns({
    org_id: "text",
    email: "text",
    role: "text",
    token_hash: "text",
    invited_by: "text",
    created_at: "int",
    expires_at: "int",
  }),
  indexes: [
    index(INVITES, ["token_hash"], true),
    index(INVITES, ["org_id", "email"], true),
    index(INVITES, ["expires_at"]),
  ],
};

/** Every table of this room; the assembly describes and creates them before `createAuth` is used. */
export const AUTH_TABLES: readonly TableSpec[] = [sessions, apiKeys, magicCodes, users, orgs, orgMembers, invites];
