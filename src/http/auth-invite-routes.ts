// Invites into organisations over HTTP. Making and accepting them is counted like signing in, for both send mail to
// strangers or test a secret.

import { authError } from "../auth/auth-errors.ts";
import { createInviteInput, inviteTokenParam } from "../auth/auth-inputs.ts";
import type { Auth } from "../auth/create-auth.ts";
import { ORG_ROLES } from "../auth/organisation-roles.ts";
import { isUlid } from "../core/ids.ts";
import { defineRoute, type Route } from "../plugin/route.ts";
import { cursorQuery, placeOf } from "./auth-org-routes.ts";
import { doneOf, objectOf, pageOf, TEXT, TIME } from "./openapi-schema.ts";

const TAG = "organisations";
const ROLE = { enum: ORG_ROLES };
const VIEW = { id: TEXT, email: TEXT, role: ROLE, expires_at: TIME };
const INVITES_PATH = "/api/auth/orgs/:id/invites";

function createInvite(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: INVITES_PATH,
    access: "user",
    tag: TAG,
    summary: "Invite an address; replaces an earlier invite to it",
    body: createInviteInput,
    idempotency: "recorded",
    answers: {
      201: { description: "The invite; its token is shown once", schema: objectOf({ ...VIEW, token: TEXT }) },
      403: { description: "The caller may not grant this role" },
      404: { description: "No such organisation for the caller" },
      409: { description: "Too many invites are open" },
      429: { description: "Too many invites, or one to this address within the last minute" },
    },
    async handle({ identity, params, body, peerOf }) {
      auth.limits.take("invite", { ip: peerOf(), subject: identity.userId });
      const invite = await auth.invites.create(identity, params.id ?? "", body);
      return { status: 201, json: invite, headers: { "cache-control": "no-store" }, secret: true };
    },
  });
}

function listInvites(auth: Auth): Route {
  return defineRoute({
    method: "GET",
    path: INVITES_PATH,
    access: "user",
    tag: TAG,
    summary: "Open invites, 200 at a time",
    query: cursorQuery,
    answers: {
      200: { description: "A page of invites, without their tokens", schema: pageOf(objectOf(VIEW)) },
      403: { description: "The caller's role does not allow this" },
      404: { description: "No such organisation for the caller" },
    },
    async handle({ identity, params, query }) {
      return { status: 200, json: await auth.invites.list(identity, params.id ?? "", placeOf(query.cursor, isUlid)) };
    },
  });
}

function revokeInvite(auth: Auth): Route {
  return defineRoute({
    method: "DELETE",
    path: `${INVITES_PATH}/:inviteId`,
    access: "user",
    tag: TAG,
    summary: "Take an invite back",
    idempotency: "recorded",
    answers: {
      200: { description: "The token is of no use any more", schema: doneOf("revoked") },
      403: { description: "The caller's role does not allow this" },
      404: { description: "No such organisation or invite for the caller" },
    },
    async handle({ identity, params }) {
      await auth.invites.revoke(identity, params.id ?? "", params.inviteId ?? "");
      return { status: 200, json: { revoked: true } };
    },
  });
}

function acceptInvite(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: "/api/auth/invites/:token/accept",
    access: "user",
    tag: TAG,
    summary: "Become a member by the invite to the caller's address",
    idempotency: "recorded",
    answers: {
      200: { description: "The membership", schema: objectOf({ org_id: TEXT, role: ROLE }) },
      403: { description: "The invite is for another address; it stays open" },
      404: { description: "The invite is unknown, used or has expired" },
      409: { description: "The caller is in too many organisations" },
      429: { description: "Too many attempts" },
    },
    async handle({ identity, params, peerOf }) {
      auth.limits.take("accept", { ip: peerOf(), subject: identity.userId });
      const parsed = inviteTokenParam.safeParse({ token: params.token });
      if (!parsed.success) throw authError("INVITE_INVALID");
      return { status: 200, json: await auth.invites.accept(identity, parsed.data.token) };
    },
  });
}

export function inviteRoutes(auth: Auth): Route[] {
  return [createInvite(auth), listInvites(auth), revokeInvite(auth), acceptInvite(auth)];
}
