// Sessions over a real store: hashed, revocable, and with a tenant only while its membership lasts.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SESSIONS } from "../../src/auth/auth-tables.ts";
import { describeMe } from "../../src/auth/callers.ts";
import { ADMIN, ANONYMOUS } from "../../src/core/identity.ts";
import { codeOf, withAuth } from "./auth-harness.ts";

describe("sessions", () => {
  it("store a hash of the token and nothing of the token", () =>
    withAuth(async ({ auth, store }) => {
      const { token } = await auth.sessions.mint("u1");
      const rows = JSON.stringify(await store.reader.find(SESSIONS, { limit: 10 }));
      assert.ok(!rows.includes(token.slice("pylon_".length)));
    }));

  it("drop granted roles that would pretend a membership", () =>
    withAuth(async ({ auth }) => {
      const { token } = await auth.sessions.mint("u1", { roles: ["org:owner", "editor"], tenantId: "t1" });
      assert.deepEqual((await auth.identify(`Bearer ${token}`)).roles, ["editor"]);
    }));

  it("end everywhere for one user", () =>
    withAuth(async ({ auth }) => {
      const tokens = await Promise.all(["u1", "u1", "u2"].map((user) => auth.sessions.mint(user)));
      assert.equal(await auth.sessions.revokeAllOf("u1"), 2);
      assert.equal(await codeOf(auth.identify(`Bearer ${tokens[0]?.token}`)), "INVALID_TOKEN");
      assert.equal((await auth.identify(`Bearer ${tokens[2]?.token}`)).userId, "u2");
    }));

  it("are cleaned in bounded batches once they have ended", () =>
    withAuth(async ({ auth, clock, store }) => {
      for (let count = 0; count < 5; count++) await auth.sessions.mint("u1");
      clock.jump(86_400_000);
      await auth.sessions.mint("u2");
      clock.jump(29 * 86_400_000);
      assert.equal(await auth.sessions.cleanExpired(clock.now(), 3), 3);
      assert.equal(await auth.cleanExpired(clock.now(), 100), 2);
      assert.equal(await store.reader.count(SESSIONS, []), 1);
    }));
});

describe("sessions.selectOrg()", () => {
  it("makes a membership's organisation the tenant and adds its role, and leaves it", () =>
    withAuth(async ({ auth, signIn }) => {
      const ann = await signIn("ann@example.com");
      const org = await auth.organisations.create(ann.identity, { name: "Acme" });
      assert.deepEqual(await auth.sessions.selectOrg(ann.token, org.id), { tenantId: org.id });
      const identity = await auth.identify(`Bearer ${ann.token}`);
      assert.deepEqual([identity.tenantId, identity.roles], [org.id, ["org:owner"]]);
      assert.deepEqual(await auth.sessions.selectOrg(ann.token, null), { tenantId: null });
      assert.deepEqual((await auth.identify(`Bearer ${ann.token}`)).tenantId, null);
    }));

  it("refuses strangers, and says the same of an organisation that does not exist", () =>
    withAuth(async ({ auth, signIn }) => {
      const [ann, eve] = [await signIn("ann@example.com"), await signIn("eve@example.com")];
      const org = await auth.organisations.create(ann.identity, { name: "Acme" });
      for (const orgId of [org.id, "nothing", `${org.id}:${ann.userId}`]) {
        assert.equal(await codeOf(auth.sessions.selectOrg(eve.token, orgId)), "NOT_A_MEMBER");
      }
      assert.equal((await auth.identify(`Bearer ${eve.token}`)).tenantId, null);
    }));

  it("needs a live session", () =>
    withAuth(async ({ auth, clock }) => {
      assert.equal(await codeOf(auth.sessions.selectOrg("pk_1", null)), "SESSION_REQUIRED");
      const { token } = await auth.sessions.mint("u1");
      clock.jump(31 * 86_400_000);
      assert.equal(await codeOf(auth.sessions.selectOrg(token, null)), "INVALID_TOKEN");
    }));

  it("asks an application's own memberships, at every request", async () => {
    const members = new Map([["u1 org1", "editor"]]);
    const appMemberships = {
      roleOf: (userId: string, orgId: string) => Promise.resolve(members.get(`${userId} ${orgId}`) ?? null),
    };
    await withAuth(
      async ({ auth }) => {
        const { token } = await auth.sessions.mint("u1");
        await auth.sessions.selectOrg(token, "org1");
        assert.deepEqual((await auth.identify(`Bearer ${token}`)).roles, ["org:editor"]);
        members.clear();
        const identity = await auth.identify(`Bearer ${token}`);
        assert.deepEqual([identity.tenantId, identity.roles], [null, []]);
      },
      { appMemberships },
    );
  });
});

describe("mintForUser()", () => {
  it("is for admins, who may grant a tenant without a membership", () =>
    withAuth(async ({ auth, signIn }) => {
      const ann = await signIn("ann@example.com");
      assert.equal(await codeOf(auth.mintForUser(ANONYMOUS, { userId: "u1" })), "AUTH_REQUIRED");
      assert.equal(await codeOf(auth.mintForUser(ann.identity, { userId: "u1" })), "FORBIDDEN");
      const { token } = await auth.mintForUser(ADMIN, { userId: "u1", tenantId: "t9", roles: ["staff"] });
      const expected = { user_id: "u1", is_admin: false, roles: ["staff"], tenant_id: "t9" };
      assert.deepEqual(describeMe(await auth.identify(`Bearer ${token}`)), expected);
    }));

  it("takes the address from the directory", () =>
    withAuth(async ({ auth, signIn }) => {
      const ann = await signIn("ann@example.com");
      const { token } = await auth.mintForUser(ADMIN, { userId: ann.userId });
      assert.equal((await auth.identify(`Bearer ${token}`)).email, "ann@example.com");
    }));
});
