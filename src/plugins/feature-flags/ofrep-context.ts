// The evaluation context of a remote caller, and who it makes the subject. The session decides user and tenant: what a
// browser sends about itself is attributes and nothing more.

import { isObject } from "../../core/json.ts";
import type { Identity } from "../../core/identity.ts";
import type { FlagSubject } from "./evaluation.ts";

const MAX_KEY_CHARS = 1_024;

/** The protocol's own codes (OFREP OpenAPI, `errorCode`). */
export interface ContextFailure {
  readonly errorCode: "PARSE_ERROR" | "INVALID_CONTEXT";
  readonly errorDetails: string;
}

export type ContextResult =
  | { readonly ok: true; readonly context: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly failure: ContextFailure };

function refuse(errorCode: ContextFailure["errorCode"], errorDetails: string): ContextResult {
  return { ok: false, failure: { errorCode, errorDetails } };
}

function parseBody(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text === "" ? {} : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads `{context: {targetingKey?, …}}`; no body and no context are an empty one. */
export function parseContext(bytes: Uint8Array): ContextResult {
  const body = parseBody(bytes);
  if (!isObject(body)) return refuse("PARSE_ERROR", "Cannot read the body as a JSON object");
  const { context = {} } = body;
  if (!isObject(context)) return refuse("INVALID_CONTEXT", "The context is not an object");
  const { targetingKey } = context;
  if (targetingKey === undefined || targetingKey === null) return { ok: true, context };
  if (typeof targetingKey !== "string" || targetingKey.length > MAX_KEY_CHARS) {
    return refuse("INVALID_CONTEXT", `The targetingKey is not a text of at most ${MAX_KEY_CHARS} characters`);
  }
  return { ok: true, context };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/**
 * Who is evaluated. Admin and API-key callers are servers that ask about somebody else: their `targetingKey` is the user,
 * and `tenantId`, `email` and `roles` of the context are that user's. A key that belongs to a tenant stays in it. For
 * everybody else the session is the subject.
 */
export function subjectOf(identity: Identity, context: Readonly<Record<string, unknown>>): FlagSubject {
  const isServer = identity.isAdmin || identity.kind === "api_key";
  const userId = isServer ? textOf(context["targetingKey"]) : null;
  if (userId === null) return { ...identity, attributes: context };
  const { roles } = context;
  return {
    userId,
    tenantId: identity.tenantId ?? textOf(context["tenantId"]),
    email: textOf(context["email"]),
    roles: Array.isArray(roles) ? roles.filter((role) => typeof role === "string") : [],
    isAdmin: false,
    attributes: context,
  };
}
