// Sign-in by code over a real store: bounded guesses under concurrency, and one answer for everything that is
// wrong.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAGIC_CODES, SESSIONS, USERS } from "../../src/auth/auth-tables.ts";
import { createMagicCodes } from "../../src/auth/magic-codes.ts";
import { codeOf, errorOf, lastCode, withAuth, wrongCode } from "./auth-harness.ts";

const MINUTE_MS = 60_000;
const EMAIL = "ann@example.com";

describe("magicCodes.send()", () => {
  it("mails six digits and answers no code", () =>
    withAuth(async ({ auth, mails, store }) => {
      assert.deepEqual(await auth.magicCodes.send("  ANN@Example.COM "), { sent: true });
      assert.equal(mails.length, 1);
      assert.equal(mails[0]?.to, EMAIL);
      assert.match(lastCode(mails), /^\d{6}$/);
      assert.deepEqual(mails[0]?.vars, { code: lastCode(mails), email: EMAIL, minutes: "10" });
      assert.equal((await store.reader.getJob("mail_1"))?.payload, EMAIL);
    }));

  it("stores neither the code nor a plain hash of it", () =>
    withAuth(async ({ auth, mails, store }) => {
      await auth.magicCodes.send(EMAIL);
      const row = await store.reader.get(MAGIC_CODES, EMAIL);
      assert.ok(row && !JSON.stringify(row).includes(lastCode(mails)));
      assert.match(JSON.stringify(row["salt"]), /^"[0-9a-f]{32}"$/);
    }));

  it("waits a minute per address, in any spelling, also after a sign-in", () =>
    withAuth(async ({ auth, clock, mails }) => {
      await auth.magicCodes.send(EMAIL);
      clock.jump(15_000);
      const refused = await errorOf(auth.magicCodes.send("Ann@Example.com"));
      assert.deepEqual([refused.code, refused.status, refused.retryAfterSecs], ["RATE_LIMITED", 429, 45]);
      await auth.magicCodes.verify(EMAIL, lastCode(mails));
      assert.equal(await codeOf(auth.magicCodes.send(EMAIL)), "RATE_LIMITED");
      await auth.magicCodes.send("bob@example.com");
      clock.jump(45_000);
      await auth.magicCodes.send(EMAIL);
      assert.equal(mails.length, 3);
    }));

  it("lets one of many parallel requests through", () =>
    withAuth(async ({ auth, mails }) => {
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => auth.magicCodes.send(EMAIL)));
      assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
      assert.equal(mails.length, 1);
    }));

  it("asks for no longer than a minute when the clock went back", () =>
    withAuth(async ({ auth, clock }) => {
      await auth.magicCodes.send(EMAIL);
      clock.jump(-86_400_000);
      assert.equal((await errorOf(auth.magicCodes.send(EMAIL))).retryAfterSecs, 60);
    }));

  it("replaces the earlier code", () =>
    withAuth(async ({ auth, clock, mails }) => {
      await auth.magicCodes.send(EMAIL);
      const first = lastCode(mails);
      clock.jump(MINUTE_MS);
      await auth.magicCodes.send(EMAIL);
      if (first !== lastCode(mails)) assert.equal(await codeOf(auth.magicCodes.verify(EMAIL, first)), "INVALID_CODE");
      await auth.magicCodes.verify(EMAIL, lastCode(mails));
    }));

  it("refuses before anything is stored when no mail can be sent", () =>
    withAuth(
      async ({ auth, store }) => {
        const error = await errorOf(auth.magicCodes.send(EMAIL));
        assert.deepEqual([error.code, error.status], ["EMAIL_NOT_CONFIGURED", 501]);
        assert.equal(await store.reader.count(MAGIC_CODES, []), 0);
      },
      { mailer: null },
    ));

  it("shows the code in development, with and without a mailer", async () => {
    await withAuth(
      async ({ auth }) => {
        const { dev_code: code = "" } = await auth.magicCodes.send(EMAIL);
        assert.equal((await auth.magicCodes.verify(EMAIL, code)).user_id.length, 26);
      },
      { mailer: null, showCodes: true },
    );
    await withAuth(
      async ({ auth, mails }) => {
        assert.equal((await auth.magicCodes.send(EMAIL)).dev_code, lastCode(mails));
      },
      { showCodes: true },
    );
  });

  it("stores no code when its mail cannot be enqueued", () =>
    withAuth(
      async ({ auth, store }) => {
        await assert.rejects(auth.magicCodes.send(EMAIL), /queue/);
        assert.equal(await store.reader.count(MAGIC_CODES, []), 0);
      },
      { mailer: { send: () => Promise.reject(new Error("queue")) } },
    ));

  it("refuses what could be more than one recipient", () =>
    withAuth(async ({ auth, mails }) => {
      for (const text of ["a@b.co\r\nBcc: x@y.co", "a@b.co,x@y.co", "A <a@b.co>", "", "a@b"]) {
        assert.equal(await codeOf(auth.magicCodes.send(text)), "VALIDATION_FAILED");
      }
      assert.equal(mails.length, 0);
    }));
});

describe("magicCodes.verify()", () => {
  it("makes a session and creates the user once", () =>
    withAuth(async ({ auth, clock, mails, store }) => {
      await auth.magicCodes.send(EMAIL);
      const first = await auth.magicCodes.verify(EMAIL, lastCode(mails));
      assert.match(first.token, /^pylon_[0-9a-f]{64}$/);
      assert.equal(first.expires_at, new Date(clock.now() + 30 * 86_400_000).toISOString());
      const identity = await auth.identify(`Bearer ${first.token}`);
      assert.deepEqual([identity.kind, identity.userId, identity.email], ["user", first.user_id, EMAIL]);
      clock.jump(MINUTE_MS);
      await auth.magicCodes.send(EMAIL);
      assert.equal((await auth.magicCodes.verify(EMAIL, lastCode(mails))).user_id, first.user_id);
      assert.equal(await store.reader.count(USERS, []), 1);
    }));

  it("takes a code once, also in parallel", () =>
    withAuth(async ({ auth, mails, store }) => {
      await auth.magicCodes.send(EMAIL);
      const code = lastCode(mails);
      const results = await Promise.allSettled(Array.from({ length: 10 }, () => auth.magicCodes.verify(EMAIL, code)));
      assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
      assert.equal(await store.reader.count(SESSIONS, []), 1);
    }));

  it("ends after ten minutes", () =>
    withAuth(async ({ auth, clock, mails }) => {
      await auth.magicCodes.send(EMAIL);
      clock.jump(10 * MINUTE_MS);
      assert.equal(await codeOf(auth.magicCodes.verify(EMAIL, lastCode(mails))), "INVALID_CODE");
      clock.jump(-1);
      await auth.magicCodes.verify(EMAIL, lastCode(mails));
    }));

  it("is right at the fifth guess and burnt at the sixth", async () => {
    for (const wrongGuesses of [4, 5]) {
      await withAuth(async ({ auth, mails }) => {
        await auth.magicCodes.send(EMAIL);
        const code = lastCode(mails);
        for (let guess = 0; guess < wrongGuesses; guess++) {
          assert.equal(await codeOf(auth.magicCodes.verify(EMAIL, wrongCode(code))), "INVALID_CODE");
        }
        const last = auth.magicCodes.verify(EMAIL, code);
        if (wrongGuesses === 4) assert.ok((await last).token);
        else assert.equal(await codeOf(last), "INVALID_CODE");
      });
    }
  });

  it("counts parallel guesses: no more than five are judged", () =>
    withAuth(async ({ auth, mails, store }) => {
      await auth.magicCodes.send(EMAIL);
      const code = lastCode(mails);
      const guesses = Array.from({ length: 60 }, () => auth.magicCodes.verify(EMAIL, wrongCode(code)));
      for (const result of await Promise.allSettled(guesses)) assert.equal(result.status, "rejected");
      assert.equal(await codeOf(auth.magicCodes.verify(EMAIL, code)), "INVALID_CODE");
      const row = await store.reader.get(MAGIC_CODES, EMAIL);
      assert.deepEqual([row?.["attempts"], row?.["failures"], row?.["consumed"]], [5, 5, false]);
    }));

  it("judges a guess by the code that is in force, not by the one that it was compared with", () =>
    withAuth(async ({ auth, clock, mails, store }) => {
      await auth.magicCodes.send(EMAIL);
      const first = lastCode(mails);
      const stale = await store.reader.get(MAGIC_CODES, EMAIL);
      clock.jump(MINUTE_MS);
      await auth.magicCodes.send(EMAIL);
      if (first === lastCode(mails)) return;
      const reads = [stale];
      const reader = {
        ...store.reader,
        get: (table: string, id: string) => Promise.resolve(reads.pop() ?? store.reader.get(table, id)),
      };
      const { users, sessions } = auth;
      const lagging = createMagicCodes({
        store: { ...store, reader },
        clock,
        users,
        sessions,
        mailer: null,
        showCodes: false,
      });
      assert.equal(await codeOf(lagging.verify(EMAIL, first)), "INVALID_CODE");
      assert.equal((await store.reader.get(MAGIC_CODES, EMAIL))?.["attempts"], 1);
      reads.push(stale);
      assert.ok((await lagging.verify(EMAIL, lastCode(mails))).token);
    }));

  it("says the same of an unknown address, a wrong, an expired, a burnt and a malformed code", () =>
    withAuth(async ({ auth, clock, mails }) => {
      const seen = new Set<string>();
      const record = async (work: Promise<unknown>): Promise<void> => {
        const { code, status, message, hint, details } = await errorOf(work);
        seen.add(JSON.stringify([code, status, message, hint, details]));
      };
      await record(auth.magicCodes.verify("nobody@example.com", "123456"));
      await record(auth.magicCodes.verify("no address", "123456"));
      await auth.magicCodes.send(EMAIL);
      const code = lastCode(mails);
      await record(auth.magicCodes.verify(EMAIL, "x"));
      for (let guess = 0; guess < 5; guess++) await record(auth.magicCodes.verify(EMAIL, wrongCode(code)));
      await record(auth.magicCodes.verify(EMAIL, code));
      clock.jump(11 * MINUTE_MS);
      await record(auth.magicCodes.verify(EMAIL, code));
      assert.equal(seen.size, 1);
      assert.ok(![...seen].join("").includes(code));
    }));

  it("sends no more codes to an address after a hundred failures in a day", () =>
    withAuth(async ({ auth, clock, mails }) => {
      for (let round = 0; round < 20; round++) {
        await auth.magicCodes.send(EMAIL);
        const wrong = wrongCode(lastCode(mails));
        for (let guess = 0; guess < 5; guess++) await codeOf(auth.magicCodes.verify(EMAIL, wrong));
        clock.jump(MINUTE_MS);
      }
      const refused = await errorOf(auth.magicCodes.send(EMAIL));
      assert.deepEqual([refused.code, refused.retryAfterSecs], ["RATE_LIMITED", 86_400 - 20 * 60]);
      clock.jump(86_400_000 - 20 * MINUTE_MS);
      await auth.magicCodes.send(EMAIL);
      await auth.magicCodes.verify(EMAIL, lastCode(mails));
    }));

  it("uses the directory that it is handed", () =>
    withAuth(
      async ({ auth, mails, store }) => {
        await auth.magicCodes.send(EMAIL);
        const { user_id: userId, token } = await auth.magicCodes.verify(EMAIL, lastCode(mails));
        assert.equal(userId, "app-user");
        assert.deepEqual((await auth.identify(`Bearer ${token}`)).roles, ["editor"]);
        assert.equal(await store.reader.count(USERS, []), 0);
      },
      {
        users: {
          findOrCreate: (email) => Promise.resolve({ id: "app-user", email, roles: ["editor", "org:owner"] }),
          findById: () => Promise.resolve(null),
        },
      },
    ));
});

describe("users.findOrCreate()", () => {
  it("makes one user of parallel sign-ins", () =>
    withAuth(async ({ auth, store }) => {
      const users = await Promise.all(Array.from({ length: 10 }, () => auth.users.findOrCreate(EMAIL)));
      assert.equal(new Set(users.map(({ id }) => id)).size, 1);
      assert.equal(await store.reader.count(USERS, []), 1);
      assert.deepEqual(await auth.users.findById(users[0]?.id ?? ""), { id: users[0]?.id, email: EMAIL, roles: [] });
      assert.equal(await auth.users.findById("nobody"), null);
    }));
});
