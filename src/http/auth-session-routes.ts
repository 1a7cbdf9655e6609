// Signing in by a mailed code, and what can be done with a session. Sign-in is counted per network and per address before
// anything else happens, and an answer that holds a token is kept by no cache.

import { authError } from "../auth/auth-errors.ts";
import { magicSendInput, magicVerifyInput, mintSessionInput, selectOrgInput } from "../auth/auth-inputs.ts";
import { isSessionToken, parseBearer } from "../auth/bearer-token.ts";
import { describeMe } from "../auth/callers.ts";
import type { Auth } from "../auth/create-auth.ts";
import { defineRoute, type Route, type RouteRequest } from "../plugin/route.ts";
import { BOOLEAN, doneOf, objectOf, TEXT, TEXT_OR_NULL, TEXTS, TIME } from "./openapi-schema.ts";

const TAG = "auth";
const NO_STORE: Readonly<Record<string, string>> = { "cache-control": "no-store" };
const MINTED = objectOf({ token: TEXT, user_id: TEXT, expires_at: TIME });

/** The token that the request was identified by; empty when it was another kind of credential. */
function tokenOf(request: RouteRequest): string {
  return parseBearer(request.raw.headers.get("authorization") ?? "") ?? "";
}

function sendCode(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: "/api/auth/magic/send",
    access: "anyone",
    tag: TAG,
    summary: "Mail a sign-in code",
    body: magicSendInput,
    answers: {
      200: { description: "Sent", schema: objectOf({ sent: { const: true }, dev_code: TEXT }, ["dev_code"]) },
      429: { description: "Too many codes for this address or from this network" },
      501: { description: "No email provider is configured" },
    },
    async handle({ body, peerOf }) {
      auth.limits.take("send", { ip: peerOf(), subject: body.email });
      return { status: 200, json: await auth.magicCodes.send(body.email), headers: NO_STORE };
    },
  });
}

function verifyCode(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: "/api/auth/magic/verify",
    access: "anyone",
    tag: TAG,
    summary: "Exchange a sign-in code for a session",
    body: magicVerifyInput,
    answers: {
      200: { description: "Signed in", schema: MINTED },
      401: { description: "The code is wrong, used or has expired" },
      429: { description: "Too many guesses for this address or from this network" },
    },
    async handle({ body, peerOf }) {
      auth.limits.take("verify", { ip: peerOf(), subject: body.email });
      return { status: 200, json: await auth.magicCodes.verify(body.email, body.code), headers: NO_STORE };
    },
  });
}

function showMe(): Route {
  return defineRoute({
    method: "GET",
    path: "/api/auth/me",
    access: "anyone",
    tag: TAG,
    summary: "Who the caller is, the anonymous included",
    answers: {
      200: {
        description: "The caller",
        schema: objectOf({ user_id: TEXT_OR_NULL, is_admin: BOOLEAN, roles: TEXTS, tenant_id: TEXT_OR_NULL }),
      },
    },
    handle: ({ identity }) => Promise.resolve({ status: 200, json: describeMe(identity), headers: NO_STORE }),
  });
}

function mintSession(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: "/api/auth/session",
    access: "admin",
    tag: TAG,
    summary: "Make a session for a user",
    body: mintSessionInput,
    answers: { 201: { description: "The session; its token is shown once", schema: MINTED } },
    async handle({ identity, body }) {
      const input = { userId: body.user_id, tenantId: body.tenant_id, roles: body.roles };
      return { status: 201, json: await auth.mintForUser(identity, input), headers: NO_STORE };
    },
  });
}

function revokeSession(auth: Auth): Route {
  return defineRoute({
    method: "DELETE",
    path: "/api/auth/session",
    access: "user",
    tag: TAG,
    summary: "Sign out",
    answers: {
      200: { description: "The session that was presented has ended", schema: doneOf("revoked") },
      403: { description: "The request was not made with a session" },
    },
    async handle(request) {
      const token = tokenOf(request);
      if (!isSessionToken(token)) throw authError("SESSION_REQUIRED");
      // Of two at once the second finds nothing to end, and what it asked for is true.
      await auth.sessions.revoke(token);
      return { status: 200, json: { revoked: true } };
    },
  });
}

function selectOrganisation(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: "/api/auth/select-org",
    access: "user",
    tag: TAG,
    summary: "Make an organisation the session's tenant, or none with null",
    body: selectOrgInput,
    idempotency: "recorded",
    answers: {
      200: { description: "The session's tenant from now on", schema: objectOf({ tenantId: TEXT_OR_NULL }) },
      403: { description: "Not a member, or not a session" },
    },
    async handle(request) {
      return { status: 200, json: await auth.sessions.selectOrg(tokenOf(request), request.body.orgId) };
    },
  });
}

export function sessionRoutes(auth: Auth): Route[] {
  return [sendCode(auth), verifyCode(auth), showMe(), mintSession(auth), revokeSession(auth), selectOrganisation(auth)];
}
