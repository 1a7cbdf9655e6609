// API keys over HTTP. A key is in one answer, the one that makes it; so that answer is never recorded for an
// Idempotency-Key.

import { createApiKeyInput } from "../auth/auth-inputs.ts";
import { isApiKeyId } from "../auth/bearer-token.ts";
import type { Auth } from "../auth/create-auth.ts";
import { defineRoute, type Route } from "../plugin/route.ts";
import { cursorQuery, placeOf } from "./auth-org-routes.ts";
import { doneOf, objectOf, pageOf, TEXT, TEXT_OR_NULL, TEXTS, TIME, TIME_OR_NULL } from "./openapi-schema.ts";

const TAG = "api keys";
const PATH = "/api/auth/api-keys";
const VIEW = {
  id: TEXT,
  name: TEXT,
  last4: TEXT,
  roles: TEXTS,
  user_id: TEXT_OR_NULL,
  tenant_id: TEXT_OR_NULL,
  created_at: TIME,
  expires_at: TIME_OR_NULL,
};

function createKey(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: PATH,
    access: "user",
    tag: TAG,
    summary: "Make an API key",
    body: createApiKeyInput,
    idempotency: "recorded",
    answers: {
      201: { description: "The key, shown once", schema: objectOf({ ...VIEW, key: TEXT }) },
      403: { description: "A key cannot make keys, nor grant what its maker has not" },
      409: { description: "The user has too many keys" },
    },
    async handle({ identity, body }) {
      const { name, roles, expires_in_days: expiresInDays, user_id: userId, tenant_id: tenantId } = body;
      const key = await auth.apiKeys.create(identity, { name, roles, expiresInDays, userId, tenantId });
      return { status: 201, json: key, headers: { "cache-control": "no-store" }, secret: true };
    },
  });
}

function listKeys(auth: Auth): Route {
  return defineRoute({
    method: "GET",
    path: PATH,
    access: "user",
    tag: TAG,
    summary: "The caller's API keys, or everyone's for an admin, 200 at a time",
    query: cursorQuery,
    answers: { 200: { description: "A page of keys, without the keys themselves", schema: pageOf(objectOf(VIEW)) } },
    async handle({ identity, query }) {
      return { status: 200, json: await auth.apiKeys.list(identity, placeOf(query.cursor, isApiKeyId)) };
    },
  });
}

function revokeKey(auth: Auth): Route {
  return defineRoute({
    method: "DELETE",
    path: `${PATH}/:id`,
    access: "user",
    tag: TAG,
    summary: "Revoke an API key",
    idempotency: "recorded",
    answers: {
      200: { description: "The key is of no use any more", schema: doneOf("revoked") },
      404: { description: "No such key of the caller" },
    },
    async handle({ identity, params }) {
      await auth.apiKeys.revoke(identity, params.id ?? "");
      return { status: 200, json: { revoked: true } };
    },
  });
}

export function apiKeyRoutes(auth: Auth): Route[] {
  return [createKey(auth), listKeys(auth), revokeKey(auth)];
}
