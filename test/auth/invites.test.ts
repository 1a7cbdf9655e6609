// Invites over a real store: single use under concurrency, and of use to the invited address alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { INVITES, ORG_MEMBERS } from "../../src/auth/auth-tables.ts";
import { ANONYMOUS, type Identity } from "../../src/core/identity.ts";
import { codeOf, errorOf, type Harness, withAuth } from "./auth-harness.ts";

const BOB = "bob@example.com";

async function openOrg(harness: Harness): Promise<{ owner: Identity; orgId: string }> {
  const { identity } = await harness.signIn("ann@example.com");
  const { id } = await harness.auth.organisations.create(identity, { name: "Acme" });
  return { owner: identity, orgId: id };
}

describe("invites.create()", () => {
  it("mails the invite in its transaction and stores a hash of the token", () =>
    withAuth(async (harness) => {
      const { auth, clock, mails, store } = harness;
      const { owner, orgId } = await openOrg(harness);
      const invite = await auth.invites.create(owner, orgId, { email: "Bob@Example.com", role: "admin" });
      assert.match(invite.token, /^inv_[0-9a-f]{64}$/);
      assert.equal(invite.expires_at, new Date(clock.now() + 7 * 86_400_000).toISOString());
      assert.deepEqual(mails, [
        {
          to: BOB,
          template: "org_invite",
          vars: {
            org_name: "Acme",
            role: "admin",
            token: invite.token,
            url: `/api/auth/invites/${invite.token}/accept`,
            email: BOB,
            days: "7",
          },
        },
      ]);
      assert.ok(await store.reader.getJob("mail_1"));
      assert.ok(!JSON.stringify(await store.reader.find(INVITES, { limit: 9 })).includes(invite.token.slice(4)));
      const { token: _, ...view } = invite;
      assert.deepEqual(await auth.invites.list(owner, orgId), { data: [view], next_cursor: null });
    }));

  it("works without a mailer, and stores nothing when the mailer fails", async () => {
    await withAuth(
      async (harness) => {
        const { owner, orgId } = await openOrg(harness);
        const { token } = await harness.auth.invites.create(owner, orgId, { email: BOB, role: "member" });
        const bob = await harness.signIn(BOB);
        assert.equal((await harness.auth.invites.accept(bob.identity, token)).org_id, orgId);
      },
      { mailer: null },
    );
    await withAuth(
      async (harness) => {
        const { owner, orgId } = await openOrg(harness);
        await assert.rejects(harness.auth.invites.create(owner, orgId, { email: BOB, role: "member" }), /queue/);
        assert.equal(await harness.store.reader.count(INVITES, []), 0);
      },
      { mailer: { send: () => Promise.reject(new Error("queue")) } },
    );
  });

  it("grants no role above the inviter's", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { owner, orgId } = await openOrg(harness);
      const bob = await harness.signIn(BOB);
      const { token } = await auth.invites.create(owner, orgId, { email: BOB, role: "admin" });
      await auth.invites.accept(bob.identity, token);
      const invite = (role: "owner" | "admin"): Promise<unknown> =>
        auth.invites.create(bob.identity, orgId, { email: "eve@example.com", role });
      assert.equal(await codeOf(invite("owner")), "FORBIDDEN");
      await invite("admin");
    }));

  it("replaces an earlier invite to the address, a minute later at the earliest", () =>
    withAuth(async (harness) => {
      const { auth, clock } = harness;
      const { owner, orgId } = await openOrg(harness);
      const first = await auth.invites.create(owner, orgId, { email: BOB, role: "member" });
      const refused = await errorOf(auth.invites.create(owner, orgId, { email: BOB, role: "member" }));
      assert.deepEqual([refused.code, refused.retryAfterSecs], ["RATE_LIMITED", 60]);
      clock.jump(60_000);
      const second = await auth.invites.create(owner, orgId, { email: BOB, role: "member" });
      const bob = await harness.signIn(BOB);
      assert.equal(await codeOf(auth.invites.accept(bob.identity, first.token)), "INVITE_INVALID");
      await auth.invites.accept(bob.identity, second.token);
    }));

  it("refuses what is not one address", () =>
    withAuth(async (harness) => {
      const { owner, orgId } = await openOrg(harness);
      const invite = harness.auth.invites.create(owner, orgId, { email: "a@b.co\nBcc: c@d.co", role: "member" });
      assert.equal(await codeOf(invite), "VALIDATION_FAILED");
    }));
});

describe("invites.accept()", () => {
  it("makes a member once, also in parallel and by two accounts of the address", () =>
    withAuth(async (harness) => {
      const { auth, store } = harness;
      const { owner, orgId } = await openOrg(harness);
      const { token } = await auth.invites.create(owner, orgId, { email: BOB, role: "member" });
      const bob = await harness.signIn(BOB);
      const twin: Identity = { ...bob.identity, userId: "twin" };
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) => auth.invites.accept(index % 2 === 0 ? bob.identity : twin, token)),
      );
      const accepted = results.filter((result) => result.status === "fulfilled");
      assert.deepEqual(
        accepted.map(({ value }) => value),
        [{ org_id: orgId, role: "member" }],
      );
      assert.equal(await store.reader.count(ORG_MEMBERS, []), 2);
      assert.equal(await codeOf(auth.invites.accept(bob.identity, token)), "INVITE_INVALID");
    }));

  it("is for the invited address alone, in any case, and stays open for it", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { owner, orgId } = await openOrg(harness);
      const { token } = await auth.invites.create(owner, orgId, { email: BOB, role: "member" });
      const eve = await harness.signIn("eve@example.com");
      for (const identity of [eve.identity, { ...eve.identity, email: null }]) {
        const error = await errorOf(auth.invites.accept(identity, token));
        assert.deepEqual([error.code, error.status], ["FORBIDDEN", 403]);
        assert.ok(!`${error.message}${error.hint}`.includes("bob"));
      }
      assert.equal(await codeOf(auth.invites.accept(ANONYMOUS, token)), "AUTH_REQUIRED");
      const bob = await harness.signIn(BOB);
      const shouting: Identity = { ...bob.identity, email: "BOB@EXAMPLE.COM" };
      assert.deepEqual(await auth.invites.accept(shouting, token), { org_id: orgId, role: "member" });
    }));

  it("ends after seven days, and with a revocation", () =>
    withAuth(async (harness) => {
      const { auth, clock, store } = harness;
      const { owner, orgId } = await openOrg(harness);
      const bob = await harness.signIn(BOB);
      const first = await auth.invites.create(owner, orgId, { email: BOB, role: "member" });
      clock.jump(7 * 86_400_000);
      assert.equal(await codeOf(auth.invites.accept(bob.identity, first.token)), "INVITE_INVALID");
      assert.deepEqual((await auth.invites.list(owner, orgId)).data, []);
      assert.equal(await auth.invites.cleanExpired(clock.now(), 10), 1);
      assert.equal(await store.reader.count(INVITES, []), 0);
      const second = await auth.invites.create(owner, orgId, { email: BOB, role: "member" });
      await auth.invites.revoke(owner, orgId, second.id);
      assert.equal(await codeOf(auth.invites.accept(bob.identity, second.token)), "INVITE_INVALID");
      assert.equal(await codeOf(auth.invites.revoke(owner, orgId, second.id)), "NOT_FOUND");
      assert.equal(await codeOf(auth.invites.accept(bob.identity, "inv_guess")), "INVITE_INVALID");
    }));

  it("keeps the role of who is a member already", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { owner, orgId } = await openOrg(harness);
      const { token } = await auth.invites.create(owner, orgId, { email: "ann@example.com", role: "member" });
      assert.deepEqual(await auth.invites.accept(owner, token), { org_id: orgId, role: "owner" });
    }));

  it("does not reach invites of another organisation", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { owner, orgId } = await openOrg(harness);
      const eve = await harness.signIn("eve@example.com");
      const other = await auth.organisations.create(eve.identity, { name: "Evil" });
      const { id, token } = await auth.invites.create(owner, orgId, { email: BOB, role: "member" });
      assert.equal(await codeOf(auth.invites.revoke(eve.identity, other.id, id)), "NOT_FOUND");
      await auth.invites.accept((await harness.signIn(BOB)).identity, token);
    }));
});
