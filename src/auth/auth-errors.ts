// The codes that the auth room raises. Messages never hold a token, a code, an address or an organisation's name.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export type AuthErrorCode =
  | "INVALID_TOKEN"
  | "INVALID_CODE"
  | "FORBIDDEN"
  | "SESSION_REQUIRED"
  | "NOT_A_MEMBER"
  | "LAST_OWNER"
  | "INVITE_INVALID"
  | "LIMIT_REACHED"
  | "RATE_LIMITED"
  | "EMAIL_NOT_CONFIGURED"
  | "JWKS_UNAVAILABLE";

export const authError: ErrorFactory<AuthErrorCode> = defineErrors({
  INVALID_TOKEN: { status: 401, message: "The token is unknown or has expired", hint: "Sign in again" },
  INVALID_CODE: { status: 401, message: "The code is wrong or has expired", hint: "Ask for a new code" },
  FORBIDDEN: { status: 403, message: "This is not for you" },
  SESSION_REQUIRED: { status: 403, message: "Only a session can do this", hint: "Use the token of a sign-in" },
  NOT_A_MEMBER: { status: 403, message: "You are not a member of this organisation" },
  LAST_OWNER: { status: 409, message: "An organisation keeps at least one owner", hint: "Make another member owner" },
  INVITE_INVALID: { status: 404, message: "The invite is unknown, used or has expired", hint: "Ask for a new invite" },
  LIMIT_REACHED: { status: 409, message: "There are too many of these already" },
  RATE_LIMITED: { status: 429, message: "Too many requests" },
  EMAIL_NOT_CONFIGURED: {
    status: 501,
    message: "No email provider is configured",
    hint: "Set PYLON_EMAIL_PROVIDER or configure the email plugin",
  },
  JWKS_UNAVAILABLE: { status: 503, message: "Cannot read the keys of the token issuer" },
});
