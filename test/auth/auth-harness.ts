// A whole auth room over a SQLite file of its own, on virtual time, with a mailer that keeps what it was asked to send.

import { AUTH_TABLES } from "../../src/auth/auth-tables.ts";
import { type Auth, type AuthOptions, createAuth } from "../../src/auth/create-auth.ts";
import type { AuthMail, Mailer } from "../../src/auth/mailer.ts";
import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import { isPylonError, type PylonError } from "../../src/core/errors.ts";
import type { Identity } from "../../src/core/identity.ts";
import type { Store } from "../../src/store/store.ts";
import { openTestStore } from "../store/open-test-store.ts";

export const ADMIN_TOKEN = "correct-horse-battery-staple-0123456789";

export interface Harness {
  readonly store: Store;
  readonly clock: VirtualClock;
  readonly auth: Auth;
  readonly mails: AuthMail[];
  /** An identity of a signed-in user of the address, by way of a code. */
  readonly signIn: (email: string) => Promise<{ token: string; userId: string; identity: Identity }>;
}

/** Also adds a job with each mail, in the transaction that it is given. */
export function createTestMailer(mails: AuthMail[]): Mailer {
  return {
    async send(mail, tx) {
      mails.push(mail);
      const id = `mail_${mails.length}`;
      await tx.enqueueJob({ id, kind: "email", lane: "email", payload: mail.to, dueAt: 0, createdAt: 0 });
    },
  };
}

/** Opens a room, hands it to `run`, and removes its files. */
export async function withAuth(
  run: (harness: Harness) => Promise<void>,
  overrides: Partial<AuthOptions> = {},
): Promise<void> {
  const { store, cleanup } = await openTestStore();
  try {
    store.describe(AUTH_TABLES);
    await store.changeSchema(
      AUTH_TABLES.map((table) => ({ kind: "create-table", table })),
      () => Promise.resolve(),
    );
    const clock = createVirtualClock();
    const mails: AuthMail[] = [];
    const mailer = createTestMailer(mails);
    const auth = createAuth({ store, clock, adminToken: ADMIN_TOKEN, jwt: null, mailer, ...overrides });
    const signIn = async (email: string): Promise<{ token: string; userId: string; identity: Identity }> => {
      const user = await auth.users.findOrCreate(email);
      const { token, user_id: userId } = await auth.sessions.mint(user.id, { email, roles: user.roles });
      return { token, userId, identity: await auth.identify(`Bearer ${token}`) };
    };
    await run({ store, clock, auth, mails, signIn });
  } finally {
    await cleanup();
  }
}

/** The coded error that `work` ends with. */
export async function errorOf(work: Promise<unknown>): Promise<PylonError> {
  try {
    await work;
  } catch (error) {
    if (isPylonError(error)) return error;
    throw error;
  }
  throw new Error("Expected an error");
}

/** The code of the error that `work` ends with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return (await errorOf(work)).code;
}

/** The last code that was mailed. */
export function lastCode(mails: readonly AuthMail[]): string {
  const mail = mails.findLast(({ template }) => template === "magic_code");
  if (mail?.template !== "magic_code") throw new Error("No code was mailed");
  return mail.vars.code;
}

/** A code that is certainly another. */
export function wrongCode(code: string): string {
  return String((Number(code) + 1) % 1_000_000).padStart(6, "0");
}
