// From a header to an identity: only the absence of the header is anonymous, and every request reads the store.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createAuthenticator } from "../../src/auth/authenticate.ts";
import { SESSIONS } from "../../src/auth/auth-tables.ts";
import { ADMIN, ANONYMOUS } from "../../src/core/identity.ts";
import { createVirtualClock } from "../../src/core/clock.ts";
import { randomHex } from "../../src/core/ids.ts";
import type { Reader, Row } from "../../src/store/store.ts";
import { ADMIN_TOKEN, codeOf, errorOf, withAuth } from "./auth-harness.ts";

const unknownSession = (): string => `pylon_${randomHex(32)}`;

describe("identify()", () => {
  it("is anonymous only without the header", () =>
    withAuth(async ({ auth }) => {
      assert.equal(await auth.identify(null), ANONYMOUS);
      assert.equal(await auth.identify(undefined), ANONYMOUS);
      for (const header of ["", "Bearer", "Bearer ", "Basic YTpi", ADMIN_TOKEN, `Token ${ADMIN_TOKEN}`]) {
        const error = await errorOf(auth.identify(header));
        assert.deepEqual([error.code, error.status], ["INVALID_TOKEN", 401], header);
      }
    }));

  it("takes an API key from a header of its own, which holds nothing else and yields to Authorization", () =>
    withAuth(async ({ auth }) => {
      const { token } = await auth.sessions.mint("u1");
      const { key } = await auth.apiKeys.create(await auth.identify(`Bearer ${token}`), { name: "ci" });
      const expected = await auth.identify(`Bearer ${key}`);
      assert.deepEqual([expected.kind, expected.userId], ["api_key", "u1"]);
      for (const none of [null, undefined]) {
        assert.deepEqual(await auth.identify(none, key), expected);
        assert.equal(await auth.identify(none, none), ANONYMOUS);
      }
      for (const wrong of [
        "",
        `Bearer ${key}`,
        `${key}0`,
        key.replace(/.$/, "z"),
        token,
        ADMIN_TOKEN,
        "x".repeat(9_000),
      ])
        assert.equal(await codeOf(auth.identify(null, wrong)), "INVALID_TOKEN", wrong);
      assert.equal((await auth.identify(`Bearer ${token}`, key)).kind, "user");
      assert.equal((await auth.identify(`Bearer ${token}`, "wrong")).kind, "user");
      assert.equal(await codeOf(auth.identify(`Bearer ${key}0`, key)), "INVALID_TOKEN");
    }));

  it("knows the admin token, and no part or extension of it", () =>
    withAuth(async ({ auth }) => {
      assert.equal(await auth.identify(`Bearer ${ADMIN_TOKEN}`), ADMIN);
      assert.equal(await auth.identify(`bearer  ${ADMIN_TOKEN} `), ADMIN);
      const wrong = [ADMIN_TOKEN.slice(1), ADMIN_TOKEN.slice(0, -1), `${ADMIN_TOKEN}0`, ADMIN_TOKEN + ADMIN_TOKEN];
      for (const token of [...wrong, ADMIN_TOKEN.toUpperCase()]) {
        assert.equal(await codeOf(auth.identify(`Bearer ${token}`)), "INVALID_TOKEN");
      }
    }));

  it("has no admin when no token is set", async () => {
    for (const adminToken of [null, ""]) {
      await withAuth(
        async ({ auth }) => {
          for (const token of ["", "null", "undefined", ADMIN_TOKEN]) {
            assert.equal(await codeOf(auth.identify(`Bearer ${token}`)), "INVALID_TOKEN");
          }
        },
        { adminToken },
      );
    }
  });

  it("knows an admin token in the shape of a session or a key", async () => {
    for (const adminToken of [unknownSession(), `pk_${randomHex(12)}_${randomHex(32)}`]) {
      await withAuth(
        async ({ auth }) => {
          assert.equal(await auth.identify(`Bearer ${adminToken}`), ADMIN);
        },
        { adminToken },
      );
    }
  });

  it("knows a session with what it was minted with", () =>
    withAuth(async ({ auth }) => {
      const { token } = await auth.sessions.mint("u1", { tenantId: "t1", roles: ["editor"], email: "a@b.co" });
      const expected = {
        kind: "user",
        userId: "u1",
        email: "a@b.co",
        roles: ["editor"],
        tenantId: "t1",
        isAdmin: false,
      };
      assert.deepEqual(await auth.identify(`Bearer ${token}`), expected);
      assert.deepEqual(await auth.identify(`Bearer ${token}`), expected);
    }));

  it("refuses unknown, malformed and expired tokens without naming them", () =>
    withAuth(async ({ auth, clock }) => {
      const { token } = await auth.sessions.mint("u1");
      clock.jump(30 * 86_400_000 - 1);
      await auth.identify(`Bearer ${token}`);
      clock.jump(1);
      const tokens = [token, unknownSession(), token.toUpperCase(), `${token}0`, "pk_x_y", "a.b.c", "x".repeat(9_000)];
      for (const presented of tokens) {
        const error = await errorOf(auth.identify(`Bearer ${presented}`));
        assert.equal(error.code, "INVALID_TOKEN");
        assert.ok(!JSON.stringify([error.message, error.hint, error.details, error.stack]).includes(presented));
        assert.equal(error.cause, undefined);
      }
    }));

  it("sees a revocation at once, also of a token that it has just seen", () =>
    withAuth(async ({ auth }) => {
      const { token } = await auth.sessions.mint("u1");
      await auth.identify(`Bearer ${token}`);
      assert.equal(await auth.sessions.revoke(token), true);
      assert.equal(await codeOf(auth.identify(`Bearer ${token}`)), "INVALID_TOKEN");
      assert.equal(await auth.sessions.revoke(token), false);
    }));

  it("hashes a token once and reads its row every time", async () => {
    const token = unknownSession();
    const reads: string[] = [];
    const row: Row = {
      id: "s",
      user_id: "u1",
      email: null,
      roles: [],
      tenant_id: null,
      tenant_by_membership: false,
      created_at: 0,
      expires_at: 2 ** 52,
    };
    const reader = {
      get: (table: string, id: string): Promise<Row> => {
        reads.push(`${table} ${id}`);
        return Promise.resolve(row);
      },
    } as unknown as Reader;
    const memberships = { roleOf: (): Promise<null> => Promise.resolve(null) };
    const clock = createVirtualClock();
    const authenticator = createAuthenticator({ reader, clock, memberships, adminToken: ADMIN_TOKEN, jwt: null });
    const digest = crypto.subtle.digest.bind(crypto.subtle);
    let digests = 0;
    crypto.subtle.digest = (...args): Promise<ArrayBuffer> => {
      digests++;
      return digest(...args);
    };
    try {
      for (let request = 0; request < 50; request++) await authenticator.identify(`Bearer ${token}`);
    } finally {
      crypto.subtle.digest = digest;
    }
    assert.equal(digests, 1);
    assert.equal(reads.length, 50);
    assert.ok(reads.every((read) => read.startsWith(`${SESSIONS} `) && !read.includes(token)));
  });

  it("does not guess about a broken row", () =>
    withAuth(async ({ auth, store }) => {
      const { token } = await auth.sessions.mint("u1");
      const [row] = await store.reader.find(SESSIONS, { limit: 1 });
      await store.write((tx) => tx.update(SESSIONS, row?.id ?? "", { roles: { admin: true } }));
      await assert.rejects(auth.identify(`Bearer ${token}`), TypeError);
    }));
});
