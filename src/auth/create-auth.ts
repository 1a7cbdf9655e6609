// Puts the auth room together over a store. The tables (`AUTH_TABLES`) have to be described and created before.

import type { Clock } from "../core/clock.ts";
import { createUlidSource } from "../core/ids.ts";
import { platformFetch } from "../net/platform-fetch.ts";
import type { Store } from "../store/store.ts";
import { type ApiKeys, createApiKeys } from "./api-keys.ts";
import { type Authenticator, createAuthenticator } from "./authenticate.ts";
import { createInvites, type Invites } from "./invites.ts";
import type { JwksFetch } from "./jwks-keys.ts";
import type { JwtConfig } from "./jwt-config.ts";
import { createJwtVerifier } from "./jwt-verifier.ts";
import { createMagicCodes, type MagicCodes } from "./magic-codes.ts";
import type { Mailer } from "./mailer.ts";
import { createSessionMinter, type MintForUser } from "./mint-for-user.ts";
import { createStoredMemberships, firstMembership, type Memberships } from "./memberships.ts";
import { createOrganisations, type Organisations } from "./organisations.ts";
import { createSessions, type Sessions } from "./sessions.ts";
import { createSignInLimits, type SignInLimits, type SignInRules } from "./sign-in-limits.ts";
import { createStoredUsers, type UserDirectory } from "./user-directory.ts";

export interface AuthOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Null or empty: nobody is admin by token. */
  readonly adminToken: string | null;
  readonly jwt: JwtConfig | null;
  /** Null: codes cannot be sent, invites are not mailed. */
  readonly mailer: Mailer | null;
  /** Answers sign-in codes to whoever asks. Development only. @default false */
  readonly showCodes?: boolean;
  /** @default the table `_pylon_users` */
  readonly users?: UserDirectory;
  /** Asked when `_pylon_org_members` does not know a pair: an application's own `OrgMember` entity. */
  readonly appMemberships?: Memberships;
  /** The link in an invite's mail. @default the path that accepts it */
  readonly inviteUrl?: (token: string) => string;
  /** @default SIGN_IN_RULES */
  readonly signInRules?: SignInRules;
  /** Reads the issuer's keys. @default the platform's `fetch` */
  readonly fetch?: JwksFetch;
}

export interface Auth extends Authenticator {
  readonly sessions: Sessions;
  readonly mintForUser: MintForUser;
  readonly apiKeys: ApiKeys;
  readonly magicCodes: MagicCodes;
  readonly organisations: Organisations;
  readonly invites: Invites;
  readonly users: UserDirectory;
  readonly limits: SignInLimits;
  /** Removes at most `limit` expired rows of each table at `now` (epoch ms); answers how many went altogether. */
  cleanExpired(now: number, limit: number): Promise<number>;
}

function membershipsOf({ store, appMemberships }: AuthOptions): Memberships {
  const stored = createStoredMemberships(store.reader);
  return appMemberships ? firstMembership([stored, appMemberships]) : stored;
}

function acceptPath(token: string): string {
  return `/api/auth/invites/${token}/accept`;
}

export function createAuth(options: AuthOptions): Auth {
  const { store, clock, adminToken, mailer, showCodes = false, inviteUrl = acceptPath } = options;
  const nextId = createUlidSource();
  const base = { store, clock, nextId, mailer };
  const memberships = membershipsOf(options);
  const sessions = createSessions({ store, clock, memberships });
  const users = options.users ?? createStoredUsers(base);
  const magicCodes = createMagicCodes({ ...base, users, sessions, showCodes });
  const apiKeys = createApiKeys(base);
  const invites = createInvites({ ...base, inviteUrl });
  const fetchKeys = options.fetch ?? ((url, init) => platformFetch(url, init));
  const jwt = options.jwt && createJwtVerifier(options.jwt, { clock, fetch: fetchKeys });
  const authenticator = createAuthenticator({ reader: store.reader, clock, memberships, adminToken, jwt });
  return {
    identify: (authorization, apiKey) => authenticator.identify(authorization, apiKey),
    mintForUser: createSessionMinter({ users, sessions }),
    sessions,
    apiKeys,
    magicCodes,
    organisations: createOrganisations(base),
    invites,
    users,
    limits: createSignInLimits({ clock, ...(options.signInRules ? { rules: options.signInRules } : {}) }),
    async cleanExpired(now, limit) {
      let removed = 0;
      for (const part of [sessions, apiKeys, magicCodes, invites]) removed += await part.cleanExpired(now, limit);
      return removed;
    },
  };
}
