// Organisations and their members over HTTP. An organisation that the caller does not belong to is 404, as if it did not
// exist.

import { z } from "zod";
import { changeRoleInput, createOrgInput } from "../auth/auth-inputs.ts";
import type { Auth } from "../auth/create-auth.ts";
import { ORG_ROLES } from "../auth/organisation-roles.ts";
import { dataError } from "../data/data-errors.ts";
import { defineRoute, type Route } from "../plugin/route.ts";
import { doneOf, objectOf, pageOf, TEXT, TEXT_OR_NULL, TIME } from "./openapi-schema.ts";

const TAG = "organisations";
const MAX_CURSOR_CHARS = 255;
const ROLE = { enum: ORG_ROLES };
const ORG = objectOf({ id: TEXT, name: TEXT, role: ROLE });
const MEMBER = objectOf({ user_id: TEXT, email: TEXT_OR_NULL, role: ROLE, joined_at: TIME });
const MEMBER_PATH = "/api/auth/orgs/:id/members/:userId";

/** Continues a list behind its last page. */
export const cursorQuery = z.strictObject({ cursor: z.string().optional() });

/** @throws INVALID_CURSOR for what `isPlace` does not accept: the list would silently begin or end anywhere. */
export function placeOf(cursor: string | undefined, isPlace: (cursor: string) => boolean): string | undefined {
  if (cursor === undefined || isPlace(cursor)) return cursor;
  throw dataError("INVALID_CURSOR");
}

function isUserId(cursor: string): boolean {
  return cursor !== "" && !cursor.includes("\0") && cursor.length <= MAX_CURSOR_CHARS;
}

function createOrganisation(auth: Auth): Route {
  return defineRoute({
    method: "POST",
    path: "/api/auth/orgs",
    access: "user",
    tag: TAG,
    summary: "Found an organisation and become its owner",
    body: createOrgInput,
    idempotency: "recorded",
    answers: {
      201: { description: "The organisation, with the caller's role in it", schema: ORG },
      409: { description: "The caller is in too many organisations" },
    },
    async handle({ identity, body }) {
      return { status: 201, json: await auth.organisations.create(identity, body) };
    },
  });
}

function listOrganisations(auth: Auth): Route {
  return defineRoute({
    method: "GET",
    path: "/api/auth/orgs",
    access: "user",
    tag: TAG,
    summary: "The caller's organisations, at most 100",
    answers: { 200: { description: "All of them", schema: pageOf(ORG) } },
    async handle({ identity }) {
      return { status: 200, json: { data: await auth.organisations.listMine(identity), next_cursor: null } };
    },
  });
}

function listMembers(auth: Auth): Route {
  return defineRoute({
    method: "GET",
    path: "/api/auth/orgs/:id/members",
    access: "user",
    tag: TAG,
    summary: "Members of an organisation, 200 at a time",
    query: cursorQuery,
    answers: {
      200: { description: "A page of members", schema: pageOf(MEMBER) },
      404: { description: "No such organisation for the caller" },
    },
    async handle({ identity, params, query }) {
      return {
        status: 200,
        json: await auth.organisations.listMembers(identity, params.id ?? "", placeOf(query.cursor, isUserId)),
      };
    },
  });
}

function changeMember(auth: Auth): Route {
  return defineRoute({
    method: "PATCH",
    path: MEMBER_PATH,
    access: "user",
    tag: TAG,
    summary: "Give a member another role",
    body: changeRoleInput,
    idempotency: "recorded",
    answers: {
      200: { description: "The member", schema: MEMBER },
      403: { description: "The caller's role does not allow this" },
      404: { description: "No such organisation or member for the caller" },
      409: { description: "An organisation keeps at least one owner" },
    },
    async handle({ identity, params, body }) {
      const change = { userId: params.userId ?? "", role: body.role };
      return { status: 200, json: await auth.organisations.changeRole(identity, params.id ?? "", change) };
    },
  });
}

function removeMember(auth: Auth): Route {
  return defineRoute({
    method: "DELETE",
    path: MEMBER_PATH,
    access: "user",
    tag: TAG,
    summary: "Remove a member, or leave",
    idempotency: "recorded",
    answers: {
      200: { description: "No member any more", schema: doneOf("removed") },
      403: { description: "The caller's role does not allow this" },
      404: { description: "No such organisation or member for the caller" },
      409: { description: "An organisation keeps at least one owner" },
    },
    async handle({ identity, params }) {
      await auth.organisations.removeMember(identity, params.id ?? "", params.userId ?? "");
      return { status: 200, json: { removed: true } };
    },
  });
}

export function organisationRoutes(auth: Auth): Route[] {
  return [createOrganisation(auth), listOrganisations(auth), listMembers(auth), changeMember(auth), removeMember(auth)];
}
