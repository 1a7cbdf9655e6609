// API keys over a real store: no key outlives, exceeds or reveals what it was made with.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { API_KEYS } from "../../src/auth/auth-tables.ts";
import { ADMIN, ANONYMOUS, type Identity } from "../../src/core/identity.ts";
import { codeOf, errorOf, type Harness, withAuth } from "./auth-harness.ts";

const user = (userId: string, roles: readonly string[] = [], tenantId: string | null = null): Identity => ({
  ...ANONYMOUS,
  kind: "user",
  userId,
  email: `${userId}@example.com`,
  roles,
  tenantId,
});

const bearer = (harness: Harness, key: string): Promise<Identity> => harness.auth.identify(`Bearer ${key}`);

/** A user with an organisation selected. */
async function ownerOf(
  harness: Harness,
  email: string,
): Promise<{ identity: Identity; orgId: string; userId: string }> {
  const { token, userId, identity } = await harness.signIn(email);
  const org = await harness.auth.organisations.create(identity, { name: "Acme" });
  await harness.auth.sessions.selectOrg(token, org.id);
  return { identity: await harness.auth.identify(`Bearer ${token}`), orgId: org.id, userId };
}

describe("apiKeys.create()", () => {
  it("shows the key once, stores its hash, and the key identifies", () =>
    withAuth(async (harness) => {
      const { auth, store } = harness;
      const made = await auth.apiKeys.create(user("u1", ["a", "b"], "t1"), { name: "CI", roles: ["a"] });
      assert.match(made.key, /^pk_[0-9a-f]{24}_[0-9a-f]{64}$/);
      const rows = JSON.stringify(await store.reader.find(API_KEYS, { limit: 9 }));
      assert.ok(!rows.includes(made.key.slice(28)));
      const listed = await auth.apiKeys.list(user("u1"));
      const { key, ...view } = made;
      assert.deepEqual(listed, { data: [view], next_cursor: null });
      assert.equal(view.last4, key.slice(-4));
      assert.ok(!JSON.stringify(listed).includes(key.slice(28, 60)));
      const expected = { kind: "api_key", userId: "u1", email: "u1@example.com", roles: ["a"], tenantId: "t1" };
      assert.deepEqual(await bearer(harness, key), { ...expected, isAdmin: false });
      assert.deepEqual(await bearer(harness, key), { ...expected, isAdmin: false });
    }));

  it("gives no more than the maker has", () =>
    withAuth(async ({ auth }) => {
      const ann = user("u1", ["a"], "t1");
      for (const input of [{ roles: ["admin"] }, { roles: ["a", "b"] }, { userId: "u2" }, { tenantId: "t2" }]) {
        assert.equal(await codeOf(auth.apiKeys.create(ann, { name: "k", ...input })), "FORBIDDEN");
      }
      assert.equal(await codeOf(auth.apiKeys.create(ann, { name: "k", tenantId: null })), "FORBIDDEN");
      assert.deepEqual((await auth.apiKeys.create(ann, { name: "k", userId: "u1", tenantId: "t1" })).roles, []);
    }));

  it("is refused to the anonymous and to keys", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      assert.equal(await codeOf(auth.apiKeys.create(ANONYMOUS, { name: "k" })), "AUTH_REQUIRED");
      const { key } = await auth.apiKeys.create(user("u1"), { name: "k" });
      const identity = await bearer(harness, key);
      assert.equal(await codeOf(auth.apiKeys.create(identity, { name: "k2" })), "FORBIDDEN");
      assert.equal(await codeOf(auth.apiKeys.list(identity)), "FORBIDDEN");
    }));

  it("lets an admin name owner, tenant and roles, but makes no admin and no member", () =>
    withAuth(async (harness) => {
      const input = { name: "k", userId: "u7", tenantId: "t7", roles: ["any", "org:owner"] };
      const { key } = await harness.auth.apiKeys.create(ADMIN, input);
      const { kind, userId, tenantId, roles, isAdmin } = await bearer(harness, key);
      assert.deepEqual([kind, userId, tenantId, roles, isAdmin], ["api_key", "u7", "t7", ["any"], false]);
      const service = await harness.auth.apiKeys.create(ADMIN, { name: "s" });
      assert.equal((await bearer(harness, service.key)).userId, null);
    }));

  it("stops at a hundred keys of one user", () =>
    withAuth(async ({ auth }) => {
      const made = await Promise.allSettled(
        Array.from({ length: 105 }, () => auth.apiKeys.create(user("u1"), { name: "k" })),
      );
      assert.equal(made.filter(({ status }) => status === "fulfilled").length, 100);
      assert.equal(await codeOf(auth.apiKeys.create(user("u1"), { name: "k" })), "LIMIT_REACHED");
      await auth.apiKeys.create(user("u2"), { name: "k" });
    }));
});

describe("an API key", () => {
  it("ends with its time", () =>
    withAuth(async (harness) => {
      const { auth, clock, store } = harness;
      const { key } = await auth.apiKeys.create(user("u1"), { name: "k", expiresInDays: 2 });
      await auth.apiKeys.create(user("u1"), { name: "for ever" });
      clock.jump(2 * 86_400_000 - 1);
      await bearer(harness, key);
      clock.jump(1);
      assert.equal(await codeOf(bearer(harness, key)), "INVALID_TOKEN");
      assert.equal(await auth.cleanExpired(clock.now(), 10), 1);
      assert.equal(await store.reader.count(API_KEYS, []), 1);
    }));

  it("needs its whole secret", () =>
    withAuth(async (harness) => {
      const { key, id } = await harness.auth.apiKeys.create(user("u1"), { name: "k" });
      await bearer(harness, key);
      const last = key.endsWith("0") ? "1" : "0";
      for (const token of [`${key.slice(0, -1)}${last}`, `pk_${id}_${"0".repeat(64)}`, key.slice(0, -1), `pk_${id}_`]) {
        const error = await errorOf(bearer(harness, token));
        assert.equal(error.code, "INVALID_TOKEN");
        assert.ok(!`${error.message}${error.hint}${error.stack}`.includes(token));
      }
    }));

  it("is revoked by its owner or an admin, at once, and hidden from others", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { key, id } = await auth.apiKeys.create(user("u1"), { name: "k" });
      await bearer(harness, key);
      assert.deepEqual((await auth.apiKeys.list(user("u2"))).data, []);
      assert.equal(await codeOf(auth.apiKeys.revoke(user("u2"), id)), "NOT_FOUND");
      await auth.apiKeys.revoke(user("u1"), id);
      assert.equal(await codeOf(bearer(harness, key)), "INVALID_TOKEN");
      assert.equal(await codeOf(auth.apiKeys.revoke(ADMIN, id)), "NOT_FOUND");
      const second = await auth.apiKeys.create(user("u1"), { name: "k" });
      await auth.apiKeys.revoke(ADMIN, second.id);
      assert.equal(await codeOf(bearer(harness, second.key)), "INVALID_TOKEN");
    }));

  it("made inside an organisation has the membership's role only when it asked, and only while it lasts", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const owner = await ownerOf(harness, "ann@example.com");
      const bob = await harness.signIn("bob@example.com");
      const plain = await auth.apiKeys.create(owner.identity, { name: "plain" });
      const full = await auth.apiKeys.create(owner.identity, { name: "full", roles: ["org:owner"] });
      assert.deepEqual((await bearer(harness, plain.key)).roles, []);
      assert.deepEqual((await bearer(harness, full.key)).roles, ["org:owner"]);
      const invite = await auth.invites.create(owner.identity, owner.orgId, {
        email: "bob@example.com",
        role: "owner",
      });
      await auth.invites.accept(bob.identity, invite.token);
      await auth.organisations.changeRole(bob.identity, owner.orgId, { userId: owner.userId, role: "member" });
      assert.deepEqual((await bearer(harness, full.key)).roles, []);
      assert.equal((await bearer(harness, full.key)).tenantId, owner.orgId);
      await auth.organisations.removeMember(bob.identity, owner.orgId, owner.userId);
      for (const { key } of [plain, full]) assert.equal(await codeOf(bearer(harness, key)), "INVALID_TOKEN");
      const again = await auth.invites.create(bob.identity, owner.orgId, { email: "ann@example.com", role: "member" });
      await auth.invites.accept(owner.identity, again.token);
      for (const { key } of [plain, full]) assert.equal(await codeOf(bearer(harness, key)), "INVALID_TOKEN");
    }));

  it("made by someone who was removed meanwhile is worth nothing", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const owner = await ownerOf(harness, "ann@example.com");
      const bob = await harness.signIn("bob@example.com");
      const invite = await auth.invites.create(owner.identity, owner.orgId, {
        email: "bob@example.com",
        role: "owner",
      });
      await auth.invites.accept(bob.identity, invite.token);
      await auth.organisations.removeMember(bob.identity, owner.orgId, owner.userId);
      const { key } = await auth.apiKeys.create(owner.identity, { name: "late" });
      assert.equal(await codeOf(bearer(harness, key)), "INVALID_TOKEN");
    }));

  it("lists in pages for an admin", () =>
    withAuth(async ({ auth }) => {
      const owners = Array.from({ length: 210 }, (_, index) => user(`u${index % 3}`));
      await Promise.all(owners.map((owner) => auth.apiKeys.create(owner, { name: "k" })));
      const first = await auth.apiKeys.list(ADMIN);
      const second = await auth.apiKeys.list(ADMIN, first.next_cursor ?? "");
      assert.deepEqual([first.data.length, second.data.length, second.next_cursor], [200, 10, null]);
      assert.equal(new Set([...first.data, ...second.data].map(({ id }) => id)).size, 210);
    }));
});
