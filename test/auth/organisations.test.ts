// Organisations over a real store: what each role may do to each other, and what is left of a removed member
// (nothing).

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ORG_MEMBERS } from "../../src/auth/auth-tables.ts";
import type { OrgRole } from "../../src/auth/organisation-roles.ts";
import { ADMIN, ANONYMOUS, type Identity } from "../../src/core/identity.ts";
import { codeOf, type Harness, withAuth } from "./auth-harness.ts";

interface Member {
  readonly userId: string;
  readonly token: string;
  readonly identity: Identity;
}

/** An organisation with one member of each role, and someone outside of it. */
async function openOrg(
  harness: Harness,
): Promise<{ orgId: string; people: Readonly<Record<OrgRole | "stranger", Member>> }> {
  const owner = await harness.signIn("owner@example.com");
  const { id: orgId } = await harness.auth.organisations.create(owner.identity, { name: "Acme" });
  const join = async (role: OrgRole): Promise<Member> => {
    const person = await harness.signIn(`${role}@example.com`);
    const email = `${role}@example.com`;
    const { token } = await harness.auth.invites.create(owner.identity, orgId, { email, role });
    await harness.auth.invites.accept(person.identity, token);
    return person;
  };
  const [admin, member] = [await join("admin"), await join("member")];
  return { orgId, people: { owner, admin, member, stranger: await harness.signIn("stranger@example.com") } };
}

describe("organisations", () => {
  it("belong to who creates them", () =>
    withAuth(async ({ auth, signIn }) => {
      const ann = await signIn("ann@example.com");
      const org = await auth.organisations.create(ann.identity, { name: "Acme" });
      assert.deepEqual(await auth.organisations.listMine(ann.identity), [{ id: org.id, name: "Acme", role: "owner" }]);
      const { data } = await auth.organisations.listMembers(ann.identity, org.id);
      assert.deepEqual(
        data.map(({ user_id: id, email, role }) => [id, email, role]),
        [[ann.userId, "ann@example.com", "owner"]],
      );
    }));

  it("are nothing to strangers, the anonymous and keys", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { orgId, people } = await openOrg(harness);
      const { key } = await auth.apiKeys.create(people.owner.identity, { name: "k" });
      const callers: readonly (readonly [Identity, string])[] = [
        [people.stranger.identity, "NOT_FOUND"],
        [ANONYMOUS, "AUTH_REQUIRED"],
        [await auth.identify(`Bearer ${key}`), "FORBIDDEN"],
      ];
      const target = people.member.userId;
      for (const [identity, code] of callers) {
        assert.equal(await codeOf(auth.organisations.listMembers(identity, orgId)), code);
        const change = { userId: target, role: "admin" } as const;
        assert.equal(await codeOf(auth.organisations.changeRole(identity, orgId, change)), code);
        assert.equal(await codeOf(auth.organisations.removeMember(identity, orgId, target)), code);
        const invite = { email: "x@example.com", role: "member" } as const;
        assert.equal(await codeOf(auth.invites.create(identity, orgId, invite)), code);
        assert.equal(await codeOf(auth.invites.list(identity, orgId)), code);
        assert.equal(await codeOf(auth.invites.revoke(identity, orgId, "x")), code);
      }
      assert.deepEqual(await auth.organisations.listMine(people.stranger.identity), []);
      assert.equal(await codeOf(auth.organisations.create(ADMIN, { name: "x" })), "FORBIDDEN");
    }));

  it("can be managed by an admin of the server", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { orgId, people } = await openOrg(harness);
      const change = { userId: people.member.userId, role: "owner" } as const;
      assert.equal((await auth.organisations.changeRole(ADMIN, orgId, change)).role, "owner");
      assert.equal((await auth.organisations.listMembers(ADMIN, orgId)).data.length, 3);
      assert.equal(await codeOf(auth.organisations.listMembers(ADMIN, "nothing")), "NOT_FOUND");
      assert.ok(await auth.invites.create(ADMIN, orgId, { email: "x@example.com", role: "owner" }));
    }));

  it("stop at a hundred for one user, also in parallel", () =>
    withAuth(async ({ auth, signIn, store }) => {
      const ann = await signIn("ann@example.com");
      await Promise.allSettled(
        Array.from({ length: 110 }, () => auth.organisations.create(ann.identity, { name: "Acme" })),
      );
      assert.equal(await store.reader.count(ORG_MEMBERS, []), 100);
      assert.equal(await codeOf(auth.organisations.create(ann.identity, { name: "Acme" })), "LIMIT_REACHED");
    }));
});

type Verdict = "done" | "FORBIDDEN" | "LAST_OWNER";

describe("roles", () => {
  const removals: readonly (readonly [OrgRole, OrgRole, Verdict])[] = [
    ["owner", "admin", "done"],
    ["owner", "member", "done"],
    ["owner", "owner", "LAST_OWNER"],
    ["admin", "owner", "FORBIDDEN"],
    ["admin", "member", "done"],
    ["admin", "admin", "done"],
    ["member", "owner", "FORBIDDEN"],
    ["member", "admin", "FORBIDDEN"],
    ["member", "member", "done"],
  ];
  for (const [actor, target, verdict] of removals) {
    it(`${actor} removes ${target === actor ? "itself" : target}: ${verdict}`, () =>
      withAuth(async (harness) => {
        const { orgId, people } = await openOrg(harness);
        const { organisations } = harness.auth;
        const removal = organisations.removeMember(people[actor].identity, orgId, people[target].userId);
        if (verdict !== "done") return assert.equal(await codeOf(removal), verdict);
        await removal;
        assert.equal(await codeOf(organisations.listMembers(people[target].identity, orgId)), "NOT_FOUND");
      }));
  }

  const changes: readonly (readonly [OrgRole, OrgRole, OrgRole, Verdict])[] = [
    ["owner", "member", "owner", "done"],
    ["owner", "admin", "member", "done"],
    ["owner", "owner", "admin", "LAST_OWNER"],
    ["owner", "owner", "owner", "done"],
    ["admin", "member", "admin", "done"],
    ["admin", "member", "owner", "FORBIDDEN"],
    ["admin", "admin", "owner", "FORBIDDEN"],
    ["admin", "owner", "member", "FORBIDDEN"],
    ["member", "member", "admin", "FORBIDDEN"],
    ["member", "owner", "member", "FORBIDDEN"],
  ];
  for (const [actor, target, role, verdict] of changes) {
    it(`${actor} makes ${target} ${role}: ${verdict}`, () =>
      withAuth(async (harness) => {
        const { orgId, people } = await openOrg(harness);
        const userId = people[target].userId;
        const change = harness.auth.organisations.changeRole(people[actor].identity, orgId, { userId, role });
        if (verdict === "done") assert.equal((await change).role, role);
        else assert.equal(await codeOf(change), verdict);
      }));
  }

  it("keep an owner when two owners leave at once", () =>
    withAuth(async (harness) => {
      const { orgId, people } = await openOrg(harness);
      const { organisations } = harness.auth;
      const { owner, admin } = people;
      await organisations.changeRole(owner.identity, orgId, { userId: admin.userId, role: "owner" });
      const results = await Promise.allSettled(
        [owner, admin].map(({ identity, userId }) => organisations.removeMember(identity, orgId, userId)),
      );
      assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    }));
});

describe("a removed member", () => {
  it("has no tenant in any session from the next request on", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { orgId, people } = await openOrg(harness);
      const { owner, member } = people;
      await auth.sessions.selectOrg(member.token, orgId);
      assert.deepEqual((await auth.identify(`Bearer ${member.token}`)).roles, ["org:member"]);
      await auth.organisations.removeMember(owner.identity, orgId, member.userId);
      const identity = await auth.identify(`Bearer ${member.token}`);
      assert.deepEqual([identity.userId, identity.tenantId, identity.roles], [member.userId, null, []]);
      assert.equal(await codeOf(auth.sessions.selectOrg(member.token, orgId)), "NOT_A_MEMBER");
    }));

  it("cannot come back by an invite of its own", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { orgId, people } = await openOrg(harness);
      const invite = { email: "stranger@example.com", role: "admin" } as const;
      for (const end of ["removed", "demoted"]) {
        const { token } = await auth.invites.create(people.admin.identity, orgId, invite);
        const { userId } = people.admin;
        if (end === "removed") await auth.organisations.removeMember(people.owner.identity, orgId, userId);
        else await auth.organisations.changeRole(people.owner.identity, orgId, { userId, role: "member" });
        assert.equal(await codeOf(auth.invites.accept(people.stranger.identity, token)), "INVITE_INVALID");
        if (end === "demoted") continue;
        const back = await auth.invites.create(people.owner.identity, orgId, {
          email: "admin@example.com",
          role: "admin",
        });
        await auth.invites.accept(people.admin.identity, back.token);
      }
    }));

  it("sees a new role in a selected organisation at once", () =>
    withAuth(async (harness) => {
      const { auth } = harness;
      const { orgId, people } = await openOrg(harness);
      await auth.sessions.selectOrg(people.admin.token, orgId);
      const change = { userId: people.admin.userId, role: "member" } as const;
      await auth.organisations.changeRole(people.owner.identity, orgId, change);
      assert.deepEqual((await auth.identify(`Bearer ${people.admin.token}`)).roles, ["org:member"]);
    }));
});
