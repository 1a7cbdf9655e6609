// Sign-in by a code sent to an address. Guesses are counted in the transaction that judges them, so no number of parallel
// requests gets more than five; unknown, wrong, expired and burnt look the same to the caller.

import type { Clock } from "../core/clock.ts";
import { coreError } from "../core/errors.ts";
import { randomHex } from "../core/ids.ts";
import { sha256Hex } from "../crypto/digest.ts";
import { timingSafeEqual } from "../crypto/timing-safe.ts";
import type { Row, Store, Tx, Value } from "../store/store.ts";
import { storeError } from "../store/store-errors.ts";
import { authError } from "./auth-errors.ts";
import { MAGIC_CODES } from "./auth-tables.ts";
import { normaliseEmail } from "./email-address.ts";
import { CODE_LIFE_MS, type CodeState, drawCode, planGuess, planSend } from "./magic-code-rules.ts";
import type { Mailer } from "./mailer.ts";
import { readBool, readInt, readText } from "./read-columns.ts";
import type { MintedSession, Sessions } from "./sessions.ts";
import type { UserDirectory } from "./user-directory.ts";

const SALT_BYTES = 16;
/** A code that is replaced while its guess is being hashed is read again; a minute lies between two replacements. */
const MAX_READS = 3;

export interface SentCode {
  readonly sent: true;
  /** Only where codes are shown, which is never in production. */
  readonly dev_code?: string;
}

export interface MagicCodes {
  /**
   * Makes a code, which replaces the address's earlier one, and enqueues its mail in the same transaction.
   *
   * @throws VALIDATION_FAILED, EMAIL_NOT_CONFIGURED (nothing is stored), RATE_LIMITED within a minute of the last one or
   * after a hundred wrong guesses in a day.
   */
  send(email: string): Promise<SentCode>;
  /**
   * Exchanges a code for a session, creating the user when there is none. The code is used up before the user is looked
   * up: if that fails, a new code is needed.
   *
   * @throws INVALID_CODE for whatever reason.
   */
  verify(email: string, code: string): Promise<MintedSession>;
  /** Removes at most `limit` rows that serve neither a code nor a limit at `now` (epoch ms); answers how many. */
  cleanExpired(now: number, limit: number): Promise<number>;
}

export interface MagicCodesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly users: UserDirectory;
  readonly sessions: Sessions;
  readonly mailer: Mailer | null;
  /** Answers the code to whoever asks for it: for development only. */
  readonly showCodes: boolean;
}

function toState(row: Row): CodeState {
  return {
    attempts: readInt(row, "attempts"),
    consumed: readBool(row, "consumed"),
    sentAt: readInt(row, "sent_at"),
    expiresAt: readInt(row, "expires_at"),
    failures: readInt(row, "failures"),
    failingSince: readInt(row, "failing_since"),
  };
}

function toColumns(state: CodeState): Record<string, Value> {
  return {
    attempts: state.attempts,
    consumed: state.consumed,
    sent_at: state.sentAt,
    expires_at: state.expiresAt,
    failures: state.failures,
    failing_since: state.failingSince,
  };
}

function hashCode(salt: string, email: string, code: string): Promise<string> {
  return sha256Hex(`${salt}:${email}:${code}`);
}

function requireEmail(text: string): string {
  const email = normaliseEmail(text);
  if (email !== null) return email;
  throw coreError("VALIDATION_FAILED", { details: [{ path: "email", message: "Is not an email address" }] });
}

interface Secret {
  readonly salt: string;
  readonly code_hash: string;
}

/** Stores the code unless its address has to wait; answers how long, 0 when it was stored. */
async function storeCode(tx: Tx, email: string, secret: Secret, now: number): Promise<number> {
  const row = await tx.get(MAGIC_CODES, email);
  const plan = planSend(row ? toState(row) : null, now);
  if (plan.kind === "wait") return plan.waitMs;
  const columns = { ...secret, ...toColumns(plan.state), keep_until: plan.keepUntil };
  const outcome = row
    ? await tx.update(MAGIC_CODES, email, columns)
    : await tx.insert(MAGIC_CODES, { id: email, ...columns });
  if (outcome.kind === "inserted" || outcome.kind === "updated") return 0;
  throw storeError("STORE_BUSY");
}

type Judgement = "right" | "wrong" | "replaced";

/** Judges a guess by the row as it is in the transaction; `salt` says which code `matches` speaks of. */
async function judge(
  tx: Tx,
  guess: { email: string; salt: string; matches: boolean; now: number },
): Promise<Judgement> {
  const row = await tx.get(MAGIC_CODES, guess.email);
  if (!row) return "wrong";
  if (row["salt"] !== guess.salt) return "replaced";
  const plan = planGuess(toState(row), guess.matches, guess.now);
  if (plan.kind === "dead") return "wrong";
  if (plan.kind === "right") {
    await tx.update(MAGIC_CODES, guess.email, { consumed: true, failures: 0 });
    return "right";
  }
  const { attempts, failures, failingSince } = plan;
  await tx.update(MAGIC_CODES, guess.email, { attempts, failures, failing_since: failingSince });
  return "wrong";
}

export function createMagicCodes(options: MagicCodesOptions): MagicCodes {
  const { store, clock, users, sessions, mailer, showCodes } = options;
  /** Hashes outside the transaction, which waits for nothing but the store. */
  const guess = async (email: string, code: string): Promise<Judgement> => {
    const row = await store.reader.get(MAGIC_CODES, email);
    // That no code is pending may show in the time taken: RATE_LIMITED tells everyone the same.
    if (!row) return "wrong";
    const salt = readText(row, "salt");
    const matches = await timingSafeEqual(await hashCode(salt, email, code), readText(row, "code_hash"));
    return await store.write((tx) => judge(tx, { email, salt, matches, now: clock.now() }));
  };
  const isRight = async (email: string, code: string): Promise<boolean> => {
    for (let reads = 0; reads < MAX_READS; reads++) {
      const judgement = await guess(email, code);
      if (judgement !== "replaced") return judgement === "right";
    }
    return false;
  };
  return {
    async send(address) {
      const email = requireEmail(address);
      if (!mailer && !showCodes) throw authError("EMAIL_NOT_CONFIGURED");
      const code = drawCode();
      const salt = randomHex(SALT_BYTES);
      const secret = { salt, code_hash: await hashCode(salt, email, code) };
      const vars = { code, email, minutes: String(CODE_LIFE_MS / 60_000) };
      const waitMs = await store.write(async (tx) => {
        const wait = await storeCode(tx, email, secret, clock.now());
        if (wait === 0) await mailer?.send({ to: email, template: "magic_code", vars }, tx);
        return wait;
      });
      if (waitMs > 0) throw authError("RATE_LIMITED", { retryAfterSecs: Math.ceil(waitMs / 1000) });
      return showCodes ? { sent: true, dev_code: code } : { sent: true };
    },
    async verify(address, code) {
      const email = normaliseEmail(address);
      if (email === null || !(await isRight(email, code))) throw authError("INVALID_CODE");
      const user = await users.findOrCreate(email);
      return await sessions.mint(user.id, { email, roles: user.roles });
    },
    cleanExpired(now, limit) {
      return store.write((tx) => tx.deleteWhere(MAGIC_CODES, [{ column: "keep_until", op: "lte", value: now }], limit));
    },
  };
}
