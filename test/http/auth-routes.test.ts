// Identity over HTTP, from the request to the SQLite file and back: shapes, statuses, limits, and who is refused.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ADMIN_TOKEN, lastCode, wrongCode } from "../auth/auth-harness.ts";
import { type Answer, codeOf, fieldsOf, type Stack, textOf, withStack } from "./assembled-stack.ts";

/** Said out loud: some runtimes call a text body text/plain. */
const JSON_TYPE = { "content-type": "application/json" };
const ADA = "ada@example.com";
const BOB = "bob@example.com";

function assertIsoTime(value: unknown): void {
  assert.equal(typeof value, "string");
  assert.equal(new Date(value as string).toISOString(), value);
}

async function foundOrg(stack: Stack, token: string): Promise<string> {
  return textOf(await stack.ask("POST /api/auth/orgs", { token, json: { name: "Acme" } }), "id");
}

async function invite(stack: Stack, token: string, orgId: string, email: string): Promise<Answer> {
  return stack.ask(`POST /api/auth/orgs/${orgId}/invites`, { token, json: { email, role: "member" } });
}

describe("signing in over HTTP", () => {
  it("exchanges a mailed code for a session that identifies", () =>
    withStack({}, async (stack) => {
      const sent = await stack.ask("POST /api/auth/magic/send", { json: { email: " Ada@Example.com " } });
      assert.equal(sent.status, 200);
      assert.deepEqual(sent.json, { sent: true });
      assert.equal(sent.headers.get("cache-control"), "no-store");
      const verified = await stack.ask("POST /api/auth/magic/verify", {
        json: { email: ADA, code: lastCode(stack.mails) },
      });
      assert.equal(verified.status, 200);
      assert.deepEqual(Object.keys(fieldsOf(verified)).toSorted(), ["expires_at", "token", "user_id"]);
      assertIsoTime(fieldsOf(verified)["expires_at"]);
      assert.equal(verified.headers.get("cache-control"), "no-store");
      const token = textOf(verified, "token");
      assert.match(token, /^pylon_[0-9a-f]{64}$/);
      const me = await stack.ask("GET /api/auth/me", { token });
      assert.deepEqual(me.json, {
        user_id: textOf(verified, "user_id"),
        is_admin: false,
        roles: [],
        tenant_id: null,
      });
    }));

  it("answers dev_code only where codes are shown", () =>
    withStack({ auth: { showCodes: true } }, async (stack) => {
      const sent = await stack.ask("POST /api/auth/magic/send", { json: { email: ADA } });
      assert.equal(fieldsOf(sent)["sent"], true);
      const code = textOf(sent, "dev_code");
      assert.equal((await stack.ask("POST /api/auth/magic/verify", { json: { email: ADA, code } })).status, 200);
    }));

  it("answers 501 where no mail can be sent", () =>
    withStack({ auth: { mailer: null } }, async (stack) => {
      const sent = await stack.ask("POST /api/auth/magic/send", { json: { email: ADA } });
      assert.equal(sent.status, 501);
      assert.equal(codeOf(sent), "EMAIL_NOT_CONFIGURED");
    }));

  it("refuses wrong codes, used codes and malformed inputs", () =>
    withStack({}, async (stack) => {
      await stack.ask("POST /api/auth/magic/send", { json: { email: ADA } });
      const code = lastCode(stack.mails);
      const verify = (json: unknown): Promise<Answer> => stack.ask("POST /api/auth/magic/verify", { json });
      const wrong = await verify({ email: ADA, code: wrongCode(code) });
      assert.equal(wrong.status, 401);
      assert.equal(codeOf(wrong), "INVALID_CODE");
      assert.equal((await verify({ email: ADA, code })).status, 200);
      assert.equal(codeOf(await verify({ email: ADA, code })), "INVALID_CODE");
      assert.equal((await verify({ email: ADA, code, tenant_id: "x" })).status, 400);
      const notAnAddress = await stack.ask("POST /api/auth/magic/send", { json: { email: "nobody" } });
      assert.equal(codeOf(notAnAddress), "VALIDATION_FAILED");
      assert.equal(
        codeOf(await stack.ask("POST /api/auth/magic/send", { body: "{", headers: JSON_TYPE })),
        "INVALID_JSON",
      );
    }));

  it("tells who waits for how long: one send per address per minute", () =>
    withStack({}, async (stack) => {
      await stack.ask("POST /api/auth/magic/send", { json: { email: ADA } });
      const again = await stack.ask("POST /api/auth/magic/send", { json: { email: ADA } });
      assert.equal(again.status, 429);
      assert.equal(codeOf(again), "RATE_LIMITED");
      assert.equal(again.headers.get("retry-after"), "60");
    }));
});

describe("sign-in limits over HTTP", () => {
  const once = { burst: 1, perMinute: 1 };
  const many = { burst: 100, perMinute: 100 };
  const allMany = { network: many, subject: many };
  const perNetwork = { network: once, subject: many };
  const perSubject = { network: many, subject: once };

  it("counts the peer's network, not the header that anyone can send", () =>
    withStack(
      { auth: { signInRules: { send: perNetwork, verify: perNetwork, invite: perNetwork, accept: perNetwork } } },
      async (stack) => {
        const send = (email: string, peer: string): Promise<Answer> =>
          stack.ask("POST /api/auth/magic/send", { json: { email }, peer, headers: { "x-forwarded-for": email } });
        assert.equal((await send("a@example.com", "203.0.113.1")).status, 200);
        const refused = await send("b@example.com", "203.0.113.1");
        assert.equal(refused.status, 429);
        assert.equal(refused.headers.get("retry-after"), "60");
        assert.equal((await send("c@example.com", "203.0.113.2")).status, 200);
        assert.equal(stack.mails.length, 2, "a refused request sends nothing");
        await stack.clock.advance(60_000);
        assert.equal((await send("b@example.com", "203.0.113.1")).status, 200);
      },
    ));

  it("counts the address or the user that each action is about", () =>
    withStack(
      { auth: { signInRules: { send: allMany, verify: perSubject, invite: perSubject, accept: perSubject } } },
      async (stack) => {
        const verify = (email: string): Promise<Answer> =>
          stack.ask("POST /api/auth/magic/verify", { json: { email, code: "000000" } });
        assert.equal((await verify(ADA)).status, 401);
        assert.equal((await verify(" ADA@example.com")).status, 429);
        assert.equal((await verify(BOB)).status, 401);

        const { token } = await stack.signIn(ADA);
        const orgId = await foundOrg(stack, token);
        assert.equal((await invite(stack, token, orgId, BOB)).status, 201);
        const refused = await invite(stack, token, orgId, "eve@example.com");
        assert.equal(refused.status, 429);
        assert.equal(refused.headers.get("retry-after"), "60");

        const accept = (): Promise<Answer> => stack.ask("POST /api/auth/invites/inv_unknown/accept", { token });
        assert.equal(codeOf(await accept()), "INVITE_INVALID");
        assert.equal(codeOf(await accept()), "RATE_LIMITED");
      },
    ));
});

describe("sessions over HTTP", () => {
  it("says who asks, whoever it is", () =>
    withStack({}, async (stack) => {
      const nobody = { user_id: null, is_admin: false, roles: [], tenant_id: null };
      const anonymous = await stack.ask("GET /api/auth/me");
      assert.equal(anonymous.status, 200);
      assert.deepEqual(anonymous.json, nobody);
      const admin = await stack.ask("GET /api/auth/me", { token: ADMIN_TOKEN });
      assert.deepEqual(admin.json, { ...nobody, is_admin: true });
      const unknown = await stack.ask("GET /api/auth/me", { token: "pylon_made-up" });
      assert.equal(unknown.status, 401);
      assert.equal(codeOf(unknown), "INVALID_TOKEN");
    }));

  it("lets an admin mint one, with a tenant and roles", () =>
    withStack({}, async (stack) => {
      const json = { user_id: "u1", tenant_id: "t1", roles: ["editor"] };
      const minted = await stack.ask("POST /api/auth/session", { token: ADMIN_TOKEN, json });
      assert.equal(minted.status, 201);
      assert.equal(textOf(minted, "user_id"), "u1");
      assertIsoTime(fieldsOf(minted)["expires_at"]);
      const me = await stack.ask("GET /api/auth/me", { token: textOf(minted, "token") });
      assert.deepEqual(me.json, { user_id: "u1", is_admin: false, roles: ["editor"], tenant_id: "t1" });
    }));

  it("lets nobody else mint one", () =>
    withStack({}, async (stack) => {
      const json = { user_id: "u1" };
      assert.equal((await stack.ask("POST /api/auth/session", { json })).status, 401);
      const { token } = await stack.signIn(ADA);
      const refused = await stack.ask("POST /api/auth/session", { json, token });
      assert.equal(refused.status, 403);
      assert.equal(codeOf(refused), "ADMIN_ONLY");
      const claimed = { user_id: "u1", roles: ["org:owner"] };
      const bad = await stack.ask("POST /api/auth/session", { json: claimed, token: ADMIN_TOKEN });
      assert.equal(codeOf(bad), "VALIDATION_FAILED");
    }));

  it("keeps no token for an Idempotency-Key", () =>
    withStack({}, async (stack) => {
      const mint = (): Promise<Answer> =>
        stack.ask("POST /api/auth/session", {
          token: ADMIN_TOKEN,
          json: { user_id: "u1" },
          headers: { "idempotency-key": "k1" },
        });
      assert.notEqual(textOf(await mint(), "token"), textOf(await mint(), "token"));
      assert.equal(await stack.store.reader.count("_pylon_idempotency", []), 0);
    }));

  it("ends the session that is presented and no other", () =>
    withStack({}, async (stack) => {
      const first = await stack.signIn(ADA);
      const second = await stack.signIn(ADA);
      const revoked = await stack.ask("DELETE /api/auth/session", { token: first.token });
      assert.equal(revoked.status, 200);
      assert.deepEqual(revoked.json, { revoked: true });
      assert.equal(codeOf(await stack.ask("GET /api/auth/me", { token: first.token })), "INVALID_TOKEN");
      assert.equal((await stack.ask("GET /api/auth/me", { token: second.token })).status, 200);
      assert.equal(codeOf(await stack.ask("DELETE /api/auth/session")), "AUTH_REQUIRED");
      assert.equal(codeOf(await stack.ask("DELETE /api/auth/session", { token: ADMIN_TOKEN })), "SESSION_REQUIRED");
    }));

  it("moves between organisations and back", () =>
    withStack({}, async (stack) => {
      const { token } = await stack.signIn(ADA);
      const orgId = await foundOrg(stack, token);
      const select = (as: string, id: unknown): Promise<Answer> =>
        stack.ask("POST /api/auth/select-org", { token: as, json: { orgId: id } });
      const selected = await select(token, orgId);
      assert.equal(selected.status, 200);
      assert.deepEqual(selected.json, { tenantId: orgId });
      const me = fieldsOf(await stack.ask("GET /api/auth/me", { token }));
      assert.equal(me["tenant_id"], orgId);
      assert.deepEqual(me["roles"], ["org:owner"]);
      assert.deepEqual((await select(token, null)).json, { tenantId: null });

      const stranger = await stack.signIn(BOB);
      const refused = await select(stranger.token, orgId);
      assert.equal(refused.status, 403);
      assert.equal(codeOf(refused), "NOT_A_MEMBER");
      assert.equal(codeOf(await select(ADMIN_TOKEN, orgId)), "SESSION_REQUIRED");
      assert.equal(codeOf(await select(token, 7)), "VALIDATION_FAILED");
    }));
});

describe("organisations over HTTP", () => {
  it("are founded, listed and unknown to strangers", () =>
    withStack({}, async (stack) => {
      const { token, userId } = await stack.signIn(ADA);
      const founded = await stack.ask("POST /api/auth/orgs", { token, json: { name: " Acme " } });
      assert.equal(founded.status, 201);
      const id = textOf(founded, "id");
      assert.deepEqual(founded.json, { id, name: "Acme", role: "owner" });
      const listed = await stack.ask("GET /api/auth/orgs", { token });
      assert.deepEqual(listed.json, { data: [{ id, name: "Acme", role: "owner" }], next_cursor: null });
      const members = await stack.ask(`GET /api/auth/orgs/${id}/members`, { token });
      const { data, next_cursor: cursor } = fieldsOf(members);
      assert.equal(cursor, null);
      const [{ joined_at: joinedAt, ...member }] = data as [Record<string, unknown>];
      assertIsoTime(joinedAt);
      assert.deepEqual(member, { user_id: userId, email: ADA, role: "owner" });

      const stranger = await stack.signIn(BOB);
      assert.equal((await stack.ask(`GET /api/auth/orgs/${id}/members`, { token: stranger.token })).status, 404);
      assert.equal((await stack.ask("GET /api/auth/orgs")).status, 401);
    }));

  it("are founded once per Idempotency-Key", () =>
    withStack({}, async (stack) => {
      const { token } = await stack.signIn(ADA);
      const found = (): Promise<Answer> =>
        stack.ask("POST /api/auth/orgs", { token, json: { name: "Acme" }, headers: { "idempotency-key": "k1" } });
      const first = await found();
      const second = await found();
      assert.deepEqual(second.json, first.json);
      assert.equal(second.status, 201);
      assert.equal(second.headers.get("idempotency-replayed"), "true");
    }));

  it("take members by an invite to their address", () =>
    withStack({}, async (stack) => {
      const ada = await stack.signIn(ADA);
      const bob = await stack.signIn(BOB);
      const eve = await stack.signIn("eve@example.com");
      const orgId = await foundOrg(stack, ada.token);
      const invited = await invite(stack, ada.token, orgId, " Bob@Example.com");
      assert.equal(invited.status, 201);
      const token = textOf(invited, "token");
      const fields = Object.keys(fieldsOf(invited)).toSorted();
      assert.deepEqual(fields, ["email", "expires_at", "id", "role", "token"]);
      assert.equal(textOf(invited, "email"), BOB);

      const open = await stack.ask(`GET /api/auth/orgs/${orgId}/invites`, { token: ada.token });
      assert.equal(open.text.includes(token), false);
      assert.equal((fieldsOf(open)["data"] as unknown[]).length, 1);

      const accept = (as: string): Promise<Answer> =>
        stack.ask(`POST /api/auth/invites/${token}/accept`, { token: as });
      assert.equal((await stack.ask(`POST /api/auth/invites/${token}/accept`)).status, 401);
      assert.equal(codeOf(await accept(eve.token)), "FORBIDDEN");
      const accepted = await accept(bob.token);
      assert.equal(accepted.status, 200);
      assert.deepEqual(accepted.json, { org_id: orgId, role: "member" });
      assert.equal(codeOf(await accept(bob.token)), "INVITE_INVALID");
      const long = await stack.ask(`POST /api/auth/invites/${"x".repeat(200)}/accept`, { token: bob.token });
      assert.equal(codeOf(long), "INVITE_INVALID");
    }));

  it("let invites be taken back by who may invite", () =>
    withStack({}, async (stack) => {
      const ada = await stack.signIn(ADA);
      const bob = await stack.signIn(BOB);
      const orgId = await foundOrg(stack, ada.token);
      const invited = await invite(stack, ada.token, orgId, BOB);
      const path = `/api/auth/orgs/${orgId}/invites/${textOf(invited, "id")}`;
      assert.equal((await stack.ask(`DELETE ${path}`, { token: bob.token })).status, 404);
      assert.deepEqual((await stack.ask(`DELETE ${path}`, { token: ada.token })).json, { revoked: true });
      assert.equal((await stack.ask(`DELETE ${path}`, { token: ada.token })).status, 404);
      const target = `POST /api/auth/invites/${textOf(invited, "token")}/accept`;
      assert.equal(codeOf(await stack.ask(target, { token: bob.token })), "INVITE_INVALID");
    }));

  it("keep an owner while members change and leave", () =>
    withStack({}, async (stack) => {
      const ada = await stack.signIn(ADA);
      const bob = await stack.signIn(BOB);
      const orgId = await foundOrg(stack, ada.token);
      const invited = await invite(stack, ada.token, orgId, BOB);
      await stack.ask(`POST /api/auth/invites/${textOf(invited, "token")}/accept`, { token: bob.token });
      const member = (userId: string): string => `/api/auth/orgs/${orgId}/members/${userId}`;

      const byMember = await stack.ask(`PATCH ${member(ada.userId)}`, { token: bob.token, json: { role: "member" } });
      assert.equal(codeOf(byMember), "FORBIDDEN");
      const change = { token: ada.token, json: { role: "admin" } };
      const changed = await stack.ask(`PATCH ${member(bob.userId)}`, change);
      assert.equal(changed.status, 200);
      assert.equal(textOf(changed, "role"), "admin");
      assert.equal(codeOf(await stack.ask(`PATCH ${member("nobody")}`, change)), "NOT_FOUND");
      const unknownRole = await stack.ask(`PATCH ${member(bob.userId)}`, { token: ada.token, json: { role: "king" } });
      assert.equal(codeOf(unknownRole), "VALIDATION_FAILED");

      const last = await stack.ask(`DELETE ${member(ada.userId)}`, { token: ada.token });
      assert.equal(last.status, 409);
      assert.equal(codeOf(last), "LAST_OWNER");
      assert.deepEqual((await stack.ask(`DELETE ${member(bob.userId)}`, { token: bob.token })).json, { removed: true });
      assert.equal((await stack.ask(`GET /api/auth/orgs/${orgId}/members`, { token: bob.token })).status, 404);
    }));
});

describe("API keys over HTTP", () => {
  it("show themselves once, identify, and end", () =>
    withStack({}, async (stack) => {
      const { token, userId } = await stack.signIn(ADA);
      const made = await stack.ask("POST /api/auth/api-keys", { token, json: { name: "ci", expires_in_days: 1 } });
      assert.equal(made.status, 201);
      assert.equal(made.headers.get("cache-control"), "no-store");
      const { key, ...view } = fieldsOf(made);
      assert.match(key as string, /^pk_/);
      assertIsoTime(view["expires_at"]);
      const me = fieldsOf(await stack.ask("GET /api/auth/me", { token: key as string }));
      assert.equal(me["user_id"], userId);

      const listed = await stack.ask("GET /api/auth/api-keys", { token });
      assert.deepEqual(listed.json, { data: [view], next_cursor: null });
      const path = `/api/auth/api-keys/${textOf(made, "id")}`;
      const bob = await stack.signIn(BOB);
      assert.equal((await stack.ask(`DELETE ${path}`, { token: bob.token })).status, 404);
      assert.deepEqual((await stack.ask(`DELETE ${path}`, { token })).json, { revoked: true });
      assert.equal(codeOf(await stack.ask("GET /api/auth/me", { token: key as string })), "INVALID_TOKEN");
    }));

  it("make no keys, and grant nothing that their maker has not", () =>
    withStack({}, async (stack) => {
      const { token } = await stack.signIn(ADA);
      const make = (as: string, json: unknown): Promise<Answer> =>
        stack.ask("POST /api/auth/api-keys", { token: as, json });
      assert.equal(codeOf(await make(token, { name: "x", roles: ["editor"] })), "FORBIDDEN");
      assert.equal(codeOf(await make(token, { name: "x", user_id: "somebody" })), "FORBIDDEN");
      const key = textOf(await make(token, { name: "x" }), "key");
      assert.equal(codeOf(await make(key, { name: "y" })), "FORBIDDEN");
      const byAdmin = await make(ADMIN_TOKEN, { name: "z", user_id: "u1", tenant_id: "t1", roles: ["editor"] });
      assert.equal(byAdmin.status, 201);
      const me = await stack.ask("GET /api/auth/me", { token: textOf(byAdmin, "key") });
      assert.deepEqual(me.json, { user_id: "u1", is_admin: false, roles: ["editor"], tenant_id: "t1" });
      assert.equal((await stack.ask("GET /api/auth/api-keys?offset=1", { token })).status, 400);
    }));

  it("continue their list behind the cursor", () =>
    withStack({}, async (stack) => {
      const { token } = await stack.signIn(ADA);
      for (const name of ["a", "b"]) await stack.ask("POST /api/auth/api-keys", { token, json: { name } });
      const all = fieldsOf(await stack.ask("GET /api/auth/api-keys", { token }))["data"] as { id: string }[];
      const rest = await stack.ask(`GET /api/auth/api-keys?cursor=${all[0]?.id}`, { token });
      assert.deepEqual(rest.json, { data: all.slice(1), next_cursor: null });
    }));

  it("refuse a cursor that no list gave, as those of organisations do", () =>
    withStack({}, async (stack) => {
      const { token } = await stack.signIn(ADA);
      const org = textOf(await stack.ask("POST /api/auth/orgs", { token, json: { name: "Acme" } }), "id");
      const wrong: readonly (readonly [string, readonly string[]])[] = [
        ["/api/auth/api-keys", ["", "zzz", "%00", "0".repeat(25)]],
        [`/api/auth/orgs/${org}/invites`, ["", "zzz", "%00", "0".repeat(25)]],
        [`/api/auth/orgs/${org}/members`, ["", "%00", "x".repeat(256)]],
      ];
      for (const [path, cursors] of wrong) {
        for (const cursor of cursors) {
          const answer = await stack.ask(`GET ${path}?cursor=${cursor}`, { token });
          assert.deepEqual([answer.status, codeOf(answer)], [400, "INVALID_CURSOR"], `${path} ${cursor}`);
        }
      }
    }));
});
